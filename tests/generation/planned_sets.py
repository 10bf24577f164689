"""Planned image sets, models and pictures for the tests of generation."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from generation.models import DiffusionModel, GenerationJob, ImageSet
from generation.plans.image_sets import plan_image_sets
from generation.plans.parameters import SamplingParameters

SMALL = SamplingParameters(width=64, height=64, num_inference_steps=2)


def picture(seed: int = 0, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    """An image of random pixels."""
    count = size[0] * size[1] * len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, size, random.Random(seed).randbytes(count))


def diffusion_model(name: str = "sdxl", **fields: Any) -> DiffusionModel:
    """Make a model, without a checkpoint unless one is given."""
    return DiffusionModel.objects.get_or_create(name=name, defaults=fields)[0]


def planned(
    model: DiffusionModel | None = None, *, seeds: Sequence[int] = (1, 2, 3), prompt: str = "a red cube"
) -> ImageSet:
    """A planned set of small images with its jobs."""
    model = model or diffusion_model()
    return plan_image_sets(diffusion_model=model, prompts=[prompt], parameters=SMALL, seeds=seeds)[0]


def only_job(image_set: ImageSet) -> GenerationJob:
    """The one job of a set."""
    return image_set.jobs.get()


def files_below(folder: Path) -> list[str]:
    """Every file below a folder, by its relative path."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
