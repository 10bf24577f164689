"""Studies with drawn pictures, made without torch: two models, one tidy and one untidy."""

import random
import uuid
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from PIL import Image, ImageDraw

from annotation.models import Annotator, Comparison, ManifestVersion, Study
from annotation.studies.manifest import Manifest, document, sha256
from generation.image_sets import plan_imported_set, record_image
from generation.models import DiffusionModel, ImageSet

TIDY, UNTIDY = "Alphamodel", "Betamodel"  # words that occur nowhere else, so that a leak can be searched for
PROMPTS = (
    "a lighthouse at dusk",
    "a bowl of fruit",
    "a kite over a hill",
    "three boats",
    "a red door",
    "a stone bridge",
)


@dataclass(frozen=True)
class Scene:
    """A study on stage."""

    study: Study
    manifest: Manifest

    def invite(self, label: str) -> Annotator:
        return Annotator.objects.create(study=self.study, kind=Annotator.Kind.PERSONAL, label=label)


def picture(prompt: str, seed: int, disorder: float, side: int) -> Image.Image:
    """A little landscape that belongs to its prompt; `disorder` (0 to 1) is how far each image strays from it."""
    same, own = random.Random(prompt), random.Random(f"{prompt} {seed} {disorder}")

    def mixed(low: float, high: float) -> float:
        centre, stray = same.uniform(low, high), own.uniform(low, high)
        return centre + disorder * (stray - centre)

    def colour() -> tuple[int, int, int]:
        return (round(mixed(30, 230)), round(mixed(30, 230)), round(mixed(30, 230)))

    image = Image.new("RGB", (side, side), colour())
    draw = ImageDraw.Draw(image)
    horizon = side * mixed(0.45, 0.8)
    draw.rectangle((0, horizon, side, side), fill=colour())
    x, y, radius = side * mixed(0.2, 0.8), side * mixed(0.1, 0.35), side * mixed(0.06, 0.16)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour())
    left, width, height = side * mixed(0.1, 0.6), side * mixed(0.15, 0.35), side * mixed(0.2, 0.5)
    if mixed(0, 1) < 0.5:
        draw.polygon((left, horizon, left + width, horizon, left + width / 2, horizon - height), fill=colour())
    else:
        draw.rectangle((left, horizon - height, left + width, horizon), fill=colour())
    return image


def _image_set(model: DiffusionModel, prompt: str, seeds: range, disorder: float, side: int) -> ImageSet:
    image_set = plan_imported_set(diffusion_model=model, prompt=prompt, seeds=list(seeds))
    for seed in seeds:
        image = picture(prompt, seed, disorder, side)
        record_image(image_set=image_set, seed=seed, image=image, provenance={"source": "drawn"})
    return image_set


def draw_study(
    *, prompt_count: int = 2, images_per_set: int = 4, side: int = 320, state: str = "open", **overrides: Any
) -> Scene:
    """A study of drawn pictures in the given state. `overrides` are sections of the manifest."""
    slug = f"drawn-{uuid.uuid4().hex[:8]}"
    manifest = Manifest.model_validate(
        {
            "name": f"{TIDY} against {UNTIDY}",
            "slug": slug,
            "source": "images",
            "model_a": {"name": TIDY},
            "model_b": {"name": UNTIDY},
            "prompts": [{"text": prompt} for prompt in PROMPTS[:prompt_count]],
            **overrides,
        }
    )
    models = [DiffusionModel.objects.get_or_create(name=name)[0] for name in (TIDY, UNTIDY)]
    opened = {"opened_at": timezone.now()} if state in ("open", "paused", "closed") else {}
    closed = {"closed_at": timezone.now()} if state == "closed" else {}
    study = Study.objects.create(
        slug=slug,
        name=manifest.name,
        source="images",
        state=state,
        model_a=models[0],
        model_b=models[1],
        manifest_sha256=sha256(manifest),
        **opened,
        **closed,
    )
    ManifestVersion.objects.create(study=study, number=1, document=document(manifest), sha256=sha256(manifest))
    for position, prompt in enumerate(manifest.prompts):
        seeds = range(100, 100 + images_per_set)
        tidy = _image_set(models[0], prompt.text, seeds, 0.15, side)
        untidy = _image_set(models[1], prompt.text, seeds, 0.9, side)
        Comparison.objects.create(
            study=study,
            position=position,
            prompt=tidy.prompt,
            cluster=str(position),
            image_set_a=tidy,
            image_set_b=untidy,
            overlap=manifest.annotation.overlap,
        )
    return Scene(study, manifest)
