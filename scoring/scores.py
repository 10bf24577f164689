"""Embed an image set, score it, store a score computed elsewhere. Each function may run twice.

This module does not load torch: the encoder is passed in, and `scoring.tasks` loads it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from django.db import transaction
from numpy.typing import NDArray
from PIL import Image

from generation.models import GeneratedImage, ImageSet
from generation.pictures.files import open_image
from generation.plans.image_sets import is_complete
from jobs.refusals import Refused
from jobs.wording import hidden_character
from scoring.consistency import semantic_consistency_score
from scoring.encoder_spec import EncoderSpec
from scoring.models import Encoder, ImageEmbedding, ScoringJob, SetScore

if TYPE_CHECKING:
    from scoring.encoders import ImageEncoder

Embeddings = NDArray[np.float32]

STORED_TYPE = np.dtype("<f4")  # the same bytes on every machine
SETS_PER_STATEMENT = 1000
CHUNK_SIZE = 32  # images held decoded at a time; what has been embedded is stored before the next are opened


def plan_scorings(*, image_set_ids: Collection[int], encoder: EncoderSpec) -> None:
    """Plan a job for each set, which embeds and scores it with an encoder; existing jobs keep their state.

    A job with the same encoder in another folder changes to the new folder. Raises Refused if the encoder's name is too
    long for the name of a metric.
    """
    refuse_unusable_name(encoder.metric)
    wanted = asdict(encoder)
    jobs = ScoringJob.objects.filter(image_set__in=image_set_ids, metric=encoder.metric).order_by()
    planned = {image_set: (pk, document) for image_set, pk, document in jobs.values_list("image_set", "pk", "encoder")}
    # Conflicts are ignored: another process may plan the same jobs at this moment.
    ScoringJob.objects.bulk_create(
        [
            ScoringJob(image_set_id=pk, metric=encoder.metric, encoder=wanted)
            for pk in image_set_ids
            if pk not in planned
        ],
        ignore_conflicts=True,
    )
    elsewhere = [pk for pk, document in planned.values() if document != wanted]
    ScoringJob.objects.filter(pk__in=elsewhere).update(encoder=wanted)


def embed_set(*, image_set: ImageSet, encoder: "ImageEncoder", check: Callable[[], None] = lambda: None) -> int:
    """Store an embedding of every image of a complete set that has none by this encoder; returns how many.

    `check` is called before each chunk of images and may raise to stop the work.
    Raises Refused for an incomplete set, an unreadable image, an encoder with other weights than its identity had
    before, and embeddings that are not finite.
    """
    _refuse_incomplete(image_set)
    refuse_other_weights(encoder)
    images = list(image_set.images.exclude(embeddings__encoder__identity=encoder.identity).order_by("seed"))
    for start in range(0, len(images), CHUNK_SIZE):
        check()
        _embed(images[start : start + CHUNK_SIZE], encoder)
    return len(images)


def score_set(*, image_set: ImageSet, encoder: EncoderSpec) -> SetScore:
    """Score a set whose images are all embedded; an existing score is returned unchanged.

    Computed in float64 from the stored float32 embeddings, in the order of the seeds.
    Raises Refused for a set that is incomplete or not embedded, for an undefined score, and if an imported score has
    the same metric.
    """
    _refuse_incomplete(image_set)
    standing = SetScore.objects.filter(image_set=image_set, metric=encoder.metric).first()
    if standing is None:
        value, image_count = _compute(image_set, encoder)
        standing, _ = SetScore.objects.get_or_create(
            image_set=image_set,
            metric=encoder.metric,
            defaults={"value": value, "image_count": image_count, "source": SetScore.Source.COMPUTED},
        )
    if standing.source != SetScore.Source.COMPUTED:
        raise Refused(
            f"{image_set} has an imported score under {encoder.metric}: "
            "import scores under a name of their own, or leave the set unscored."
        )
    return standing


@transaction.atomic
def record_imported_scores(*, metric: str, values: Mapping[int, float]) -> Collection[int]:
    """Store scores that were computed elsewhere, by the id of the image set. Equal existing scores stay unchanged.

    Returns the sets that have another score by the metric; if there are any, nothing is stored.
    Raises Refused for a value that is not finite and a metric without a name.
    """
    refuse_unusable_name(metric)
    for value in values.values():
        if not isfinite(value):
            raise Refused(f"{value} is no score: a finite number is needed.")
    standing = _standing_scores(metric, values)
    others = _others(standing, values)
    if not others:
        SetScore.objects.bulk_create(
            SetScore(image_set_id=pk, metric=metric, value=value, source=SetScore.Source.IMPORTED)
            for pk, value in values.items()
            if pk not in standing
        )
    return sorted(others)


def other_scores(*, metric: str, values: Mapping[int, float]) -> set[int]:
    """Return the image sets that have another score by the metric than the given one."""
    return _others(_standing_scores(metric, values), values)


def _others(standing: Mapping[int, float], values: Mapping[int, float]) -> set[int]:
    return {pk for pk, value in values.items() if standing.get(pk, value) != value}


def _standing_scores(metric: str, image_sets: Collection[int]) -> dict[int, float]:
    """Return the metric's scores of these sets only: other studies may have a million."""
    ids, standing = sorted(image_sets), dict[int, float]()
    for start in range(0, len(ids), SETS_PER_STATEMENT):
        scores = SetScore.objects.filter(metric=metric, image_set__in=ids[start : start + SETS_PER_STATEMENT])
        standing.update(scores.values_list("image_set", "value"))
    return standing


