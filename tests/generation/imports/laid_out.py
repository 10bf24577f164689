"""Folders of images to import, and what an import left in the database."""

from pathlib import Path

from generation.imports.image_import import ImportReport, import_layout
from generation.imports.layouts import read_layout
from generation.models import DiffusionModel, GeneratedImage, ImageSet, Prompt
from generation.plans.image_sets import find_imported_sets
from tests.generation.planned_sets import picture


def lay_out(folder: Path, model: str = "sdxl", prompts: tuple[str, ...] = ("a cube",), seeds: int = 2) -> Path:
    """`<model>/<prompt>/<seed>.jpg` below a folder."""
    for prompt in prompts:
        (folder / model / prompt).mkdir(parents=True)
        for seed in range(1, seeds + 1):
            picture(seed).save(folder / model / prompt / f"{seed}.jpg")
    return folder


def import_images(folder: Path, model: str | None = None) -> ImportReport:
    """As the command does it."""
    return import_layout(read_layout(folder, model=model))


def imported(prompt: str = "a cube", model: str = "sdxl") -> ImageSet:
    [found] = find_imported_sets(diffusion_model=DiffusionModel.objects.get(name=model), prompts=[prompt])
    assert found is not None
    return found


def faults(report: ImportReport) -> list[str]:
    return [str(fault) for fault in report.faults]


def rows() -> list[object]:
    kept = (DiffusionModel, Prompt, ImageSet, GeneratedImage)
    return [list(model._default_manager.order_by("pk").values()) for model in kept]


def truncated(folder: Path) -> None:
    file = folder / "2.jpg"
    file.write_bytes(file.read_bytes()[:-300])
