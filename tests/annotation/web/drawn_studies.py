"""Studies with drawn images, made without torch: one model draws consistent sets, the other one does not."""

import math
import random
import uuid
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from annotation.models import Annotator, Study
from annotation.studies.comparisons import plan_comparisons
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.manifest import Manifest
from annotation.voting.annotators import invite
from generation.models import DiffusionModel
from generation.plans.image_sets import plan_imported_set
from generation.recorded_images.records import record_image
from tests.factories import make_manifest, own, put_in_state

TIDY, UNTIDY = "Alphamodel", "Betamodel"  # names that occur nowhere else, so that a leak can be found
FIRST_SEED = 770_000_000  # seeds that occur nowhere else either
PROMPTS = ("a house by the lake", "a cottage at dawn", "a hut in the hills", "a tower at dusk", "a barn in spring")


@dataclass(frozen=True)
class DrawnStudy:
    """A study and its manifest."""

    study: Study
    manifest: Manifest

    def invite(self, label: str) -> Annotator:
        return invite(study=self.study, label=label)


def picture(prompt: str, seed: int, disorder: float, side: int) -> Image.Image:
    """Return a small landscape for a prompt; `disorder` (0 to 1) is how much the images of a set differ."""
    same, own = random.Random(prompt), random.Random(f"{prompt} {seed} {disorder}")

    def mixed(low: float, high: float) -> float:
        centre, stray = same.uniform(low, high), own.uniform(low, high)
        return centre + disorder * (stray - centre)

    def colour(brightness: float) -> tuple[int, int, int]:
        red, green, blue = hsv_to_rgb(mixed(0, 1), mixed(0.25, 0.6), brightness)
        return round(red * 255), round(green * 255), round(blue * 255)

    image = Image.new("RGB", (side, side), colour(0.9))
    draw = ImageDraw.Draw(image)
    x, y, radius = side * mixed(0.15, 0.85), side * mixed(0.12, 0.3), side * mixed(0.06, 0.14)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour(1))
    for height, brightness in ((0.55, 0.7), (0.72, 0.5)):  # far hills, near ground
        phase, waves, swell = mixed(0, 6), mixed(2, 7), mixed(0.02, 0.1)
        ridge = [(i, side * (height + swell * math.sin(phase + waves * i / side))) for i in range(side + 1)]
        draw.polygon([*ridge, (side, side), (0, side)], fill=colour(brightness))
    left, width, tall = side * mixed(0.1, 0.65), side * mixed(0.14, 0.3), side * mixed(0.14, 0.34)
    base = side * 0.82
    draw.rectangle((left, base - tall, left + width, base), fill=colour(0.85))
    roof = (left - width * 0.12, base - tall, left + width * 1.12, base - tall, left + width / 2, base - tall * 1.5)
    draw.polygon(roof, fill=colour(0.4))
    return image


def _draw_set(model: DiffusionModel, prompt: str, seeds: range, disorder: float, side: int) -> None:
    image_set = plan_imported_set(diffusion_model=model, prompt=prompt, seeds=list(seeds))
    for seed in seeds:
        image = picture(prompt, seed, disorder, side)
        record_image(image_set=image_set, seed=seed, image=image, provenance={"source": "drawn"})


def draw_study(
    *, prompt_count: int = 2, images_per_set: int = 4, side: int = 320, state: str = "open", **manifest: Any
) -> DrawnStudy:
    """Create a study of drawn images in the given state; `manifest` as in `tests.factories.manifest_document`."""
    slug = f"drawn-{uuid.uuid4().hex[:8]}"
    # Undo for an hour: on a busy machine, a test may be slow between a vote and its next step.
    annotation = {"comparisons_per_annotator": prompt_count, "undo_seconds": 3600, **manifest.pop("annotation", {})}
    plan = {
        "name": f"{TIDY} against {UNTIDY}",
        "model_a": {"name": TIDY},
        "model_b": {"name": UNTIDY},
        "prompts": [{"text": prompt} for prompt in PROMPTS[:prompt_count]],
        "annotation": annotation,
    }
    study = create_study(manifest=make_manifest(slug=slug, **{**plan, **manifest}))
    own(study)
    seeds = range(FIRST_SEED, FIRST_SEED + images_per_set)
    for prompt in PROMPTS[:prompt_count]:
        _draw_set(study.diffusion_models[0], prompt, seeds, 0.12, side)
        _draw_set(study.diffusion_models[1], prompt, seeds, 0.55, side)
    plan_comparisons(study, current_manifest(study))
    put_in_state(study, state)
    return DrawnStudy(study, current_manifest(study))
