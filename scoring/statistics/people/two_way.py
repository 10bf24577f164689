"""The agreement under resampled prompts and annotators: a sensitivity analysis.

Source: Owen (2007), "The pigeonhole bootstrap".
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from scoring.statistics.agreement import Signs, checked_winners
from scoring.statistics.estimate import Estimate
from scoring.statistics.fragility import agreement_without_each
from scoring.statistics.intervals import Floats, Resampling, percentile_estimate, ratio, resample_weights
from scoring.statistics.votes import Votes

_MOST_BIAS = 0.25  # of a standard error; above it the percentile interval is not valid
_SIGN_OF_CHOICE = np.array((1.0, -1.0, 0.0))


@dataclass(frozen=True, slots=True)
class TwoWay:
    """The strict agreement under resampled clusters and annotators.

    agreement: without an interval if the bias exceeds a quarter of the standard error; its reason says so. bias: mean
    of the resamples minus the estimate; fewer different annotators make noisier majorities, so it is mostly negative.
    standard_error: standard deviation of the resamples. mean_dropped: mean number of comparisons without a vote.
    least, greatest: the agreement with one annotator left out. All are None if undefined.
    """

    agreement: Estimate
    bias: float | None
    standard_error: float | None
    mean_dropped: float | None
    least: float | None
    greatest: float | None


def two_way_agreement(
    votes: Votes,
    metric: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    resampling: Resampling,
    progress: Callable[[int], None] | None = None,
) -> TwoWay:
    """Resample clusters and annotators with replacement; a vote weighs the product of both draws.

    metric: (n,) signs. clusters: (n,) labels or None. Majorities are formed again from the weighted votes.
    progress: called with the number of resamples done. This needs single votes, not counts, and is slow for many.

    >>> votes = Votes.of([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 1, 1])
    >>> result = two_way_agreement(votes, [1, -1], resampling=Resampling(resamples=100))
    >>> result.agreement.value, result.least
    (1.0, 0.5)
    """
    its = checked_winners(metric, metric)[0]
    table = _Table(votes, its)
    annotator_count = table.annotator_count
    if annotator_count < 2:
        reason = "no votes" if not annotator_count else "one annotator cannot be resampled"
        nothing = Estimate.undefined(reason, n=int(table.is_voted.sum()), level=resampling.level)
        return TwoWay(nothing, None, None, None, None, None)
    shares, dropped = [], []
    for cluster_draws, annotator_draws in _draws(len(its), annotator_count, clusters, resampling):
        share, lost = table.agreements(cluster_draws, annotator_draws)
        shares.append(share)
        dropped.append(lost)
        if progress:
            progress(sum(map(len, shares)))
    value = float(table.agreements(np.ones((1, len(its))), np.ones((1, annotator_count)))[0][0])
    return _summary(value, np.concatenate(shares), np.concatenate(dropped), votes, its, resampling)


class _Table:
    """Votes as two sparse matrices, comparisons by annotators: the signs of the choices, and ones for all votes."""

    def __init__(self, votes: Votes, metric: Signs) -> None:
        annotators, column = np.unique(votes.annotator, return_inverse=True)
        self.annotator_count, self._metric = len(annotators), metric
        shape, cells = (len(metric), len(annotators)), (votes.comparison, column)
        self._signs = sparse.csr_array((_SIGN_OF_CHOICE[votes.choice], cells), shape=shape)
        self._cast = sparse.csr_array((np.ones(len(votes.choice)), cells), shape=shape)
        self.is_voted = np.bincount(votes.comparison, minlength=len(metric)) > 0

    def agreements(self, cluster_draws: Floats, annotator_draws: Floats) -> tuple[Floats, Floats]:
        """Return (b,) shares and (b,) drawn comparisons without votes, from (b, n) and (b, annotators) draws."""
        margins = np.asarray(self._signs @ annotator_draws.T)
        has_votes = np.asarray(self._cast @ annotator_draws.T) > 0
        agrees = (np.sign(margins) == self._metric[:, np.newaxis]) & has_votes
        weights = cluster_draws.T
        share = ratio((weights * agrees).sum(axis=0), (weights * has_votes).sum(axis=0))
        lost: Floats = (weights * (self.is_voted[:, np.newaxis] & ~has_votes)).sum(axis=0)
        return share, lost


def _draws(
    n: int, annotator_count: int, clusters: ArrayLike | None, resampling: Resampling
) -> Iterator[tuple[Floats, Floats]]:
    """Yield blocks of draws of clusters and of annotators; different seeds make them independent."""
    other = replace(resampling, seed=resampling.seed + 1)
    of_annotators = np.concatenate(list(resample_weights(annotator_count, clusters=None, resampling=other)))
    done = 0
    for block in resample_weights(n, clusters=clusters, resampling=resampling):
        yield block, of_annotators[done : done + len(block)]
        done += len(block)


def _summary(
    value: float, shares: Floats, dropped: Floats, votes: Votes, metric: Signs, resampling: Resampling
) -> TwoWay:
    defined = shares[~np.isnan(shares)]
    bias, error = float(defined.mean()) - value, float(defined.std(ddof=1))
    n = len(np.unique(votes.comparison))
    agreement = percentile_estimate(value, shares, n=n, resampling=resampling)
    agreement = replace(agreement, method=agreement.method.replace("clusters", "clusters and annotators"))
    if agreement.low is not None and abs(bias) > _MOST_BIAS * error:
        reason = f"resampling annotators moves the mean by {bias:+.3f}, more than a quarter of the standard error"
        agreement = replace(agreement, low=None, high=None, reason=reason)
    without = [one.agreement for one in agreement_without_each(votes, metric)]
    return TwoWay(
        agreement=agreement,
        bias=bias,
        standard_error=error,
        mean_dropped=float(dropped.mean()),
        least=min(without, default=None),
        greatest=max(without, default=None),
    )
