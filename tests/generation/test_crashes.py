"""kill -9 in the middle of generation, then another worker: exactly the planned images, nothing else."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from generation.pictures.renditions import paths
from tests.generation.doomed_workers import SEEDS
from tests.models import ROOT
from tests.object_storage import object_storage_server


@pytest.fixture
def var(tmp_path: Path) -> Path:
    return tmp_path / "var"


def after_each_worker(var: Path, checkpoint: Path, *moments: str, **variables: str) -> list[dict[str, Any]]:
    """Return the state that each of several workers left, each killed at its own moment."""
    environment = {**os.environ, **variables, "SEMBLANCE_VAR": str(var), "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.generation.doomed_workers", str(checkpoint), *moments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_killed_twice_and_done_again(var: Path, tiny_models: Path) -> None:
    first, second, last = after_each_worker(var, tiny_models / "sdxl", "before", "after", "never")

    assert (first["ended"], first["job"], len(first["images"])) == (-signal.SIGKILL, ["running", 1], 4)
    assert any(name.endswith(".part") for name in first["files"])

    assert (second["ended"], second["job"], len(second["images"])) == (-signal.SIGKILL, ["running", 2], 8)
    assert len([name for name in second["files"] if name.endswith(".png")]) == 10  # two without rows, for now

    assert (last["ended"], last["job"]) == (0, ["done", 3])
    assert [seed for seed, _, _ in last["images"]] == SEEDS
    for _, path, sha256 in last["images"]:
        assert hashlib.sha256((var / "media" / path).read_bytes()).hexdigest() == sha256
    renditions = [rendition for _, path, _ in last["images"] for rendition in paths(path).values()]
    assert last["files"] == sorted([*(path for _, path, _ in last["images"]), *renditions])


@pytest.mark.slow
def test_killed_twice_with_images_in_an_object_storage(var: Path, tiny_models: Path) -> None:
    with object_storage_server() as s3:
        client = s3.client()
        client.create_bucket(Bucket="images")
        variables = s3.variables("images")
        first, second, last = after_each_worker(var, tiny_models / "sdxl", "before", "after", "never", **variables)

        for left, attempt in ((first, 1), (second, 2)):
            assert (left["ended"], left["job"]) == (-signal.SIGKILL, ["running", attempt])
            # Stored, and not recorded, for now.
            assert len([name for name in left["files"] if name.endswith(".png")]) > len(left["images"])

        assert (last["ended"], last["job"]) == (0, ["done", 3])
        assert [seed for seed, _, _ in last["images"]] == SEEDS
        for _, path, sha256 in last["images"]:
            body = client.get_object(Bucket="images", Key=f"folder/{path}")["Body"].read()
            assert hashlib.sha256(body).hexdigest() == sha256
        client.close()
    renditions = [rendition for _, path, _ in last["images"] for rendition in paths(path).values()]
    assert last["files"] == sorted([*(path for _, path, _ in last["images"]), *renditions])
    assert not list(var.glob("media/**/*.*"))
