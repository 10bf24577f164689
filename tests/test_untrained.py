"""The untrained checkpoints: built where missing, whole or not at all, the same each time."""

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.models import FOLDERS, tiny_models
from tests.untrained import build_all

__all__ = ["tiny_models"]


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_what_is_missing_is_built_as_it_was(tiny_models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    shutil.copytree(tiny_models, folder)
    shutil.rmtree(folder / "sdxl-lora")
    shutil.rmtree(folder / "clip")
    assert build_all(folder) == [folder / "sdxl-lora", folder / "clip"]
    assert hashes(folder) == hashes(tiny_models)
    assert build_all(folder) == []


def test_a_build_that_fails_leaves_nothing(tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models"
    shutil.copytree(tiny_models, folder)
    shutil.rmtree(folder / "clip")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("tests.untrained.CLIPImageProcessorPil.save_pretrained", fail)
    with pytest.raises(OSError, match="disk full"):
        build_all(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(set(FOLDERS) - {"clip"})
