"""Plan image sets and their jobs, find them, and drop a seed. A set's uid is computed from its plan's fingerprint."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Model

from generation.models import DiffusionModel, GeneratedImage, GenerationJob, ImageSet, Prompt, RefusedSeed
from generation.plans.parameters import SPEED_FIELDS, SamplingParameters
from jobs.claims import requeue
from jobs.refusals import Refused

CHUNK_SIZE = 20  # seeds in one job: a set of the original study; larger batches bring little
LARGEST_SEED = 2**63 - 1  # of imported images, where a seed is only a name
LARGEST_GENERATED_SEED = 2**32 - 1  # torch's generator on the CPU takes 32 bits: a larger seed repeats a smaller one
# Of a model, added after version 0.2.0.
LATER_FIELDS = ("variant", "lora_file", "vae_dtype", "options", "endpoint", *SPEED_FIELDS)
PROMPTS_PER_STATEMENT = 500  # each with two uids; a statement may hold a limited number of values
M = TypeVar("M", bound=Model)
_UIDS = uuid.UUID("1f0c54a0-3e0d-4c87-9a43-5d1c3fd0a0b5")


@transaction.atomic
def plan_image_sets(
    *, diffusion_model: DiffusionModel, prompts: Sequence[str], parameters: SamplingParameters, seeds: Sequence[int]
) -> list[ImageSet]:
    """Return the set of each prompt with this plan; missing sets and jobs are created, in a few statements for all.

    Raises Refused for a blank prompt, no seeds, a repeated seed, or a seed below 0 or above LARGEST_GENERATED_SEED.
    Existing plans with larger seeds, which an earlier version made, are still valid.
    """
    _check_seeds(seeds)
    if diffusion_model.dtype_in_use == DiffusionModel.Dtype.AUTO:
        raise Refused(f"{diffusion_model}: its dtype is auto and no worker has tried it yet: launch its study.")
    made = ImageSet.objects.filter(diffusion_model=diffusion_model, origin=ImageSet.Origin.GENERATED)
    if max(seeds) > LARGEST_GENERATED_SEED and not made.filter(seeds=list(seeds)).exists():
        raise Refused(seed_too_large(max(seeds)))
    plan = {"parameters": parameters.as_document(), "seeds": list(seeds)}
    image_sets = _planned(diffusion_model, prompts, ImageSet.Origin.GENERATED, plan)
    plan_jobs(image_sets)
    return image_sets


def plan_imported_set(*, diffusion_model: DiffusionModel, prompt: str, seeds: Sequence[int]) -> ImageSet:
    """Return the set for this model's imported images of a prompt, created if missing: one for each (model, prompt)."""
    _check_seeds(seeds)
    return _planned(diffusion_model, [prompt], ImageSet.Origin.IMPORTED, {"seeds": list(seeds)})[0]


def plan_external_sets(*, diffusion_model: DiffusionModel, prompts: Sequence[str], lot: str) -> list[ImageSet]:
    """Return sets whose images are elsewhere; `lot` (the study, say) separates sets with equal prompts."""
    return _planned(diffusion_model, prompts, ImageSet.Origin.EXTERNAL, {"lot": lot})


def imported_uid(*, model: str, prompt: str) -> uuid.UUID:
    """Return the uid of the set for a model's imported images of a prompt, whether the set exists or not."""
    return _uid(_fingerprint(DiffusionModel(name=model), [ImageSet.Origin.IMPORTED.value, prompt, prompt], {}))


def find_imported_sets(*, diffusion_model: DiffusionModel, prompts: Sequence[str]) -> list[ImageSet | None]:
    """Find a model's imported images for each base prompt, or else for the prompt that its template renders."""
    uids = [
        [
            imported_uid(model=diffusion_model.name, prompt=wording)
            for wording in (prompt, diffusion_model.render_prompt(prompt))
        ]
        for prompt in prompts
    ]
    image_sets: dict[uuid.UUID, ImageSet] = {}
    for start in range(0, len(uids), PROMPTS_PER_STATEMENT):
        wanted = chain.from_iterable(uids[start : start + PROMPTS_PER_STATEMENT])
        image_sets |= {image_set.uid: image_set for image_set in ImageSet.objects.filter(uid__in=wanted)}
    return [image_sets.get(plain) or image_sets.get(rendered) for plain, rendered in uids]


