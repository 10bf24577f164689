"""The comparisons of a study and the image sets they stand on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import QuerySet

from annotation.models import Comparison, Study
from annotation.studies.manifest import Manifest, PromptPlan
from annotation.studies.validation.shapes import other_size, size_in, sizes_of
from annotation.voting.storage.slices import in_slices
from generation.image_sets import find_imported_sets, plan_external_sets, plan_image_sets, prompt_rows
from generation.models import DiffusionModel, GeneratedImage, ImageSet
from jobs.refusals import Refused
from jobs.wording import counted

PROMPTS_AT_ONCE = 500
SIDES = ("image_set_a", "image_set_b")
Planned = tuple[int, PromptPlan]  # the position of a comparison and its prompt


@dataclass(frozen=True, slots=True)
class Gap:
    """Why a comparison cannot be made yet: one sentence about one prompt."""

    position: int
    sentence: str


def image_sets_of(study: Study) -> QuerySet[ImageSet]:
    """Both sets of every comparison of the study."""
    return ImageSet.objects.filter(pk__in=set_ids(Comparison.objects.filter(study=study)))


def set_ids(comparisons: QuerySet[Comparison]) -> QuerySet[Comparison, Any]:
    """The ids of both sets of the comparisons. With IN ... OR ... IN both databases read the sets of every study."""
    comparisons = comparisons.order_by()
    return comparisons.values("image_set_a").union(comparisons.values("image_set_b"))


def comparisons_of(sets: "QuerySet[Any, Any] | Sequence[ImageSet]") -> QuerySet[Comparison]:
    """The comparisons, of any study, that show one of the sets; read from both indexes, as in `set_ids`."""
    a, b = (Comparison.objects.filter(**{f"{side}__in": sets}).order_by().values("pk") for side in SIDES)
    return Comparison.objects.filter(pk__in=a.union(b))


def images_detail(study: Study) -> dict[str, object]:
    """How many images a study found, and one hash of all their files, for its history."""
    images = GeneratedImage.objects.filter(image_set__in=image_sets_of(study).values("pk"))
    # The uid comes from model and prompt, and every database sorts it alike; texts it sorts by its own language.
    images = images.order_by("image_set__uid", "seed")
    digest, count = hashlib.sha256(), 0
    for seed, sha256 in images.values_list("seed", "sha256").iterator():
        digest.update(f"{seed} {sha256}\n".encode())
        count += 1
    return {"images": count, "sha256": digest.hexdigest()}


def plan_comparisons(study: Study, manifest: Manifest) -> list[Gap]:
    """Make the comparisons that are not there yet; what is still in the way, by position. Safe to repeat."""
    missing = _missing(study, manifest)
    gaps = _gaps(study, missing)
    waiting = {gap.position for gap in gaps}
    in_slices([one for one in missing if one[0] not in waiting], partial(_plan_some, study, manifest))
    return gaps


def gaps_of(study: Study, manifest: Manifest) -> list[Gap]:
    """What is in the way of the comparisons that are not there yet."""
    return _gaps(study, _missing(study, manifest))


def _missing(study: Study, manifest: Manifest) -> list[Planned]:
    comparisons = Comparison.objects.filter(study=study).order_by()
    if comparisons.count() == len(manifest.prompts):
        return []
    there = set(comparisons.values_list("position", flat=True))
    return [(position, plan) for position, plan in enumerate(manifest.prompts) if position not in there]


def _plan_some(study: Study, manifest: Manifest, plans: Sequence[Planned]) -> None:
    # Another process that plans the same study waits here and then finds the rows.
    locked = Study.objects.select_for_update(no_key=True).filter(pk=study.pk).first()
    if locked is None or (locked.state == Study.State.DRAFT != study.state):
        raise Refused(f"{study} is being deleted, so no comparison is made any more.")
    positions = [position for position, _plan in plans]
    there = set(study.comparisons.filter(position__in=positions).values_list("position", flat=True))
    plans = [(position, plan) for position, plan in plans if position not in there]
    texts = [plan.text for _position, plan in plans]
    sets_a, sets_b = (_image_sets(study, model, manifest, texts) for model in (study.model_a, study.model_b))
    prompts = prompt_rows(texts)
    lead = 0 if manifest.voting_rules().needs_lead else None
    Comparison.objects.bulk_create(
        Comparison(
            study=study,
            position=position,
            prompt=prompts[plan.text],
            cluster=plan.cluster or hashlib.sha256(plan.text.encode()).hexdigest()[:16],
            image_set_a=set_a,
            image_set_b=set_b,
            overlap=manifest.annotation.overlap,
            lead=lead,
        )
        for (position, plan), set_a, set_b in zip(plans, sets_a, sets_b, strict=True)
        if set_a and set_b
    )


def _image_sets(
    study: Study, diffusion_model: DiffusionModel, manifest: Manifest, prompts: Sequence[str]
) -> Sequence[ImageSet | None]:
    match manifest.source:
        case "generated":
            return plan_image_sets(
                diffusion_model=diffusion_model, prompts=prompts, parameters=manifest.sampling, seeds=manifest.seeds
            )
        case "images":
            return find_imported_sets(diffusion_model=diffusion_model, prompts=prompts)
        case "external":
            return plan_external_sets(diffusion_model=diffusion_model, prompts=prompts, lot=study.slug)


def _gaps(study: Study, plans: Sequence[Planned]) -> list[Gap]:
    """What is in the way of comparing imported sets; looked up before anything is locked."""
    if study.source != Study.Source.IMAGES:
        return []
    gaps = []
    wanted = size_in(study)
    for start in range(0, len(plans), PROMPTS_AT_ONCE):
        some = plans[start : start + PROMPTS_AT_ONCE]
        texts = [plan.text for _position, plan in some]
        sets = [find_imported_sets(diffusion_model=model, prompts=texts) for model in (study.model_a, study.model_b)]
        sizes = sizes_of(one for model_sets in sets for one in model_sets if one)
        for (position, plan), set_a, set_b in zip(some, *sets, strict=True):
            sentence = _gap(study, plan.text, set_a, set_b)
            if not sentence and set_a and set_b:
                of_models = {str(study.model_a): sizes[set_a.pk], str(study.model_b): sizes[set_b.pk]}
                wanted = wanted or next(iter(sizes[set_a.pk]), None)
                other = other_size(wanted, of_models) if wanted else ""
                sentence = other and f'"{plan.text}" {other}'
            if sentence:
                gaps.append(Gap(position, sentence))
    return gaps


def _gap(study: Study, prompt: str, set_a: ImageSet | None, set_b: ImageSet | None) -> str:
    """What is in the way of comparing the two sets; empty where nothing is."""
    if set_a is None or set_b is None:
        without = [str(model) for model, found in ((study.model_a, set_a), (study.model_b, set_b)) if found is None]
        return f'"{prompt}" has no images of {" and ".join(without)}'
    counts = (len(set_a.seeds), len(set_b.seeds))
    if counts[0] != counts[1]:
        # A larger set shows more variety: people would compare sizes.
        return f'"{prompt}" has {counted(counts[0], "image")} of {study.model_a} and {counts[1]} of {study.model_b}'
    return "" if counts[0] > 1 else f'"{prompt}" has fewer than two images of each model'
