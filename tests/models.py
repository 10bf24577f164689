"""The very small untrained checkpoints that tests sample from and embed with, built once and kept between runs."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

FOLDERS = ("sdxl", "sd", "pixart", "sdxl-lora", "clip")
FAMILIES = ("sd3", "flux", "qwen-image", "z-image", "sana", "kandinsky3")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def tiny_models(request: pytest.FixtureRequest) -> Path:
    """A folder with sdxl/, sd/, pixart/, sdxl-lora/ and clip/; another one for other code or other library versions."""
    return _built(request, "untrained", FOLDERS)


@pytest.fixture(scope="session")
def tiny_families(request: pytest.FixtureRequest) -> Path:
    """A folder with a pipeline of each class in FAMILIES."""
    return _built(request, "untrained_families", FAMILIES)


def _built(request: pytest.FixtureRequest, module: str, names: Sequence[str]) -> Path:
    recipes = [(ROOT / "tests" / f"{name}.py").read_bytes() for name in dict.fromkeys(("untrained", module))]
    versions = [version(name) for name in ("torch", "diffusers", "transformers", "peft")]
    key = hashlib.sha256(b"".join(recipes) + repr(versions).encode()).hexdigest()[:16]
    folder = request.config.cache.mkdir(f"{module}-{key}")
    if not all((folder / name).exists() for name in names):
        subprocess.run(
            [sys.executable, "-m", f"tests.{module}", str(folder)],
            cwd=ROOT,
            env={**os.environ, "TRANSFORMERS_VERBOSITY": "error"},
            check=True,
        )
    return Path(folder)
