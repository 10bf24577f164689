"""Score an image set, and store scores computed elsewhere. Each function may run twice."""

import time
from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q

from generation.models import ImageSet
from generation.pictures.files import open_images
from jobs.refusals import Refused
from jobs.wording import hidden_character
from scoring.embeddings import all_embeddings_of, refuse_incomplete
from scoring.encoder_spec import document_of
from scoring.metric_spec import (
    LARGEST_SCORE,
    MetricSpec,
    is_score,
    named_functional,
    names_computed_metric,
    score_of_embeddings,
    score_of_pairs,
)
from scoring.models import MetricSource, PairwiseSimilarities, ScoringJob, SetScore
from scoring.own_metrics import OwnMetric, own_metric
from scoring.pairs import similarities_of

SETS_PER_STATEMENT = 1000


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


def score_set(*, image_set: ImageSet, spec: MetricSpec) -> SetScore:
    """Score a set whose images are all embedded or compared, if the metric needs it; an existing score stays.

    Computed in float64 from the stored float32 embeddings, in the order of the seeds.
    Raises Refused for a set that is incomplete or not embedded, for an undefined score, if an imported score has the
    same metric, and for a metric of one's own that fails or whose source is not the one that it had before.
    """
    refuse_incomplete(image_set)
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
    embeddings = all_embeddings_of(image_set, spec.encoder)
    begun = time.perf_counter()
    try:
        value = score_of_embeddings(spec.name, embeddings)
    except ValueError as error:
        raise Refused(f"{image_set} has no score by {spec.encoder.identity}: {error}.") from error
    seconds, is_higher = time.perf_counter() - begun, functional.higher_is_more_consistent
    return _store(image_set, spec, value, seconds, is_higher, image_count=len(embeddings))


def score_pairs(image_set: ImageSet, spec: MetricSpec) -> SetScore:
    """Score a set by its stored similarities; an existing score is returned unchanged.

    Raises Refused for a set without similarities of this name, and for an undefined score.
    """
    stored = PairwiseSimilarities.objects.filter(image_set=image_set, name=spec.similarities).first()
    if stored is None:
        raise Refused(f"{image_set} has no similarities under {spec.similarities}: import or compute them first.")
    begun = time.perf_counter()
    value, is_higher = score_of_stored(stored, spec)
    return _store(image_set, spec, value, time.perf_counter() - begun, is_higher, image_count=len(stored.seeds))


def score_of_stored(stored: PairwiseSimilarities, spec: MetricSpec) -> tuple[float, bool]:
    """Return the score by similarities, and whether a higher one is more consistent. Raises Refused if undefined."""
    try:
        functional = named_functional(spec.name)
        if functional is None:
            raise ValueError(f"{spec.name} takes embeddings or images")
        return score_of_pairs(spec.name, *similarities_of(stored)), functional.higher_is_more_consistent
    except ValueError as error:
        raise Refused(f"{stored.image_set} has no score by {spec.identity}: {error}.") from error


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
        given = all_embeddings_of(image_set, spec.encoder)
    begun = time.perf_counter()
    value, seconds = own.score(given), time.perf_counter() - begun
    refuse_other_source(own)  # again: another worker may have scored by another file meanwhile
    return _store(image_set, spec, value, seconds, own.higher_is_more_consistent, image_count=len(given))


def _store(
    image_set: ImageSet, spec: MetricSpec, value: float, seconds: float, is_higher: bool, *, image_count: int
) -> SetScore:
    """Store a computed score; another worker may have stored the same one at this moment."""
    stored, _ = SetScore.objects.get_or_create(
        image_set=image_set,
        metric=spec.identity,
        defaults={
            "value": value,
            "image_count": image_count,
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
