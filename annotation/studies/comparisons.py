"""The comparisons of a study and the image sets they stand on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet

from annotation.models import Comparison, Study
from annotation.studies.manifest import Manifest, PromptPlan
from generation.image_sets import find_imported_set, plan_external_set, plan_image_set
from generation.models import DiffusionModel, ImageSet, Prompt

# So few that no other writer waits long for the transaction's end.
PROMPTS_PER_TRANSACTION = 50


@dataclass(frozen=True, slots=True)
class Gap:
    """Why a comparison cannot be made yet: one sentence about one prompt."""

    position: int
    sentence: str


def image_sets_of(study: Study) -> QuerySet[ImageSet]:
    """Both sets of every comparison of the study."""
    comparisons = Comparison.objects.filter(study=study)
    return ImageSet.objects.filter(
        Q(pk__in=comparisons.values("image_set_a")) | Q(pk__in=comparisons.values("image_set_b"))
    )


def plan_comparisons(study: Study, manifest: Manifest) -> list[Gap]:
    """Make the comparisons that are not there yet; what is still in the way, by position. Safe to repeat."""
    there = set(Comparison.objects.filter(study=study).values_list("position", flat=True))
    missing = [(position, plan) for position, plan in enumerate(manifest.prompts) if position not in there]
    gaps: list[Gap] = []
    for start in range(0, len(missing), PROMPTS_PER_TRANSACTION):
        with transaction.atomic():
            # Whoever plans the same study at the same moment waits here and then finds the rows.
            Study.objects.select_for_update().get(pk=study.pk)
            gaps += _plan_some(study, manifest, missing[start : start + PROMPTS_PER_TRANSACTION])
    return gaps


def _plan_some(study: Study, manifest: Manifest, plans: Sequence[tuple[int, PromptPlan]]) -> list[Gap]:
    gaps = []
    for position, plan in plans:
        set_a = _image_set(study, study.model_a, manifest, plan.text)
        set_b = _image_set(study, study.model_b, manifest, plan.text)
        gap = _gap(study, plan.text, set_a, set_b)
        if gap or set_a is None or set_b is None:
            gaps.append(Gap(position, gap))
            continue
        Comparison.objects.get_or_create(
            study=study,
            position=position,
            defaults={
                "prompt": Prompt.objects.get_or_create(text=plan.text)[0],
                "cluster": plan.cluster or hashlib.sha256(plan.text.encode()).hexdigest()[:16],
                "image_set_a": set_a,
                "image_set_b": set_b,
                "overlap": manifest.annotation.overlap,
                "lead": 0 if manifest.voting_rules().needs_lead else None,
            },
        )
    return gaps


def _image_set(study: Study, diffusion_model: DiffusionModel, manifest: Manifest, prompt: str) -> ImageSet | None:
    match manifest.source:
        case "generated":
            return plan_image_set(
                diffusion_model=diffusion_model, prompt=prompt, parameters=manifest.sampling, seeds=manifest.seeds
            )
        case "images":
            return find_imported_set(diffusion_model=diffusion_model, prompt=prompt)
        case "external":
            return plan_external_set(diffusion_model=diffusion_model, prompt=prompt, lot=study.slug)


def _gap(study: Study, prompt: str, set_a: ImageSet | None, set_b: ImageSet | None) -> str:
    """What is in the way of comparing the two sets; empty where nothing is."""
    without = [str(model) for model, found in ((study.model_a, set_a), (study.model_b, set_b)) if found is None]
    if without:
        return f'"{prompt}" has no images of {" and ".join(without)}'
    if set_a is None or set_b is None or set_a.origin == ImageSet.Origin.EXTERNAL:
        return ""
    counts = (len(set_a.seeds), len(set_b.seeds))
    if counts[0] != counts[1]:
        # A larger set shows more variety: people would compare sizes.
        return f'"{prompt}" has {counts[0]} images of {study.model_a} and {counts[1]} of {study.model_b}'
    return "" if counts[0] > 1 else f'"{prompt}" has fewer than two images of each model'
