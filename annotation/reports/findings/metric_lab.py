"""Several metrics judged by the same votes. Pure."""

from dataclasses import dataclass

import numpy as np

from annotation.reports.counting import Outcome
from annotation.reports.study_data import StudyData
from scoring.statistics.agreement import agreement, metric_winners
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import Resampling
from scoring.statistics.metric_pairs import MetricPair, compare_metrics


@dataclass(frozen=True, slots=True)
class MetricAgreement:
    """Strict agreement of one metric: over all comparisons that it scored, and over those that every metric scored."""

    metric: str
    agreement: Estimate
    on_common: Estimate


@dataclass(frozen=True, slots=True)
class MetricLab:
    """common_comparisons: those with votes and scores by every metric, on which pairs are compared.

    equivalence_margin: the one that the manifest fixed; None where it fixed none.
    """

    common_comparisons: int
    equivalence_margin: float | None
    metrics: tuple[MetricAgreement, ...]
    pairs: tuple[MetricPair, ...]


def metric_lab(data: StudyData, found: Outcome, *, resampling: Resampling) -> MetricLab:
    """The reported metric first; no pairs where it is the only one."""
    margins = {data.metric: found.margin} | (data.margins or {})
    common = found.has_votes & ~np.isnan(np.stack(list(margins.values()))).any(axis=0)
    level = resampling.level
    rows = []
    for name, margin in margins.items():
        own = found.has_votes & ~np.isnan(margin)
        rows.append(
            MetricAgreement(
                metric=name,
                agreement=agreement(found.people[own], metric_winners(margin[own]), level=level),
                on_common=agreement(found.people[common], metric_winners(margin[common]), level=level),
            )
        )
    signs = {name: metric_winners(margin[common]) for name, margin in margins.items()}
    clusters = data.comparisons.cluster[common]
    within = data.manifest.analysis.equivalence_margin
    pairs = compare_metrics(found.people[common], signs, clusters=clusters, resampling=resampling, margin=within)
    return MetricLab(int(common.sum()), within, metrics=tuple(rows), pairs=pairs)
