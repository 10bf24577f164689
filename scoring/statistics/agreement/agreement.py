"""The agreement of a metric with people: winners, the three treatments of ties, the confusion matrix.

A winner is a sign: +1 for model A, -1 for model B, 0 for a tie. Ties are never broken at random or by order.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.statistics.inference.clusters import cluster_count, clustering, described, quantile
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import (
    ALL_RESAMPLES_EQUAL,
    Resampling,
    clopper_pearson,
    clopper_pearson_bounds,
    percentile_estimate,
    ratio,
    resampled_totals,
)
from scoring.statistics.inference.score_interval import mean_credit
from scoring.statistics.votes.counts import Floats, Integers, checked_counts

Signs = NDArray[np.int8]
TieTreatment = Literal["strict", "half", "dropped"]
LabelRule = Literal["sign", "plurality"]

METRIC_TIE = 1e-9  # margins up to this size come from rounding, not from images
ORDER = (1, -1, 0)  # rows and columns of every table: A, B, tie


def people_winners(counts: ArrayLike, *, rule: LabelRule = "sign") -> Signs:
    """The model that people chose in each comparison.

    counts: (n, 3) votes for A, for B, and for neither. rule: "sign" is the sign of (votes for A - votes for B), so tie
    votes cancel; "plurality" is the most frequent of the three, and a tie if none is strictly most frequent.
    Returns (n,) signs. Raises ValueError for a comparison without votes, which has no winner, not even a tie.

    >>> people_winners([(2, 0, 3)]).tolist(), people_winners([(2, 0, 3)], rule="plurality").tolist()
    ([1], [0])
    """
    votes = checked_counts(counts, categories=3)
    if not votes.any(axis=1).all():
        raise ValueError(f"comparison {int(votes.any(axis=1).argmin())} has no votes and so no winner")
    if rule == "sign":
        return _signs(votes[:, 0] - votes[:, 1])
    is_won_by_a = votes[:, 0] > votes[:, 1:].max(axis=1)
    is_won_by_b = votes[:, 1] > votes[:, ::2].max(axis=1)
    return _signs(is_won_by_a.astype(np.int64) - is_won_by_b)


def metric_winners(margins: ArrayLike) -> Signs:
    """The model that the metric chooses: the sign of its margin; margins up to 1e-9 are ties.

    margins: (n,) score of A minus score of B. Returns (n,) signs. Raises ValueError for a value that is not finite.

    >>> metric_winners([0.3, -2.0, 1e-12]).tolist()
    [1, -1, 0]
    """
    values = np.asarray(margins, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("margins are one finite number for each comparison")
    return _signs(np.where(np.abs(values) <= METRIC_TIE, 0.0, values))


def agreement(
    people: ArrayLike,
    metric: ArrayLike,
    *,
    ties: TieTreatment = "strict",
    interval: Literal["score", "clopper-pearson"] = "score",
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """The share of comparisons in which the metric's winner is the people's winner.

    people, metric: (n,) signs. ties: "strict": a tie on one side only is a disagreement, on both an agreement; "half":
    a tie on one side only counts one half; "dropped": only comparisons without any tie count. clusters: (n,) labels or
    None. interval: "score" is Wilson's, with half credits the score interval (`mean_credit`); "clopper-pearson" is
    exact, but if comparisons share clusters it takes their effective number, and half credit has none. In simulated
    studies of 6 to 50 clusters the score interval covered .906 to .995 and this one .924 to 1.00 at nominal .95.
    Raises ValueError for arrays of unequal length or with anything but signs.
    Source: Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", for Clopper and Pearson's interval over clusters.

    >>> agreement([1, 1, -1, 0], [1, -1, -1, 1]).value, agreement([1, 1, -1, 0], [1, -1, -1, 1], ties="half").value
    (0.5, 0.625)
    """
    earned = earned_credit(people, metric, ties=ties)
    is_counted = ~np.isnan(earned)
    labels = None if clusters is None else np.asarray(clusters)[is_counted]
    if interval == "score":
        return mean_credit(earned[is_counted], clusters=labels, level=level)
    return _exact_agreement(earned[is_counted], labels, ties, level)


def bootstrap_agreement(
    people: ArrayLike,
    metric: ArrayLike,
    *,
    ties: TieTreatment = "strict",
    clusters: ArrayLike | None = None,
    resampling: Resampling,
) -> Estimate:
    """The agreement with a percentile interval over resampled clusters; the votes within them are fixed.

    people, metric, ties: as for `agreement`. clusters: (n,) labels, or None if each comparison is its own.
    If all comparisons agree, or none, all resamples are equal and this interval is undefined; Wilson's is not.

    >>> result = bootstrap_agreement([1] * 9 + [-1], [1] * 10, resampling=Resampling(resamples=500))
    >>> result.value, result.low is not None
    (0.9, True)
    """
    earned = earned_credit(people, metric, ties=ties)
    is_counted = ~np.isnan(earned)
    n = int(is_counted.sum())
    if not n:
        return Estimate.undefined("no comparison", n=0, level=resampling.level, method="percentile bootstrap")
    summands = np.column_stack([np.where(is_counted, earned, 0.0), is_counted])
    totals = resampled_totals(summands, clusters=clusters, resampling=resampling)
    shares = ratio(totals[:, 0], totals[:, 1])
    estimate = percentile_estimate(float(summands[:, 0].sum()) / n, shares, n=n, resampling=resampling)
    return _pointing_to_wilson(estimate, is_one_cluster=cluster_count(len(earned), clusters) == 1)


def bounds_with_missing(agreements: int, compared: int, planned: int) -> tuple[float, float]:
    """The agreement over all planned comparisons if all missing ones disagreed, and if all of them agreed.

    >>> [round(bound, 3) for bound in bounds_with_missing(47, 50, 53)]
    [0.887, 0.943]
    """
    if not 0 <= agreements <= compared <= planned or not planned:
        raise ValueError(f"{agreements} agreements of {compared} compared of {planned} planned")
    return agreements / planned, (agreements + planned - compared) / planned


def earned_credit(people: ArrayLike, metric: ArrayLike, *, ties: TieTreatment) -> Floats:
    """Return what each comparison adds to the agreement: 1, 0, one half, or NaN if the treatment of ties drops it.

    >>> earned_credit([1, 0, 0], [1, 1, 0], ties="half").tolist()
    [1.0, 0.5, 1.0]
    """
    theirs, its = checked_winners(people, metric)
    earned: Floats = (theirs == its).astype(np.float64)
    is_one_sided = (theirs == 0) != (its == 0)
    if ties == "half":
        earned[is_one_sided] = 0.5
    elif ties == "dropped":
        earned[(theirs == 0) | (its == 0)] = np.nan
    return earned


def confusion(people: ArrayLike, metric: ArrayLike) -> Integers:
    """The confusion matrix of winners: (3, 3) counts, rows people, columns metric, both in the order A, B, tie.

    >>> confusion([1, 1, -1, 0], [1, -1, -1, 1]).tolist()
    [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    """
    theirs, its = checked_winners(people, metric)
    return np.array([[np.sum((theirs == row) & (its == column)) for column in ORDER] for row in ORDER], dtype=np.int64)


def checked_winners(people: ArrayLike, metric: ArrayLike) -> tuple[Signs, Signs]:
    """Return both as arrays of signs of equal length. Raises ValueError for anything else.

    >>> people, metric = checked_winners([1, 0], [-1, 1])
    >>> people.dtype.name, metric.tolist()
    ('int8', [-1, 1])
    """
    theirs, its = np.asarray(people), np.asarray(metric)
    if theirs.ndim != 1 or theirs.shape != its.shape:
        raise ValueError(f"winners come in pairs, not as arrays {theirs.shape} and {its.shape}")
    if not (np.isin(theirs, ORDER).all() and np.isin(its, ORDER).all()):
        raise ValueError("a winner is +1 (A), -1 (B) or 0 (tie)")
    return theirs.astype(np.int8), its.astype(np.int8)


def _exact_agreement(earned: Floats, clusters: ArrayLike | None, ties: TieTreatment, level: float) -> Estimate:
    n, value = len(earned), float(earned.mean()) if len(earned) else None
    if ties == "half" and n:
        reason = "half credit is not a proportion, see the score interval"
        return Estimate(value, None, None, level, n, "none", reason)
    shared = clustering(earned, clusters) if n else None
    if shared is None or value is None:
        return clopper_pearson(int(earned.sum()), n, level=level)
    method = described("Clopper-Pearson", shared)
    if shared.count < 2:
        return Estimate(value, None, None, level, n, method, "one cluster")
    effective = n / shared.design_effect * (quantile(level, None) / quantile(level, shared)) ** 2
    low, high = clopper_pearson_bounds(value * effective, effective, level)
    return Estimate(value, min(low, value), max(high, value), level, n, method)


def _signs(values: NDArray[np.number]) -> Signs:
    signs: Signs = np.sign(values).astype(np.int8)
    return signs


def _pointing_to_wilson(estimate: Estimate, *, is_one_cluster: bool) -> Estimate:
    if estimate.reason != ALL_RESAMPLES_EQUAL:
        return estimate
    return replace(estimate, reason="one cluster" if is_one_cluster else f"{ALL_RESAMPLES_EQUAL}, see Wilson")
