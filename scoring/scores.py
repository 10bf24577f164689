"""Embed an image set, score it, store a score computed elsewhere. Each function may run twice.

This module does not load torch: the encoder is passed in, and `scoring.tasks` loads it.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import F, Q, Sum
from PIL import Image

from generation.models import GeneratedImage, ImageSet
from generation.pictures.files import open_images, opened_in_chunks
from generation.plans.image_sets import is_complete
from jobs.refusals import Refused
from jobs.wording import hidden_character
from scoring.encoder_spec import OWN_ENCODER, Comparer, Embeddings, EncoderSpec, ImageEncoder, document_of
from scoring.metric_spec import (
    LARGEST_SCORE,
    MetricSpec,
    is_score,
    named_functional,
    names_computed_metric,
    score_of_embeddings,
)
from scoring.models import Encoder, ImageEmbedding, MetricSource, PairwiseSimilarities, ScoringJob, SetScore
from scoring.own_metrics import OwnMetric, own_metric
from scoring.pairs import matrix_bytes, score_pairs

SETS_PER_STATEMENT = 1000
CHUNK_SIZE = 32  # images embedded and stored at a time, while the next ones are decoded


def plan_scorings(*, image_set_ids: Collection[int], spec: MetricSpec) -> None:
    """Plan a job for each set, which embeds and scores it by a metric; existing jobs keep their state.

    A job with the same encoder in another folder changes to the new folder. Raises Refused if the encoder's name is too
    long for the name of a metric.
    """
    metric = spec.identity
    refuse_unusable_name(metric)
    wanted = document_of(spec.source)
    jobs = ScoringJob.objects.filter(image_set__in=image_set_ids, metric=metric).order_by()
    planned = {image_set: (pk, document) for image_set, pk, document in jobs.values_list("image_set", "pk", "encoder")}
    # Conflicts are ignored: another process may plan the same jobs at this moment.
    ScoringJob.objects.bulk_create(
        [ScoringJob(image_set_id=pk, metric=metric, encoder=wanted) for pk in image_set_ids if pk not in planned],
        ignore_conflicts=True,
    )
    elsewhere = [pk for pk, document in planned.values() if document != wanted]
    ScoringJob.objects.filter(pk__in=elsewhere).update(encoder=wanted)


def embed_set(*, image_set: ImageSet, encoder: ImageEncoder, check: Callable[[], None] = lambda: None) -> int:
    """Store an embedding of every image of a complete set that has none by this encoder; returns how many.

    `check` is called before each chunk of images and may raise to stop the work.
    Raises Refused for an incomplete set, an unreadable image, an encoder with other weights than its identity had
    before, and embeddings that are not finite.
    """
    _refuse_incomplete(image_set)
    refuse_other_weights(encoder)
    images = list(image_set.images.exclude(embeddings__encoder__identity=encoder.identity).order_by("seed"))
    begun = time.perf_counter()
    for chunk, pictures in opened_in_chunks(images, CHUNK_SIZE):
        check()
        embed_pictures(chunk, pictures, encoder)
        _note_time(encoder.identity, len(chunk), time.perf_counter() - begun)
        begun = time.perf_counter()
    return len(images)


def compare_set(*, image_set: ImageSet, comparer: Comparer) -> bool:
    """Store the distance of each pair of images of a complete set; return False if they were already stored.

    Raises Refused for an incomplete set, an unreadable image, and a comparer with other weights than before.
    """
    _refuse_incomplete(image_set)
    refuse_other_weights(comparer)
    if PairwiseSimilarities.objects.filter(image_set=image_set, name=comparer.identity).exists():
        return False
    images, begun = list(image_set.images.order_by("seed")), time.perf_counter()
    distances = comparer.distances(open_images(images))
    _note_time(comparer.identity, len(images), time.perf_counter() - begun)
    PairwiseSimilarities.objects.get_or_create(
        image_set=image_set,
        name=comparer.identity,
        defaults={
            "seeds": [image.seed for image in images],
            "values": matrix_bytes(distances),
            "are_distances": True,
            "file_sha256": comparer.fingerprint,
        },
    )
    return True


def _note_time(identity: str, images: int, seconds: float) -> None:
    Encoder.objects.filter(identity=identity).update(
        timed_images=F("timed_images") + images, timed_seconds=F("timed_seconds") + seconds
    )


def seconds_per_thousand(in_study: Q, metrics: Iterable[str]) -> dict[str, float]:
    """Return the seconds for a thousand images by metric, with their embeddings; metrics without a timed part lack.

    in_study: the condition for the scores of a study. The time of the embeddings is that of all images that the
    encoder has embedded on this installation.
    """
    timed = SetScore.objects.filter(in_study, metric__in=list(metrics), seconds__isnull=False).order_by()
    rows = timed.values_list("metric").annotate(taken=Sum("seconds"), images=Sum("image_count"))
    encoders = {row.identity: row for row in Encoder.objects.filter(timed_images__gt=0)}
    found = {}
    for metric, taken, images in rows:
        _, _, source = metric.partition("/")
        encoder = encoders.get(source.removeprefix("pairs:"))  # or what compares two images
        if encoder or not source:
            embedding = encoder.timed_seconds / encoder.timed_images if encoder else 0.0
            found[metric] = 1000 * (taken / images + embedding)
    return found


def lacks_embeddings(image_set: ImageSet, encoder: EncoderSpec) -> bool:
    """Return whether an image of a set has no embedding by an encoder."""
    return image_set.images.exclude(embeddings__encoder__identity=encoder.identity).exists()


def score_set(*, image_set: ImageSet, spec: MetricSpec) -> SetScore:
    """Score a set whose images are all embedded or compared, if the metric needs it; an existing score stays.

    Computed in float64 from the stored float32 embeddings, in the order of the seeds.
    Raises Refused for a set that is incomplete or not embedded, for an undefined score, if an imported score has the
    same metric, and for a metric of one's own that fails or whose source is not the one that it had before.
    """
    _refuse_incomplete(image_set)
    standing = SetScore.objects.filter(image_set=image_set, metric=spec.identity).first()
    if standing is None:
        standing = _new_score(image_set, spec)
    if standing.source != SetScore.Source.COMPUTED:
        raise Refused(
            f"{image_set} has an imported score under {spec.identity}: "
            "import scores under a name of their own, or leave the set unscored."
        )
    return standing


def _new_score(image_set: ImageSet, spec: MetricSpec) -> SetScore:
    if spec.is_own:
        return score_by(own_metric(spec.name), image_set, spec)
    return score_pairs(image_set, spec) if spec.similarities else _score(image_set, spec)


def _score(image_set: ImageSet, spec: MetricSpec) -> SetScore:
    """Score a set by a metric that the program knows."""
    functional = named_functional(spec.name)
    if functional is None or spec.encoder is None:
        raise Refused(f"{spec.identity} is no metric of embeddings.")
    embeddings = _all_embeddings_of(image_set, spec.encoder)
    begun = time.perf_counter()
    try:
        value = score_of_embeddings(spec.name, embeddings)
    except ValueError as error:
        raise Refused(f"{image_set} has no score by {spec.encoder.identity}: {error}.") from error
    return _store(image_set, spec, value, time.perf_counter() - begun, functional.higher_is_more_consistent)


def score_by(own: OwnMetric, image_set: ImageSet, spec: MetricSpec) -> SetScore:
    """Score a set by a metric of one's own. Raises Refused as `score_set`."""
    refuse_other_source(own)
    if own.takes == "images":
        given: Any = open_images(list(image_set.images.order_by("seed")))
    elif spec.encoder is None:
        raise Refused(
            f"The metric {own.name} takes embeddings: say of which encoder, with --checkpoint, or write needs = "
            '"embeddings" in the study file.'
        )
    else:
        given = _all_embeddings_of(image_set, spec.encoder)
    begun = time.perf_counter()
    value, seconds = own.score(given), time.perf_counter() - begun
    refuse_other_source(own)  # again: another worker may have scored by another file meanwhile
    return _store(image_set, spec, value, seconds, own.higher_is_more_consistent)


