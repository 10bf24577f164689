"""Calibration: whether people choose more clearly if the metric's margin is larger."""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from scoring.statistics.agreement.agreement import agreement, metric_winners, people_winners
from scoring.statistics.agreement.credit_tests import INDEPENDENT
from scoring.statistics.agreement.folds import cluster_folds
from scoring.statistics.agreement.logistic import LogisticFit, fit_logistic
from scoring.statistics.inference.clusters import cluster_count
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import (
    Resampling,
    percentile_estimate,
    ratio,
    resample_weights,
    summed_groups,
)
from scoring.statistics.votes.counts import Floats, Integers, checked_counts, cluster_numbers

_BINS = 5
_VANISHING = 1e-6  # of the error that independent votes would have


@dataclass(frozen=True, slots=True)
class MarginBin:
    """The comparisons whose |margin| lies between `low` and `high`, and their strict agreement."""

    low: float
    high: float
    agreement: Estimate


@dataclass(frozen=True, slots=True)
class Calibration:
    """Votes for A as a logistic function of the margin, one row for each comparison, without tie votes.

    intercept: log-odds of A at equal scores. slope: log-odds per point of score. brier: mean squared error of the
    cross-fitted chance, over votes; reference: the same for always predicting the overall share, p (1 - p). brier and
    reference are None if undefined; `reason` says why.
    """

    intercept: Estimate
    slope: Estimate
    is_penalised: bool
    brier: float | None
    reference: float | None
    reason: str = ""


def calibration(
    counts: ArrayLike, margins: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling
) -> Calibration:
    """Fit the votes on the margins.

    counts: (n, 3) votes for A, for B, tie votes. margins: (n,) score of A minus score of B. clusters: (n,) labels of
    base prompts or None. Intervals are Wald's with clustered HC0 errors; if G clusters hold several comparisons, with
    errors times sqrt(G / (G - 1)) and Student's t of G - 1. If the margin separates the votes, Firth's penalised fit
    with model errors is used, which treats comparisons as independent. Folds are made of clusters, with the
    resampling's seed. Undefined if all votes or all margins are equal.
    Source: Cameron and Miller (2015), "A practitioner's guide to cluster-robust inference".

    >>> votes = [(0, 5, 0), (2, 3, 0), (2, 3, 0), (4, 1, 0), (5, 0, 0)]
    >>> result = calibration(votes, [-2, -1, 0, 1, 2], resampling=Resampling())
    >>> round(result.intercept.value or 0, 4), round(result.slope.value or 0, 4)
    (0.1515, 1.4399)
    """
    votes, sizes = checked_counts(counts, categories=3), np.asarray(margins, dtype=np.float64)
    is_cast = votes[:, :2].any(axis=1)
    labels = np.arange(len(votes)) if clusters is None else np.asarray(clusters)
    won, cast, x, labels = votes[is_cast, 0], votes[is_cast, :2].sum(axis=1), sizes[is_cast], labels[is_cast]
    reason = _why_nothing_to_fit(won.sum(), cast.sum(), x)
    if reason:
        nothing = Estimate.undefined(reason, n=len(x), level=resampling.level, method="Wald")
        return Calibration(nothing, nothing, False, None, None, reason)
    fit = fit_logistic(x, won, cast, clusters=labels)
    share, shared = won.sum() / cast.sum(), cluster_count(len(x), labels)
    chance = _cross_fitted(x, won, cast, cluster_folds(len(x), clusters=labels, seed=resampling.seed))
    return Calibration(
        intercept=_wald(fit, 0, len(x), resampling.level, shared),
        slope=_wald(fit, 1, len(x), resampling.level, shared),
        is_penalised=fit.is_penalised,
        brier=None if chance is None else brier(chance, won, cast),
        reference=float(share * (1 - share)),
        reason="a fold leaves margins of one size only to fit" if chance is None else "",
    )


def agreement_by_margin(
    counts: ArrayLike, margins: ArrayLike, *, clusters: ArrayLike | None = None, level: float = 0.95
) -> tuple[MarginBin, ...]:
    """The strict agreement in up to five bins of |margin| with about the same number of comparisons each.

    counts: (n, 3), every comparison with votes. margins: (n,). clusters: (n,) labels or None, for the intervals. Equal
    |margin| are always in one bin.

    >>> bins = agreement_by_margin([(3, 0, 0), (0, 3, 0)], [0.5, 2.0])
    >>> [(row.low, row.agreement.value) for row in bins]
    [(0.5, 1.0), (2.0, 0.0)]
    """
    people, metric = people_winners(counts), metric_winners(margins)
    sizes = np.abs(np.asarray(margins, dtype=np.float64))
    if not len(sizes):
        return ()
    edges = np.unique(np.quantile(sizes, np.linspace(0, 1, _BINS + 1)[1:-1]))
    place, labels = np.searchsorted(edges, sizes, side="left"), cluster_numbers(len(sizes), clusters)
    return tuple(
        MarginBin(
            low=float(sizes[inside].min()),
            high=float(sizes[inside].max()),
            agreement=agreement(people[inside], metric[inside], clusters=labels[inside], level=level),
        )
        for inside in (place == number for number in np.unique(place))
    )


