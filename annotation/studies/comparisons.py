"""The comparisons of a study and their image sets."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import QuerySet

from annotation.models import Comparison, Study
from annotation.studies.evidence import turns
from annotation.studies.manifest import Manifest, PromptPlan
from annotation.voting.storage.slices import in_slices
from generation.models import DiffusionModel, GeneratedImage, ImageSet
from generation.pictures.thumbnails import zoom_size
from generation.plans.image_sets import find_imported_sets, plan_external_sets, plan_image_sets, prompt_rows
from jobs.refusals import Refused
from jobs.wording import counted

PROMPTS_AT_ONCE = 500
SIDES = ("image_set_a", "image_set_b")
Planned = tuple[int, PromptPlan]  # the position of a comparison and its prompt
Size = tuple[int, int]  # width and height in pixels


@dataclass(frozen=True, slots=True)
class Gap:
    """The reason why a comparison cannot be created yet: one sentence about one prompt."""

    position: int
    sentence: str


def image_sets_of(study: Study) -> QuerySet[ImageSet]:
    """Return both image sets of every comparison of the study."""
    return ImageSet.objects.filter(pk__in=set_ids(Comparison.objects.filter(study=study)))


def set_ids(comparisons: QuerySet[Comparison]) -> QuerySet[Comparison, Any]:
    """Return the ids of both sets of the comparisons.

    A union, because with IN ... OR ... IN both databases read the sets of every study.
    """
    comparisons = comparisons.order_by()
    return comparisons.values("image_set_a").union(comparisons.values("image_set_b"))


def comparisons_of(sets: "QuerySet[Any, Any] | Sequence[ImageSet]") -> QuerySet[Comparison]:
    """Return the comparisons, of any study, that have one of the sets. A union reads both indexes, as in `set_ids`."""
    a, b = (Comparison.objects.filter(**{f"{side}__in": sets}).order_by().values("pk") for side in SIDES)
    return Comparison.objects.filter(pk__in=a.union(b))


def images_detail(study: Study) -> dict[str, object]:
    """Return the number of imported images and one hash of all their files, for the study's history."""
    images = GeneratedImage.objects.filter(image_set__in=image_sets_of(study).values("pk"))
    # The uid comes from model and prompt, and every database sorts it alike; texts are sorted by the database's locale.
    images = images.order_by("image_set__uid", "seed")
    digest, count = hashlib.sha256(), 0
    for seed, sha256 in images.values_list("seed", "sha256").iterator():
        digest.update(f"{seed} {sha256}\n".encode())
        count += 1
    return {"images": count, "sha256": digest.hexdigest()}


def plan_comparisons(study: Study, manifest: Manifest) -> list[Gap]:
    """Create the missing comparisons; return the gaps that prevent the others, by position. Safe to repeat."""
    missing = _missing(study, manifest)
    gaps = _gaps(study, missing)
    waiting = {gap.position for gap in gaps}
    in_slices([planned for planned in missing if planned[0] not in waiting], partial(_create, study, manifest))
    return gaps


def gaps_of(study: Study, manifest: Manifest) -> list[Gap]:
    """Return the gaps that prevent missing comparisons."""
    return _gaps(study, _missing(study, manifest))


def _missing(study: Study, manifest: Manifest) -> list[Planned]:
    comparisons = Comparison.objects.filter(study=study).order_by()
    if comparisons.count() == len(manifest.prompts):
        return []
    existing = set(comparisons.values_list("position", flat=True))
    return [(position, plan) for position, plan in enumerate(manifest.prompts) if position not in existing]


