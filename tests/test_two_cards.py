"""`worker --gpus all` on a host with two cards, one of them sick: the study is made, and the sick card says so."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.models import tiny_models
from tests.test_crash import PLANNED, Machine, machine_with_study

__all__ = ["tiny_models"]
pytestmark = pytest.mark.slow
LISTING = "GPU 0: Stand-in (UUID: GPU-sick)\nGPU 1: Stand-in (UUID: GPU-sound)\n"


@pytest.fixture
def machine(tmp_path: Path, tiny_models: Path) -> Iterator[Machine]:
    listing = tmp_path / "nvidia-smi"
    listing.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTING}END\n")
    listing.chmod(0o755)
    paths = [str(settings.BASE_DIR / "tests/sick_card"), os.environ.get("PYTHONPATH", "")]
    failures = tmp_path / "failures"
    failures.mkdir()
    variables = {
        "NVIDIA_SMI": str(listing),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "SICK_CARD_FAILURES": str(failures),
    }
    with machine_with_study(tmp_path, variables, tiny_models) as machine:
        yield machine


def test_a_sick_card_takes_no_more_and_the_other_makes_every_image(machine: Machine) -> None:
    machine.start("manage.py", "worker", "--gpus", "all")
    machine.manage("run_study", "crash")
    rows = machine.query("SELECT path, sha256 FROM generation_generatedimage")
    assert len(rows) == PLANNED
    assert machine.files() == dict(rows)  # no orphan, none torn
    assert machine.query("SELECT state FROM annotation_study") == [("ready",)]
    cards = machine.query("SELECT key, refused_at IS NULL FROM generation_card ORDER BY key")
    assert cards == [("GPU-sick", 0), ("GPU-sound", 1)]
    failures = machine.query("SELECT count(*) FROM generation_cardfailure")  # one for a job: a trial or a study's
    assert failures == [(2,)]
    names = [name for (name,) in machine.query("SELECT name FROM generation_workersign ORDER BY name")]
    assert [name.partition("@")[0] for name in names] == ["control", "gpu-0", "gpu-1"]
