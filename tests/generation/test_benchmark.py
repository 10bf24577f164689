"""The benchmark of generation: what a card runs with full-size parts runs here with very small ones."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.generation import arms, full_size
from benchmarks.generation.full_size import Subject, print_full_size
from generation.models import DiffusionModel, GeneratedImage
from generation.pipelines import speed
from generation.pipelines.loaded import Loaded

ARMS = (
    *("plain loop, one seed a call", "plain loop, 4 seeds a call"),
    *("a worker", "a worker, compiled, all speed settings"),
)


@pytest.fixture(params=["sdxl", pytest.param("pixart", marks=pytest.mark.slow)])
def subject(request: pytest.FixtureRequest, tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    """A very small checkpoint, and sets of four images."""
    for module in (arms, full_size):
        monkeypatch.setattr(module, "SET_SIZE", 4)
    monkeypatch.setattr(full_size, "MATRIX_SECONDS", 0.01)
    monkeypatch.setattr(speed, "BACKEND", "eager")
    Loaded.cached = None
    name = request.param
    yield Subject(name, lambda folder: shutil.copytree(tiny_models / name, folder), 64, 3, "float32")
    Loaded.cached = None


@pytest.mark.django_db
def test_every_arm_is_measured(subject: Subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_full_size(tmp_path, [subject], seconds=0)
    assert capsys.readouterr().out.count("left out: the time is over") == len(ARMS)
    DiffusionModel.objects.all().delete()
    print_full_size(tmp_path, [subject], seconds=600)
    printed = capsys.readouterr().out
    for arm in ARMS:
        [line] = re.findall(rf"^{re.escape(arm)} +([\d.]+) +([\d.]+)% +(-?[\d.]+)% +(\d+)$", printed, re.MULTILINE)
        images, of_the_rate, idle, _host = line
        assert float(images) > 0 < float(of_the_rate)
        assert 0 <= float(idle) < 100
    made = GeneratedImage.objects.values_list("provenance__compiled", flat=True)
    compiled = {"sdxl": "repeated blocks by eager", "pixart": "whole denoiser by eager"}[subject.name]
    assert (len(made), set(made)) == (2 * 3 * 4, {"no", compiled})  # two workers, three sets of four
    assert list((tmp_path / "checkpoints").iterdir()) == []
