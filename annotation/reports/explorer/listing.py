"""Read the comparisons of a study as the explorer lists them. Scores are read, so a sealed study is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from cachetools import LRUCache, cached
from numpy.typing import NDArray

from annotation.models import Study
from annotation.reports.data.metrics import choose_metric, lower_metrics, scored_by, scores_of
from annotation.reports.data.study_data import oriented
from annotation.reports.findings.agreement.comparisons import ComparisonRow, comparison_rows
from annotation.reports.findings.analysed import Outcome
from annotation.studies.manifest import Manifest
from annotation.studies.sealing import is_sealed
from annotation.voting.imports.import_runs import refuse_unfinished_import
from jobs.refusals import Refused

MAX_ROWS = 100_000  # cached by one process, over all studies; about half a kilobyte each


@dataclass(frozen=True, slots=True)
class Listing:
    """The comparisons of a study by one of its metrics, in the study's order."""

    metric: str
    metrics: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]


def list_comparisons(study: Study, *, manifest: Manifest, metric: str = "") -> Listing:
    """Return each comparison as in the report, by the metric that a report would take.

    No vote is read: comparisons count their votes. A process computes the rows again only if votes or scores changed.
    Raises Refused for an unknown metric and while the study is sealed.
    """
    if is_sealed(study, manifest=manifest):
        raise Refused("The study is sealed until it closes: its comparisons show scores, winners and votes.")
    refuse_unfinished_import(study)
    scored = scored_by(study)
    chosen = choose_metric(tuple(scored), manifest=manifest, wanted=metric)
    counters = study.comparisons.order_by("position").values_list("votes_a", "votes_b", "votes_tie")
    counts = np.array(list(counters), dtype=np.int64).reshape(-1, 3)
    # Scores are never edited, so their number and the newest one identify them.
    version = (study.pk, study.created_at, chosen, tuple(scored.items()), counts.tobytes())
    metrics = (chosen, *(name for name in scored if name != chosen))
    names = {key: plan.name for key, plan in manifest.models.items()}
    return Listing(chosen, tuple(scored), _rows(version, study, metrics, lower_metrics(scored), counts, names))


@cached(
    LRUCache(MAX_ROWS, getsizeof=len),
    key=lambda version, *_arguments: version,
    lock=Lock(),
)
def _rows(
    _version: object,
    study: Study,
    metrics: Sequence[str],
    lower: Sequence[str],
    counts: NDArray[np.int64],
    names: Mapping[str, str],
) -> tuple[ComparisonRow, ...]:
    """metrics: the chosen one, then the others. lower: those of which less is more consistent. names: models by key."""
    columns_of_rows = ("position", "prompt__text", "image_set_a", "image_set_b", "model_a", "model_b")
    rows = list(study.comparisons.order_by("position").values_list(*columns_of_rows))
    margins, columns = [], []
    for metric in metrics:
        scores = scores_of(study, metric=metric)
        score_a = np.array([scores.get(row[2], np.nan) for row in rows], dtype=np.float64)
        score_b = np.array([scores.get(row[3], np.nan) for row in rows], dtype=np.float64)
        columns.append((score_a, score_b))
        margins.append(oriented(score_a, score_b, is_lower=metric in lower))
    return comparison_rows(
        Outcome.of(counts, margins[0]),
        positions=[row[0] for row in rows],
        prompts=[row[1] for row in rows],
        models=[(names[row[4]], names[row[5]]) for row in rows],
        score_a=columns[0][0],
        score_b=columns[0][1],
        other_margins=margins[1:],
    )
