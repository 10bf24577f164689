"""The very small untrained checkpoints that tests sample from and embed with, built once and kept between runs."""

import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

FOLDERS = ("sdxl", "sd", "pixart", "sdxl-lora", "clip")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def tiny_models(request: pytest.FixtureRequest) -> Path:
    """A folder with sdxl/, sd/, pixart/, sdxl-lora/ and clip/; another one for other code or other library versions."""
    recipe = (ROOT / "tests" / "untrained.py").read_bytes()
    versions = [version(name) for name in ("torch", "diffusers", "transformers", "peft")]
    key = hashlib.sha256(recipe + repr(versions).encode()).hexdigest()[:16]
    folder = request.config.cache.mkdir(f"untrained-{key}")
    if not all((folder / name).exists() for name in FOLDERS):
        subprocess.run(
            [sys.executable, "-m", "tests.untrained", str(folder)],
            cwd=ROOT,
            env={**os.environ, "TRANSFORMERS_VERBOSITY": "error"},
            check=True,
        )
    return Path(folder)
