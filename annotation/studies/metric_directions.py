"""Which way the metrics of a study point: whether a higher or a lower score is more consistent. Never guessed."""

from django.db.models import QuerySet

from annotation.models import Study
from annotation.studies.comparisons import set_ids
from annotation.studies.current import current_manifest
from jobs.refusals import Refused
from scoring.models import SetScore

_NAMES = {True: "higher is more consistent", False: "lower is more consistent"}


def score_direction(study: Study, metric: str, *, told: bool | None) -> bool:
    """Return whether a higher score by the metric is more consistent, as told or as the study knows.

    Raises Refused if nobody has said it, and if it was told otherwise than the study knows.
    """
    known = _known(study, metric)
    if known is None and told is None:
        raise Refused(
            f"It is not known which way {metric} points, and the wrong way turns every winner round: add "
            "--higher-is-more-consistent or --lower-is-more-consistent (as for LPIPS, a distance)."
        )
    if known is not None and told is not None and known != told:
        raise Refused(
            f"In this study {metric} is a metric of which {_NAMES[known]}: import the scores under another name, or "
            "take the former ones back first."
        )
    return bool(known if told is None else told)


def _known(study: Study, metric: str) -> bool | None:
    """Return what the manifest, or else earlier scores of the study, say of the metric; None if neither knows it."""
    manifest = current_manifest(study)
    declared = [plan for plan in manifest.metrics if plan.needs == "scores" and plan.name == metric]
    return (
        declared[0].higher_is_more_consistent
        if declared
        else _stored(study, metric).values_list("higher_is_more_consistent", flat=True).first()
    )


def _stored(study: Study, metric: str) -> QuerySet[SetScore]:
    return SetScore.objects.filter(metric=metric, image_set__in=set_ids(study.comparisons.all()))