def _create(study: Study, manifest: Manifest, plans: Sequence[Planned]) -> None:
    # Another process that plans the same study waits for this lock and then finds the rows.
    locked = Study.objects.select_for_update(no_key=True).filter(pk=study.pk).first()
    if locked is None or (locked.state == Study.State.DRAFT != study.state):
        raise Refused(f"{study} is being deleted, so no comparison is made any more.")
    positions = [position for position, _plan in plans]
    existing = set(study.comparisons.filter(position__in=positions).values_list("position", flat=True))
    plans = [(position, plan) for position, plan in plans if position not in existing]
    texts = [plan.text for _position, plan in plans]
    sets_a, sets_b = (_image_sets(study, model, manifest, texts) for model in (study.model_a, study.model_b))
    prompts = prompt_rows(texts)
    lead = 0 if manifest.voting_rules().needs_lead else None
    turn_of = turns(manifest)
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
            turn=turn_of[position] if turn_of else None,
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
    """Return the gaps of a study of imported images. They are looked up before anything is locked."""
    if study.source != Study.Source.IMAGES:
        return []
    gaps = []
    wanted = _shown_size(study)
    for start in range(0, len(plans), PROMPTS_AT_ONCE):
        batch = plans[start : start + PROMPTS_AT_ONCE]
        texts = [plan.text for _position, plan in batch]
        sets = [find_imported_sets(diffusion_model=model, prompts=texts) for model in (study.model_a, study.model_b)]
        sizes = _sizes_of(image_set for model_sets in sets for image_set in model_sets if image_set)
        for (position, plan), set_a, set_b in zip(batch, *sets, strict=True):
            sentence = _missing_images(study, plan.text, set_a, set_b)
            if not sentence and set_a and set_b:
                of_models = {str(study.model_a): sizes[set_a.pk], str(study.model_b): sizes[set_b.pk]}
                wanted = wanted or next(iter(sizes[set_a.pk]), None)
                sentence = _other_size(plan.text, wanted, of_models) if wanted else ""
            if sentence:
                gaps.append(Gap(position, sentence))
    return gaps


def _missing_images(study: Study, prompt: str, set_a: ImageSet | None, set_b: ImageSet | None) -> str:
    """Return a sentence if the two sets lack images or differ in their number; else an empty text."""
    if set_a is None or set_b is None:
        sets = ((study.model_a, set_a), (study.model_b, set_b))
        without = [str(model) for model, image_set in sets if image_set is None]
        return f'"{prompt}" has no images of {" and ".join(without)}'
    counts = (len(set_a.seeds), len(set_b.seeds))
    if counts[0] != counts[1]:
        # A larger set shows more variety: people would compare sizes.
        return f'"{prompt}" has {counted(counts[0], "image")} of {study.model_a} and {counts[1]} of {study.model_b}'
    return "" if counts[0] > 1 else f'"{prompt}" has fewer than two images of each model'


def _sizes_of(image_sets: Iterable[ImageSet]) -> dict[int, list[Size]]:
    """Return the image sizes that occur in each set, by the set's id, sorted."""
    images = GeneratedImage.objects.filter(image_set__in=[image_set.pk for image_set in image_sets]).order_by()
    sizes: dict[int, list[Size]] = defaultdict(list)
    for pk, width, height in sorted(images.values_list("image_set", "width", "height").distinct()):
        sizes[pk].append((width, height))
    return sizes


def _shown_size(study: Study) -> Size | None:
    """Return the size of an image that the study already shows; None before its first comparison."""
    first = study.comparisons.order_by("position").first()
    image = GeneratedImage.objects.filter(image_set=first.image_set_a_id).first() if first else None
    return (image.width, image.height) if image else None


def _other_size(prompt: str, wanted: Size, sets: Mapping[str, Iterable[Size]]) -> str:
    """Return a sentence if a set (by model) has an image that is shown in another size than `wanted`.

    All images of a study have one size, because another size or shape tells the models apart. One size for each
    comparison is not enough: practice and attention checks mix the images of several comparisons.
    """
    for model, sizes in sets.items():
        for size in sizes:
            if zoom_size(*size) != zoom_size(*wanted):
                side = min(*size, *wanted)
                return (
                    f'"{prompt}" has images of {size[0]} x {size[1]} pixels of {model}, but others of the study have '
                    f"{wanted[0]} x {wanted[1]}, which would tell the models apart: take the images back "
                    f"(take_back_images) and import both models with one --size, for example {side}x{side}"
                )
    return ""