def _store(image_set: ImageSet, spec: MetricSpec, value: float, seconds: float, is_higher: bool) -> SetScore:
    """Store a computed score; another worker may have stored the same one at this moment."""
    stored, _ = SetScore.objects.get_or_create(
        image_set=image_set,
        metric=spec.identity,
        defaults={
            "value": value,
            "image_count": image_set.images.count(),
            "source": SetScore.Source.COMPUTED,
            "seconds": seconds,
            "higher_is_more_consistent": is_higher,
        },
    )
    return stored


def refuse_other_source(own: OwnMetric) -> None:
    """Register the source of a metric of one's own, or refuse if another one has scores: they are never mixed.

    One without scores is replaced: it failed, and was mended.
    """
    known, _ = MetricSource.objects.get_or_create(name=own.name, defaults={"sha256": own.sha256})
    if known.sha256 == own.sha256:
        return
    if SetScore.objects.filter(Q(metric=own.name) | Q(metric__startswith=f"{own.name}/")).exists():
        raise Refused(
            f"The source of {own.name} is not the one that it had before (SHA-256 {own.sha256[:12]}, formerly "
            f"{known.sha256[:12]}): bring the former file back, or give the metric another name."
        )
    MetricSource.objects.filter(pk=known.pk).update(sha256=own.sha256)


