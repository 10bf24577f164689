"""fetch_models in a process of its own, killed half-way: the next one goes on where it stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings

from annotation.studies.study_file.writing import write_study_file
from tests.factories import make_manifest
from tests.fake_hub import COMMIT, FakeHub, running_hub

pytestmark = pytest.mark.slow
TOKEN = "hf_a-token-that-nobody-may-read"
SIZE = 4_000_000


def test_a_fetch_is_killed_and_goes_on(tmp_path: Path) -> None:
    with running_hub() as hub:
        encoder = hub.folders["owner/clip"] = tmp_path / "clip"
        encoder.mkdir()
        for name in ("config.json", "preprocessor_config.json"):
            (encoder / name).write_text("{}")
        (encoder / "model.safetensors").write_bytes(os.urandom(SIZE))
        hub.token = TOKEN
        file = tmp_path / "study.toml"
        manifest = make_manifest(encoder={"kind": "clip", "checkpoint": "owner/clip", "revision": COMMIT})
        file.write_text(write_study_file(manifest))
        hub.fail("/content/", stops_after=SIZE // 2)
        process = command(hub, file, tmp_path)
        blobs = tmp_path / "huggingface" / "hub" / "models--owner--clip" / "blobs"
        deadline = time.monotonic() + 120
        while sum(part.stat().st_size for part in blobs.glob("*.incomplete")) < SIZE // 4:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        first = process.communicate()[0]
        [part] = blobs.glob("*.incomplete")
        arrived = part.stat().st_size
        process = command(hub, file, tmp_path)
        second = process.communicate(timeout=120)[0]
        assert process.returncode == 0, second
        assert "1 repository, 4 MB: everything that study uses is in" in second
        ranges = [headers.get("range") for path, headers in hub.requests if path.startswith("/content/")]
        assert ranges == [None, f"bytes={arrived}-"]
        assert TOKEN not in first + second


def command(hub: FakeHub, file: Path, folder: Path) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SEMBLANCE_VAR": str(folder / "var"),
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(folder / "huggingface"),
        "HF_TOKEN": TOKEN,
        "LOG_LEVEL": "DEBUG",
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", "fetch_models", str(file)],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
