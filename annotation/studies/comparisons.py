"""The comparisons of a study and their image sets."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import QuerySet

from annotation.models import Comparison, Study
from annotation.studies.manifest import Manifest, PromptPlan
from annotation.studies.pairs import PlannedComparison
from annotation.voting.storage.slices import in_slices
from generation.models import DiffusionModel, GeneratedImage, ImageSet
from generation.pictures.thumbnails import zoom_size
from generation.plans.image_sets import find_imported_sets, plan_external_sets, plan_image_sets, prompt_rows
from jobs.refusals import Refused
from jobs.wording import counted

PROMPTS_AT_ONCE = 500
SIDES = ("image_set_a", "image_set_b")
Planned = tuple[int, PlannedComparison]  # the position of a comparison, its prompt and its models
Size = tuple[int, int]  # width and height in pixels
Find = Callable[[DiffusionModel, Sequence[str]], Sequence[ImageSet | None]]
Sets = dict[tuple[str, int], ImageSet | None]  # by the model's key and the prompt's place in the manifest


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
    gaps = _gaps(study, manifest, missing)
    waiting = {gap.position for gap in gaps}
    in_slices([planned for planned in missing if planned[0] not in waiting], partial(_create, study, manifest))
    return gaps


def gaps_of(study: Study, manifest: Manifest) -> list[Gap]:
    """Return the gaps that prevent missing comparisons."""
    return _gaps(study, manifest, _missing(study, manifest))


def _missing(study: Study, manifest: Manifest) -> list[Planned]:
    comparisons = Comparison.objects.filter(study=study).order_by()
    if comparisons.count() == manifest.comparison_count:
        return []
    existing = set(comparisons.values_list("position", flat=True))
    return [(position, plan) for position, plan in enumerate(manifest.comparisons) if position not in existing]


def hold(study: Study) -> None:
    """Lock the study's row until the transaction ends, so that a deletion waits. Raises Refused if one has begun."""
    locked = Study.objects.select_for_update(no_key=True).filter(pk=study.pk).first()
    if locked is None or (locked.state == Study.State.DRAFT != study.state):
        raise Refused(f"{study} is being deleted, so nothing more is planned for it.")


def _create(study: Study, manifest: Manifest, plans: Sequence[Planned]) -> None:
    hold(study)  # another process that plans the same study waits, and then finds the rows
    positions = [position for position, _plan in plans]
    existing = set(study.comparisons.filter(position__in=positions).values_list("position", flat=True))
    plans = [(position, plan) for position, plan in plans if position not in existing]
    sets = _sets_of(study, manifest, plans, partial(_image_sets, study, manifest))
    prompts = prompt_rows([manifest.prompts[plan.prompt].text for _position, plan in plans])
    lead = 0 if manifest.voting_rules().needs_lead else None
    turn_of = manifest.turns()
    Comparison.objects.bulk_create(
        Comparison(
            study=study,
            position=position,
            prompt=prompts[manifest.prompts[plan.prompt].text],
            cluster=_cluster(manifest.prompts[plan.prompt]),
            model_a=plan.model_a,
            model_b=plan.model_b,
            image_set_a=set_a,
            image_set_b=set_b,
            overlap=manifest.annotation.overlap,
            lead=lead,
            turn=turn_of[position] if turn_of else None,
        )
        for position, plan in plans
        if (set_a := sets[plan.model_a, plan.prompt]) and (set_b := sets[plan.model_b, plan.prompt])
    )


def _cluster(prompt: PromptPlan) -> str:
    """Return the cluster of the prompt's comparisons; a prompt without one is a cluster of its own."""
    return prompt.cluster or hashlib.sha256(prompt.text.encode()).hexdigest()[:16]


def _sets_of(study: Study, manifest: Manifest, plans: Sequence[Planned], find: Find) -> Sets:
    """Return the image sets of the comparisons: `find` is called once for each model, with each of its prompts once."""
    sets: Sets = {}
    for key, model in study.model_by_key.items():
        of_model = [plan.prompt for _position, plan in plans if key in (plan.model_a, plan.model_b)]
        places = list(dict.fromkeys(of_model))
        found = find(model, [manifest.prompts[place].text for place in places]) if places else []
        sets |= {(key, place): image_set for place, image_set in zip(places, found, strict=True)}
    return sets


def _image_sets(
    study: Study, manifest: Manifest, diffusion_model: DiffusionModel, prompts: Sequence[str]
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


def _gaps(study: Study, manifest: Manifest, plans: Sequence[Planned]) -> list[Gap]:
    """Return the gaps of a study of imported images. They are looked up before anything is locked."""
    if study.source != Study.Source.IMAGES:
        return []
    gaps = []
    wanted = _shown_size(study)
    for start in range(0, len(plans), PROMPTS_AT_ONCE):
        batch = plans[start : start + PROMPTS_AT_ONCE]
        sets = _sets_of(study, manifest, batch, _imported_sets)
        sizes = _sizes_of(image_set for image_set in sets.values() if image_set)
        for position, plan in batch:
            text = manifest.prompts[plan.prompt].text
            pair = {manifest.models[key].name: sets[key, plan.prompt] for key in (plan.model_a, plan.model_b)}
            sentence = _missing_images(text, pair)
            if not sentence:
                of_models = {name: sizes[image_set.pk] for name, image_set in pair.items() if image_set}
                wanted = wanted or next((size for of_model in of_models.values() for size in of_model), None)
                sentence = _other_size(text, wanted, of_models) if wanted else ""
            if sentence:
                gaps.append(Gap(position, sentence))
    return gaps


def _imported_sets(diffusion_model: DiffusionModel, prompts: Sequence[str]) -> Sequence[ImageSet | None]:
    return find_imported_sets(diffusion_model=diffusion_model, prompts=prompts)


def _missing_images(prompt: str, pair: Mapping[str, ImageSet | None]) -> str:
    """Return a sentence if the sets of a pair, by model, lack images or differ in their number; else an empty text."""
    if without := [name for name, image_set in pair.items() if image_set is None]:
        return f'"{prompt}" has no images of {" and ".join(without)}'
    (name_a, count_a), (name_b, count_b) = [(name, len(one.seeds)) for name, one in pair.items() if one]
    if count_a != count_b:
        # A larger set shows more variety: people would compare sizes.
        return f'"{prompt}" has {counted(count_a, "image")} of {name_a} and {count_b} of {name_b}'
    return "" if count_a > 1 else f'"{prompt}" has fewer than two images of each model'


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
