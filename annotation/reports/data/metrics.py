"""Read which metrics have scored a study, which one its report is about, and how long they took."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, Max, Q, QuerySet, Sum

from annotation.models import Comparison, Study
from annotation.studies.comparisons import SIDES, set_ids
from annotation.studies.manifest import Manifest
from annotation.voting.imports.import_runs import refuse_unfinished_import
from jobs.refusals import Refused
from scoring.models import Encoder, SetScore


def in_study(study: Study) -> Q:
    """Return the condition for rows about an image set of the study."""
    return Q(image_set__in=set_ids(study.comparisons.all()))


@dataclass(frozen=True, slots=True)
class Scored:
    """The number of image sets that a metric has scored, and its newest score: a new one whenever a score changes.

    lower: how many of the scores are of a metric of which a lower score is more consistent: none or all.
    """

    count: int
    latest: int
    lower: int = 0


def scored_by(study: Study) -> dict[str, Scored]:
    """Return each metric that has scored an image set of the study, by name. No score is read."""
    scored: dict[str, Scored] = {}
    numbers = {
        "count": Count("pk"),
        "latest": Max("pk"),
        "lower": Count("pk", filter=Q(higher_is_more_consistent=False)),
    }
    of_a, of_b = (scores.values_list("metric").annotate(**numbers) for scores in _scores_by_side(study))
    for metric, count, latest, lower_count in of_a.union(of_b, all=True):
        before = scored.get(metric, Scored(0, 0))
        scored[metric] = Scored(before.count + count, max(before.latest, latest), before.lower + lower_count)
    return dict(sorted(scored.items()))


def lower_metrics(scored: Mapping[str, Scored]) -> tuple[str, ...]:
    """Return the metrics of which a lower score is more consistent. Raises Refused if scores of one point both ways."""
    for metric, found in scored.items():
        if 0 < found.lower < found.count:
            raise Refused(
                f"Scores by {metric} point both ways: some were imported as higher is more consistent, others as "
                "lower. Take one of the imports back, and import its file under another name."
            )
    return tuple(metric for metric, found in scored.items() if found.lower)


def metrics_of(study: Study) -> tuple[str, ...]:
    """Return the names of the metrics that have scored an image set of the study."""
    return tuple(scored_by(study))


def chosen_metric(study: Study, *, manifest: Manifest, metric: str = "") -> str:
    """Return the metric that `gather` would report. Raises Refused as `gather` does."""
    refuse_unfinished_import(study)
    return choose_metric(metrics_of(study), manifest=manifest, wanted=metric)


def choose_metric(metrics: Sequence[str], *, manifest: Manifest, wanted: str) -> str:
    """Return the wanted metric, else the study's own, else the only one that exists. Raises Refused otherwise.

    Empty if an external study has no scores: its encoder scores nothing, so naming it would be wrong.
    """
    if wanted:
        if wanted not in metrics:
            known = ", ".join(metrics) or "none yet"
            raise Refused(f"The study has no scores by the metric {wanted!r}; its metrics: {known}.")
        return wanted
    own = manifest.encoder.metric
    if own in metrics:
        return own
    if not metrics:
        return "" if manifest.source == "external" else own
    if len(metrics) > 1:
        raise Refused(
            f"The study has scores by several metrics: choose one ({', '.join(metrics)}), "
            "on the command line with --metric."
        )
    return metrics[0]


def scores_of(study: Study, *, metric: str) -> dict[int, float]:
    """Return the metric's score of each image set of the study, by the set's id, without unusable ones."""
    sides = (scores.filter(SetScore.USABLE, metric=metric) for scores in _scores_by_side(study))
    return {pk: value for scores in sides for pk, value in scores.values_list("image_set_id", "value")}


def _scores_by_side(study: Study) -> list[QuerySet[SetScore]]:
    """Return the scores of the sets A and of the sets B: two such reads take less time than one IN a union."""
    return [SetScore.objects.filter(image_set__in=study.comparisons.order_by().values(side)) for side in SIDES]


def scored_sets(study: Study, *, metric: str) -> set[int]:
    """Return the image sets of the study that the metric has scored. No score is read."""
    sides = (scores.filter(SetScore.USABLE, metric=metric) for scores in _scores_by_side(study))
    return {pk for scores in sides for pk in scores.values_list("image_set_id", flat=True)}


def unusable_scores(study: Study, rows: Iterable[Comparison]) -> tuple[str, ...]:
    """Return prompt and metric of stored numbers that cannot be scores; databases of version 0.2 may hold some.

    No model is named, so it may be said while the study is sealed.
    """
    unusable = SetScore.objects.filter(~SetScore.USABLE, in_study(study)).values_list("image_set_id", "metric")
    prompts = {getattr(row, f"{side}_id"): row.prompt.text for row in rows for side in SIDES}
    return tuple(sorted({f"“{prompts[pk][:80]}” by {metric}" for pk, metric in unusable}))


def seconds_per_thousand(study: Study, metrics: Iterable[str]) -> dict[str, float]:
    """Return the seconds that each metric takes for a thousand images, with their embeddings; not timed, not returned.

    The time of the embeddings is that of all images that the encoder has embedded on this installation.
    """
    timed = SetScore.objects.filter(in_study(study), metric__in=list(metrics), seconds__isnull=False).order_by()
    rows = timed.values_list("metric").annotate(taken=Sum("seconds"), images=Sum("image_count"))
    encoders = {row.identity: row for row in Encoder.objects.filter(timed_images__gt=0)}
    times = {}
    for metric, taken, images in rows:
        _, _, source = metric.partition("/")
        encoder = encoders.get(source.removeprefix("pairs:"))  # comparers of two images are stored as encoders too
        if encoder or not source:
            embedding = encoder.timed_seconds / encoder.timed_images if encoder else 0.0
            times[metric] = 1000 * (taken / images + embedding)
    return times