@transaction.atomic
def record_imported_scores(
    *, metric: str, values: Mapping[int, float], higher_is_more_consistent: bool
) -> Collection[int]:
    """Store scores that were computed elsewhere, by the id of the image set. Equal existing scores stay unchanged.

    Returns the sets that have another score by the metric; if there are any, nothing is stored.
    Raises Refused for a value that is not finite, a metric without a name, and the name of a computed metric.
    """
    refuse_name_of_imported(metric)
    for value in values.values():
        if not is_score(value):
            raise Refused(f"{value} is not a score: a finite number up to {LARGEST_SCORE:g} is needed.")
    standing = _standing_scores(metric, values)
    others = _others(standing, values)
    if not others:
        SetScore.objects.bulk_create(
            SetScore(
                image_set_id=pk,
                metric=metric,
                value=value,
                source=SetScore.Source.IMPORTED,
                higher_is_more_consistent=higher_is_more_consistent,
            )
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
        np.frombuffer(vector, ImageEmbedding.STORED_TYPE)
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


def refuse_name_of_imported(metric: str) -> None:
    """Raise Refused as `refuse_unusable_name`, and for a name under which scores would pass for computed ones."""
    refuse_unusable_name(metric)
    if names_computed_metric(metric):
        raise Refused(
            f"{metric} is the name of a metric that is computed here, so imported scores would pass for computed ones: "
            "import them under another name, such as imported-metric."
        )


def _refuse_incomplete(image_set: ImageSet) -> None:
    if image_set.origin == ImageSet.Origin.EXTERNAL:
        raise Refused(f"{image_set} has no images here, so it cannot be scored: import its scores.")
    if not is_complete(image_set):
        raise Refused(
            f"{image_set} has {image_set.images.count()} of {len(image_set.seeds)} images: "
            "it is scored when all of them are there."
        )


def refuse_other_weights(encoder: ImageEncoder | Comparer) -> None:
    """Register the weights of an identity, or refuse if others are registered: embeddings are never mixed.

    A function of one's own that has embedded nothing yet is replaced: it failed, and was mended.
    """
    found = {"fingerprint": encoder.fingerprint, "provenance": encoder.provenance}
    known, _ = Encoder.objects.get_or_create(identity=encoder.identity, defaults=found)
    if known.fingerprint == encoder.fingerprint:
        return
    # The weights of a checkpoint never change, and another worker may be embedding by those that are registered.
    if encoder.spec.kind != OWN_ENCODER or known.embeddings.exists():
        raise Refused(
            f"The files of {encoder.spec.checkpoint} are not those that {encoder.identity} stood for before "
            f"(SHA-256 {encoder.fingerprint[:12]}, formerly {known.fingerprint[:12]}): "
            "bring the former files back, or give these a folder of another name."
        )
    Encoder.objects.filter(pk=known.pk).update(**found)


def embed_pictures(images: Sequence[GeneratedImage], pictures: Sequence[Image.Image], encoder: ImageEncoder) -> None:
    """Store the embeddings of images whose pixels are at hand.

    Raises Refused for embeddings that are not finite, and for another number of dimensions than earlier ones had.
    """
    vectors = encoder.embed(pictures)
    what = "function" if encoder.spec.kind == OWN_ENCODER else "weights"
    if not np.isfinite(vectors).all():
        raise Refused(
            f"{encoder.identity} gave embeddings that are not finite for {images[0].image_set}: check its {what}."
        )
    stored = (
        ImageEmbedding.objects.filter(encoder__identity=encoder.identity).order_by().values_list("dimension", flat=True)
    )
    if (earlier := stored[:1]) and earlier[0] != vectors.shape[1]:
        raise Refused(
            f"{encoder.identity} gave embeddings of {vectors.shape[1]} dimensions for {images[0].image_set}, and of "
            f"{earlier[0]} for others: check its {what}."
        )
    rows = [
        ImageEmbedding(
            image=image,
            encoder_id=encoder.identity,
            dimension=len(vector),
            vector=vector.astype(ImageEmbedding.STORED_TYPE).tobytes(),
        )
        for image, vector in zip(images, vectors, strict=True)
    ]
    # Conflicts are ignored: another worker that embedded the same image stored the same vector.
    ImageEmbedding.objects.bulk_create(rows, ignore_conflicts=True)


def _all_embeddings_of(image_set: ImageSet, encoder: EncoderSpec) -> Embeddings:
    embeddings = embeddings_of(image_set, encoder.identity)
    if len(embeddings) < image_set.images.count():
        raise Refused(
            f"{image_set} has {len(embeddings)} of {image_set.images.count()} images embedded by {encoder.identity}: "
            "embed the set first."
        )
    return embeddings