def embeddings_of(image_set: ImageSet, encoder_identity: str) -> Embeddings:
    """Return the stored embeddings of a set: float32 (n, d), one row for each image in ascending order of the seeds.

    Images without an embedding have no row. Without any embedding the shape is (0, 0).
    """
    vectors = ImageEmbedding.objects.filter(image__image_set=image_set, encoder__identity=encoder_identity)
    rows = [
        np.frombuffer(vector, STORED_TYPE)
        for vector in vectors.order_by("image__seed").values_list("vector", flat=True)
    ]
    return np.stack(rows).astype(np.float32, copy=False) if rows else np.empty((0, 0), np.float32)


def refuse_unusable_name(metric: str) -> None:
    """Raise Refused for a metric whose name is blank or too long, or looks like another name when it is shown."""
    longest = SetScore._meta.get_field("metric").max_length or 0
    if not 0 < len(metric.strip()) <= longest:
        raise Refused(f"A metric needs a name of 1 to {longest} characters, not {metric[:40]!r}.")
    if metric != metric.strip() or hidden_character(metric):
        rule = "is one line, without characters that are not seen and without blanks at its ends"
        raise Refused(f"A metric's name {rule}, not {metric[:40]!r}.")


def _refuse_incomplete(image_set: ImageSet) -> None:
    if image_set.origin == ImageSet.Origin.EXTERNAL:
        raise Refused(f"{image_set} has no images here, so it cannot be scored: import its scores.")
    if not is_complete(image_set):
        raise Refused(
            f"{image_set} has {image_set.images.count()} of {len(image_set.seeds)} images: "
            "it is scored when all of them are there."
        )


def refuse_other_weights(encoder: "ImageEncoder") -> None:
    """Register the weights of an identity, or refuse if others are registered: embeddings are never mixed."""
    known, _ = Encoder.objects.get_or_create(
        identity=encoder.identity,
        defaults={"fingerprint": encoder.fingerprint, "provenance": encoder.provenance},
    )
    if known.fingerprint != encoder.fingerprint:
        raise Refused(
            f"The files of {encoder.spec.checkpoint} are not those that {encoder.identity} stood for before "
            f"(SHA-256 {encoder.fingerprint[:12]}, formerly {known.fingerprint[:12]}): "
            "bring the former files back, or give these a folder of another name."
        )


def _embed(images: Sequence[GeneratedImage], encoder: "ImageEncoder") -> None:
    embed_pictures(images, [open_image(image) for image in images], encoder)


def embed_pictures(images: Sequence[GeneratedImage], pictures: Sequence[Image.Image], encoder: "ImageEncoder") -> None:
    """Store the embeddings of images whose pixels are at hand. Raises Refused for embeddings that are not finite."""
    vectors = encoder.embed(pictures)
    if not np.isfinite(vectors).all():
        raise Refused(
            f"{encoder.identity} gave embeddings that are not finite for {images[0].image_set}: check its weights."
        )
    rows = [
        ImageEmbedding(
            image=image,
            encoder_id=encoder.identity,
            dimension=len(vector),
            vector=vector.astype(STORED_TYPE).tobytes(),
        )
        for image, vector in zip(images, vectors, strict=True)
    ]
    # Conflicts are ignored: another worker that embedded the same image stored the same vector.
    ImageEmbedding.objects.bulk_create(rows, ignore_conflicts=True)


def _compute(image_set: ImageSet, encoder: EncoderSpec) -> tuple[float, int]:
    embeddings = embeddings_of(image_set, encoder.identity)
    if len(embeddings) < image_set.images.count():
        raise Refused(
            f"{image_set} has {len(embeddings)} of {image_set.images.count()} images embedded by {encoder.identity}: "
            "embed the set first."
        )
    try:
        return semantic_consistency_score(embeddings), len(embeddings)
    except ValueError as error:
        raise Refused(f"{image_set} has no score by {encoder.identity}: {error}.") from error