def brier(chances: ArrayLike, successes: ArrayLike, trials: ArrayLike) -> float:
    """The mean squared error of chances over single votes: chances, successes, trials (n,).

    Source: Brier (1950), "Verification of forecasts expressed in terms of probability".

    >>> round(brier([0.6, 0.7, 0.8, 0.9], [1, 0, 1, 1], [1, 1, 1, 1]), 3)
    0.175
    """
    p, won, cast = (np.asarray(column, dtype=np.float64) for column in (chances, successes, trials))
    return float((won * (1 - p) ** 2 + (cast - won) * p**2).sum() / cast.sum())


def margin_auc(
    margins: ArrayLike, is_right: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling
) -> Estimate:
    """The chance that |margin| is larger when the metric is right than when it is wrong; equal sizes count one half.

    margins: (n,). is_right: (n,) whether the metric's winner is the people's. Percentile interval over clusters.
    Undefined if the metric agrees on every comparison or on none.
    Source: Hanley and McNeil (1982), "The meaning and use of the area under a receiver operating characteristic curve".

    >>> margin_auc([0.1, 0.2, 0.5, 0.9], [False, True, False, True], resampling=Resampling(resamples=100)).value
    0.75
    """
    sizes, right = np.abs(np.asarray(margins, dtype=np.float64)), np.asarray(is_right, dtype=bool)
    n = len(right)
    if right.all() or not right.any():
        reason = "no comparison" if not n else f"the metric agrees on {'every' if right.any() else 'no'} comparison"
        return Estimate.undefined(reason, n=n, level=resampling.level, method="percentile bootstrap")
    order = np.argsort(sizes, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(sizes[order]) > 0)).astype(np.int64)
    is_won = right[order].astype(np.float64)

    def area(weights: Floats) -> Floats:
        ordered = weights[:, order]
        won = summed_groups(ordered * is_won, starts)
        lost = summed_groups(ordered, starts) - won
        beaten = np.cumsum(lost, axis=1) - lost / 2
        return ratio(np.einsum("bg,bg->b", won, beaten), won.sum(axis=1) * lost.sum(axis=1))

    blocks = resample_weights(n, clusters=clusters, resampling=resampling)
    resampled = np.concatenate([area(weights) for weights in blocks])
    value = float(area(np.ones((1, n)))[0])
    return percentile_estimate(value, resampled, n=n, resampling=resampling, clusters=clusters)


def _why_nothing_to_fit(won: int, cast: int, x: Floats) -> str:
    if not cast:
        return "no votes for either model"
    if won in (0, cast):
        return "all votes are equal"
    return "" if len(np.unique(x)) > 1 else "all margins are equal"


def _wald(fit: LogisticFit, which: int, n: int, level: float, clusters: int | None) -> Estimate:
    value, error, at = float(fit.coefficients[which]), fit.model_error[which], (1 + level) / 2
    if fit.robust_error is not None and clusters == 1:
        return Estimate(value, None, None, level, n, "Wald, 1 cluster", "one cluster")
    reach, method = scipy.stats.norm.ppf(at) * error, "Wald, Firth's penalised likelihood"
    if fit.robust_error is None:
        method += "" if clusters is None else f", {INDEPENDENT}"
    elif clusters is None:
        reach, method = scipy.stats.norm.ppf(at) * fit.robust_error[which], "Wald, clustered HC0"
    else:
        corrected = fit.robust_error[which] * np.sqrt(clusters / (clusters - 1))
        reach, method = scipy.stats.t.ppf(at, clusters - 1) * corrected, f"Wald, {clusters} clusters, t({clusters - 1})"
    if fit.robust_error is not None and fit.robust_error[which] <= _VANISHING * error:
        return Estimate(value, None, None, level, n, method, "the clustered errors vanish: the fit leaves no residuals")
    return Estimate(value, float(value - reach), float(value + reach), level, n, method)


def _cross_fitted(x: Floats, won: Integers, cast: Integers, folds: Integers) -> Floats | None:
    """The chance for each comparison from a fit without its fold, or None if such a fit has no slope."""
    chance: Floats = np.empty(len(x))
    for number in np.unique(folds):
        rest = folds != number
        if len(np.unique(x[rest])) < 2:
            return None
        chance[~rest] = fit_logistic(x[rest], won[rest], cast[rest]).predict(x[~rest])
    return chance
