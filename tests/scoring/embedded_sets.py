"""Image sets, pictures, and an encoder without weights, for the tests of scoring."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generation.models import DiffusionModel, ImageSet
from generation.plans.image_sets import plan_external_sets, plan_imported_set
from generation.recorded_images.records import record_image
from scoring.encoder_spec import EncoderSpec
from scoring.metric_spec import SCS, MetricSpec
from scoring.models import ScoringJob
from scoring.scores import plan_scorings


def picture(seed: int, *, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Make a picture of coloured noise, a different one for each seed."""
    rng = np.random.default_rng(seed)
    colour = rng.integers(0, 200, 3)
    pixels = rng.integers(0, 56, (size[1], size[0], 3)) + colour
    return Image.fromarray(pixels.astype(np.uint8))


def make_set(
    *, seeds: Sequence[int] = (5, 3, 9), recorded: Sequence[int] | None = None, prompt: str = "a cat"
) -> ImageSet:
    """An imported set with these seeds, of which those `recorded` (all) have an image."""
    model, _ = DiffusionModel.objects.get_or_create(name="Alpha")
    image_set = plan_imported_set(diffusion_model=model, prompt=prompt, seeds=seeds)
    for seed in seeds if recorded is None else recorded:
        record_image(image_set=image_set, seed=seed, image=picture(seed), provenance={})
    return image_set


def make_external_set() -> ImageSet:
    """A set whose images are elsewhere."""
    model, _ = DiffusionModel.objects.get_or_create(name="Alpha")
    return plan_external_sets(diffusion_model=model, prompts=["a cat"], lot="study")[0]


def planned_job(image_set: ImageSet, encoder: EncoderSpec) -> ScoringJob:
    """The job that `plan_scorings` plans for one set."""
    plan_scorings(image_set_ids=[image_set.pk], spec=MetricSpec(SCS, encoder))
    return ScoringJob.objects.get(image_set=image_set, metric=encoder.metric)


class ColourEncoder:
    """An encoder without weights: an image's mean colour. It remembers how many images each call was given."""

    spec = EncoderSpec(checkpoint="/models/colour")
    identity = spec.identity
    provenance: dict[str, Any] = {"features": "mean colour"}  # noqa: RUF012

    def __init__(self, fingerprint: str = "c" * 64) -> None:
        self.fingerprint = fingerprint
        self.calls: list[int] = []

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        self.calls.append(len(images))
        rows = [np.asarray(image.convert("RGB"), np.float32).mean(axis=(0, 1)) for image in images]
        return np.array(rows, np.float32).reshape(len(images), 3)


def score_by_double_loop(embeddings: NDArray[np.float32]) -> float:
    """The Semantic Consistency Score, pair by pair, as the formula is written."""
    similarities = []
    for i in range(len(embeddings)):
        for j in range(i + 1, len(embeddings)):
            a, b = embeddings[i].astype(float), embeddings[j].astype(float)
            cosine = sum(a * b) / (sum(a * a) ** 0.5 * sum(b * b) ** 0.5)
            similarities.append(max(100 * cosine, 0.0))
    return float(sum(similarities) / len(similarities))
