"""Database -> every comparison of a study as the explorer lists it. Scores are read here, so nothing sealed passes."""

from collections.abc import Sequence

import numpy as np
from django.db.models import Count
from numpy.typing import NDArray

from annotation.models import Study, Vote
from annotation.reports.agreement_report import ComparisonRow
from annotation.reports.comparison_rows import comparison_rows
from annotation.reports.counting import outcome_of
from annotation.reports.gathering import (
    CHOICE,
    EXCLUDED,
    chosen_metric,
    is_sealed,
    main_votes,
    scores_of,
)
from annotation.studies.manifest import Manifest
from generation.refusals import Refused


def explored_metric(study: Study, *, manifest: Manifest, metric: str = "") -> str:
    """The metric to explore by, chosen as for a report. Raises Refused for an unknown one and while sealed."""
    if is_sealed(study, manifest=manifest):
        raise Refused("The study is sealed until it closes: its comparisons show scores, winners and votes.")
    return chosen_metric(study, manifest=manifest, metric=metric)


def explored_rows(study: Study, *, metric: str) -> tuple[ComparisonRow, ...]:
    """Every comparison of a study that is not sealed, as in the report: counted by the database, no vote is loaded."""
    rows = list(
        study.comparisons.order_by("position").values_list(
            "pk", "position", "prompt__text", "image_set_a", "image_set_b"
        )
    )
    scores = scores_of(study, metric=metric)
    score_a = np.array([scores.get(row[3], np.nan) for row in rows], dtype=np.float64)
    score_b = np.array([scores.get(row[4], np.nan) for row in rows], dtype=np.float64)
    return comparison_rows(
        outcome_of(_vote_counts(study, [row[0] for row in rows]), score_a - score_b),
        positions=[row[1] for row in rows],
        prompts=[row[2] for row in rows],
        score_a=score_a,
        score_b=score_b,
    )


def _vote_counts(study: Study, comparisons: Sequence[int]) -> NDArray[np.int64]:
    """(n, 3) counted votes for A, for B, for neither of the comparisons of these ids."""
    counts = np.zeros((len(comparisons), 3), dtype=np.int64)
    place = {pk: index for index, pk in enumerate(comparisons)}
    counted = main_votes(study).filter(state=Vote.State.STANDING).exclude(EXCLUDED).order_by()
    grouped = counted.annotate(chosen=CHOICE).values_list("assignment__comparison_id", "chosen").annotate(Count("pk"))
    for pk, chosen, count in grouped:
        counts[place[pk], chosen] = count
    return counts
