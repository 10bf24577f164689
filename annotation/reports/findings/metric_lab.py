"""Several metrics judged by the same votes. Pure."""

from dataclasses import dataclass

import numpy as np

from annotation.reports.data.counting import Outcome
from annotation.reports.data.study_data import StudyData
from annotation.reports.findings.image_noise import FewerImages, fewer_images
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
class MetricByImages:
    """Another encoder's score with 2, 3, … N images a set, on the comparisons with votes, scores and embeddings."""

    metric: str
    comparisons: int
    fewer: FewerImages


@dataclass(frozen=True, slots=True)
class MetricLab:
    """common_comparisons: those with votes and scores by every metric, on which pairs are compared.

    equivalence_margin: the one that the manifest fixed; None where it fixed none. by_images: the metrics beside the
    reported one whose embeddings are here.
    """

    common_comparisons: int
    equivalence_margin: float | None
    metrics: tuple[MetricAgreement, ...]
    pairs: tuple[MetricPair, ...]
    by_images: tuple[MetricByImages, ...]


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
    by_images = _by_images(data, found, resampling=resampling)
    return MetricLab(int(common.sum()), within, metrics=tuple(rows), pairs=pairs, by_images=by_images)


def _by_images(data: StudyData, found: Outcome, *, resampling: Resampling) -> tuple[MetricByImages, ...]:
    rows = []
    others = data.other_similarities or {}
    for metric, alike in others.items():
        is_scored = ~np.isnan((data.margins or {})[metric])
        used = (found.has_votes & is_scored)[alike.comparison]
        if not used.any():
            continue
        people, share = found.people[alike.comparison[used]], 1 / len(others)
        fewer = fewer_images(people, alike.a[used], alike.b[used], resampling=resampling, share=share)
        rows.append(MetricByImages(metric, int(used.sum()), fewer))
    return tuple(rows)
