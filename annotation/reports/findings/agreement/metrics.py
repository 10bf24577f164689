"""Several metrics judged by the same votes. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.reports.data.leaks import sources
from annotation.reports.findings.analysed import Analysed, Outcome, votes_one_by_one
from annotation.reports.findings.budgets import FewerImages, fewer_images
from scoring.statistics.agreement.agreement import agreement, metric_winners
from scoring.statistics.agreement.metric_pairs import MetricPair, compare_metrics
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import Floats
from scoring.statistics.votes.votes import Votes


@dataclass(frozen=True, slots=True)
class MetricAgreement:
    """Strict agreement of one metric: over all comparisons that it scored, and over those that every metric scored."""

    metric: str
    agreement: Estimate
    on_common: Estimate


@dataclass(frozen=True, slots=True)
class MetricByImages:
    """Another encoder's score with 2, 3, … N images, on the comparisons with votes, scores and embeddings."""

    metric: str
    comparisons: int
    fewer: FewerImages


@dataclass(frozen=True, slots=True)
class Metrics:
    """common_comparisons: those with votes and scores by every metric, on which pairs are compared.

    equivalence_margin: the one that the manifest fixed; None if it fixed none. by_images: the metrics beside the
    reported one whose embeddings are here. left_out: annotators whom one of the metrics comes from; all metrics are
    judged without their votes.
    """

    common_comparisons: int
    equivalence_margin: float | None
    metrics: tuple[MetricAgreement, ...]
    pairs: tuple[MetricPair, ...]
    by_images: tuple[MetricByImages, ...]
    left_out: tuple[str, ...] = ()


def compute(analysed: Analysed) -> Metrics:
    """Return the agreement of every metric, the reported one first, and their pairs; none if it is the only one."""
    data, resampling = analysed.data, analysed.resampling
    margins = {data.metric: analysed.outcome.margin} | data.margins
    left_out = sources(data, margins)
    outcome = _without(analysed, left_out)
    common = outcome.has_votes & ~np.isnan(np.stack(list(margins.values()))).any(axis=0)
    within = data.manifest.analysis.equivalence_margin
    return Metrics(
        common_comparisons=int(common.sum()),
        equivalence_margin=within,
        metrics=tuple(
            MetricAgreement(
                metric=name,
                agreement=_agreement(analysed, outcome, margin, outcome.has_votes & ~np.isnan(margin)),
                on_common=_agreement(analysed, outcome, margin, common),
            )
            for name, margin in margins.items()
        ),
        pairs=compare_metrics(
            outcome.people[common],
            {name: metric_winners(margin[common]) for name, margin in margins.items()},
            clusters=data.comparisons.cluster[common],
            resampling=resampling,
            margin=within,
        ),
        by_images=_by_images(analysed, outcome),
        left_out=tuple(sorted(left_out)),
    )


def _without(analysed: Analysed, left_out: Collection[str]) -> Outcome:
    """Return the winners without the votes of some annotators."""
    if not left_out:
        return analysed.outcome
    data, votes = analysed.data, votes_one_by_one(analysed.data.votes)
    kept = ~np.isin(votes.annotator, [at for at, row in enumerate(data.annotators) if row.pseudonym in left_out])
    others = Votes(votes.comparison[kept], votes.annotator[kept], votes.choice[kept])
    return Outcome.of(others.counts(len(data.comparisons)), analysed.outcome.margin)


def _agreement(analysed: Analysed, outcome: Outcome, margin: Floats, judged: NDArray[np.bool_]) -> Estimate:
    people, metric = outcome.people[judged], metric_winners(margin[judged])
    clusters = analysed.data.comparisons.cluster[judged]
    return agreement(people, metric, clusters=clusters, level=analysed.resampling.level)


def _by_images(analysed: Analysed, outcome: Outcome) -> tuple[MetricByImages, ...]:
    others, rows = analysed.data.other_similarities, []
    for metric, alike in others.items():
        is_scored = ~np.isnan(analysed.data.margins[metric])
        used = (outcome.has_votes & is_scored)[alike.comparison]
        if used.any():
            people, share = outcome.people[alike.comparison[used]], 1 / len(others)
            a, b = alike.a[used], alike.b[used]
            fewer = fewer_images(people, a, b, resampling=analysed.resampling, share=share)
            rows.append(MetricByImages(metric, int(used.sum()), fewer))
    return tuple(rows)