def missing_seeds(image_set: ImageSet) -> list[int]:
    """Return the planned seeds without an image, in the plan's order."""
    present = set(image_set.images.values_list("seed", flat=True))
    return [seed for seed in image_set.seeds if seed not in present]


def is_complete(image_set: ImageSet) -> bool:
    """Whether every planned image exists (an external set plans none)."""
    return not missing_seeds(image_set)


@transaction.atomic
def without_seed(*, image_set: ImageSet, seed: int) -> ImageSet:
    """Return a set with the same plan less one seed. Existing images are linked; jobs are planned for the rest only.

    Raises Refused if the set has no such seed or only this one.
    """
    if seed not in image_set.seeds:
        raise Refused(f"The image set {image_set} has no seed {seed}.")
    seeds = [other for other in image_set.seeds if other != seed]
    _check_seeds(seeds)
    lot = f"{image_set.lot} without {seed}".strip() if image_set.origin == ImageSet.Origin.IMPORTED else ""
    plan = {"parameters": image_set.parameters, "seeds": seeds, "lot": lot}
    origin = ImageSet.Origin(image_set.origin)
    [smaller] = _planned(image_set.diffusion_model, [image_set.prompt.text], origin, plan)
    absent = image_set.images.filter(seed__in=missing_seeds(smaller))
    shared = ("seed", "path", "sha256", "width", "height", "byte_count", "provenance")
    GeneratedImage.objects.bulk_create(
        [GeneratedImage(image_set=smaller, **fields) for fields in absent.values(*shared)], ignore_conflicts=True
    )
    refused = image_set.refused_seeds.filter(seed__in=seeds)
    RefusedSeed.objects.bulk_create(
        [RefusedSeed(image_set=smaller, seed=one.seed, reason=one.reason) for one in refused], ignore_conflicts=True
    )
    if smaller.origin == ImageSet.Origin.GENERATED:
        plan_jobs([smaller])
    return smaller


def seed_too_large(seed: int) -> str:
    """Return the message about a seed that is too large to generate an image from."""
    return (
        f"seed {seed} is out of range: seeds of generated images are whole numbers from 0 to {LARGEST_GENERATED_SEED}, "
        f"and this one would give the image of seed {seed % (LARGEST_GENERATED_SEED + 1)}."
    )


def _check_seeds(seeds: Sequence[int]) -> None:
    if not seeds:
        raise Refused("An image set needs at least one seed.")
    if len(set(seeds)) < len(seeds):
        twice = next(seed for seed in seeds if list(seeds).count(seed) > 1)
        raise Refused(f"Seed {twice} is given twice: each image of a set has a seed of its own.")
    for seed in seeds:
        if not 0 <= seed <= LARGEST_SEED:
            raise Refused(f"Seed {seed} is out of range: seeds are whole numbers from 0 to {LARGEST_SEED}.")


def _planned(
    diffusion_model: DiffusionModel, prompts: Sequence[str], origin: ImageSet.Origin, plan: dict[str, Any]
) -> list[ImageSet]:
    """Return the set of each prompt; missing prompts and sets are created."""
    if not all(prompt.strip() for prompt in prompts):
        raise Refused(f"A prompt for {diffusion_model} is blank.")
    is_generated = origin == ImageSet.Origin.GENERATED
    rows = prompt_rows(prompts)
    planned = []
    for prompt in prompts:
        wording = diffusion_model.render_prompt(prompt) if is_generated else prompt
        fingerprint = _fingerprint(diffusion_model, [origin.value, prompt, wording], plan)
        planned.append(
            ImageSet(
                fingerprint=fingerprint,
                uid=_uid(fingerprint),
                diffusion_model=diffusion_model,
                prompt=rows[prompt],
                origin=origin,
                rendered_prompt=wording,
                **plan,
            )
        )
    rows_by_key = _present(ImageSet, "fingerprint", planned)
    return [rows_by_key[one.fingerprint] for one in planned]


def prompt_rows(texts: Sequence[str]) -> dict[str, Prompt]:
    """Return the base prompts of these texts, by text; missing ones are created."""
    return _present(Prompt, "text", [Prompt(text=text) for text in dict.fromkeys(texts)])


def _present(model: type[M], key: str, wanted: Sequence[M]) -> dict[str, M]:
    """Return the rows of these keys; missing ones are stored. Another process may store the same rows meanwhile."""
    rows = {getattr(one, key): one for one in wanted}
    rows_by_key = _by_key(model, key, rows)
    # Always in the same order, so that no two processes block each other.
    absent = [rows[value] for value in sorted(rows.keys() - rows_by_key.keys())]
    if absent:
        model._default_manager.bulk_create(absent, ignore_conflicts=True)
        rows_by_key |= _by_key(model, key, [getattr(one, key) for one in absent])
    return rows_by_key


def _by_key(model: type[M], key: str, values: Iterable[str]) -> dict[str, M]:
    return {getattr(one, key): one for one in model._default_manager.filter(**{f"{key}__in": list(values)}).order_by()}


def _uid(fingerprint: str) -> uuid.UUID:
    return uuid.uuid5(_UIDS, fingerprint)


def _fingerprint(model: DiffusionModel, wording: list[str], plan: dict[str, Any]) -> str:
    """Return the hash of a plan. The seeds of imported images are no part of it: they form one set."""
    if wording[0] == ImageSet.Origin.GENERATED:
        weights: list[Any] = [
            model.checkpoint,
            model.revision,
            model.lora,
            model.lora_revision,
            model.lora_scale,
            model.dtype_in_use,
        ]
        # Keys of later versions count only if they are set, so that earlier plans keep their fingerprints.
        later = {name: value for name in LATER_FIELDS if (value := getattr(model, name))}
        weights += [later] if later else []
        identity = [model.name, weights, wording, plan["parameters"], plan["seeds"]]
    else:
        identity = [model.name, wording, plan.get("lot", "")]
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def plan_jobs(image_sets: Sequence[ImageSet]) -> None:
    """Plan a job for each chunk with missing images; a cancelled job, or one whose images are gone, is requeued."""
    images = GeneratedImage.objects.filter(image_set__in=image_sets).order_by()
    present = set(images.values_list("image_set_id", "seed"))
    wanted = [
        GenerationJob(image_set=image_set, chunk=chunk, seeds=image_set.seeds[start : start + CHUNK_SIZE])
        for image_set in image_sets
        for chunk, start in enumerate(range(0, len(image_set.seeds), CHUNK_SIZE))
        if not all((image_set.pk, seed) in present for seed in image_set.seeds[start : start + CHUNK_SIZE])
    ]
    jobs = GenerationJob.objects.filter(image_set__in=image_sets).order_by()
    known = {(image_set, chunk): pk for image_set, chunk, pk in jobs.values_list("image_set_id", "chunk", "pk")}
    new = [job for job in wanted if (job.image_set_id, job.chunk) not in known]
    GenerationJob.objects.bulk_create(new, ignore_conflicts=True)
    again = [known[key] for job in wanted if (key := (job.image_set_id, job.chunk)) in known]
    states = GenerationJob.State
    these = GenerationJob.objects.filter(pk__in=again)
    these.filter(state=states.RUNNING).update(is_cancel_requested=False)
    requeue(these.filter(state__in=(states.CANCELLED, states.DONE)))
