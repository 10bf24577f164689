"""Intervals for annotators like these on prompts like these, by leaving out each cluster, each annotator, and each part
that both share.

Source: Cameron, Gelbach and Miller (2011), "Robust inference with multiway clustering", for the three variances;
MacKinnon, Nielsen and Webb (2024), "Jackknife inference with two-way clustering", for the jackknife and for t with as
many degrees of freedom as the smaller number of groups minus one. docs/decisions/2026-11-29-annotators-are-a-sample.md
has the simulation behind the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy import sparse

from jobs.wording import counted
from scoring.statistics.inference.clusters import LEAST_CLUSTERS
from scoring.statistics.inference.estimate import ANNOTATORS_LIKE_THESE, Estimate
from scoring.statistics.inference.score_interval import score_interval
from scoring.statistics.votes.counts import Floats, Integers, cluster_numbers, numbered
from scoring.statistics.votes.votes import CATEGORIES, Votes

LEAST_ANNOTATORS = 6  # below, an interval hardly bounds anything, or misses if one in five guesses

Summands = Callable[[Integers, Integers], Floats]
Statistic = Callable[[Floats], Floats]

SHARE = (0.0, 1.0)
COEFFICIENT = (-1.0, 1.0)  # of a coefficient, and of a difference of two shares

_METHOD = "two-way jackknife"
_ROWS_AT_ONCE = 100_000
_NO_SPREAD = 1e-24
_ROUNDING = 1e-9
_LEAST_SHARE = 0.8  # of the variance over clusters: half of it held .91 to .93 with 20 clusters


@dataclass(frozen=True, slots=True)
class Variance:
    """The variance of a statistic: over clusters of comparisons, over annotators, and over what both of them count.

    votes: over the votes of one annotator on one cluster. All are NaN if the statistic is undefined without a part.
    """

    clusters: float
    annotators: float
    votes: float

    @property
    def total(self) -> float:
        """Return clusters + annotators - votes, and never less than over clusters.

        It may be less than over annotators: a vote that is part of several pairs or majorities is counted for each of
        them there, and again in `votes`.
        """
        return self.clusters + max(self.annotators - self.votes, 0.0)

    @property
    def of_mean(self) -> float:
        """Return clusters + annotators - votes, and never less than four fifths of that over clusters.

        The sum is unbiased; where annotators hardly differ, `total` is too large, because it never falls below the
        variance over clusters. Score intervals with this one held .92 to .98 of single votes' differences in simulated
        studies, those with `total` .94 to 1.00. docs/decisions/2026-11-29-coverage.md has the table.
        """
        return max(self.clusters + self.annotators - self.votes, _LEAST_SHARE * self.clusters)


class TwoWay:
    """The sums from which the statistics of a study follow, whole and without each part of the votes."""

    def __init__(
        self, votes: Votes, summands: Summands, *, clusters: ArrayLike | None = None, comparison_count: int
    ) -> None:
        """Prepare the sums.

        summands: what comparisons add to the p sums: from their counts (m, 3) and their numbers (m,) it returns (m, p);
        a comparison without votes adds zeros. clusters: (comparison_count,) labels, or None if each is its own.
        """
        counts = votes.counts(comparison_count)
        place, choice = np.nonzero(counts)
        rows = summands(counts, np.arange(comparison_count))
        # Equal votes on a comparison change its sums by the same when they are left out.
        self._change = summands(counts[place] - np.eye(CATEGORIES, dtype=np.int64)[choice], place) - rows[place]
        number = np.zeros(counts.shape, dtype=np.int64)
        number[place, choice] = np.arange(len(place))
        of_vote = number[votes.comparison, votes.choice]
        labels, is_voted = cluster_numbers(comparison_count, clusters), counts.any(axis=1)
        cell = labels[votes.comparison] * (votes.annotator.max(initial=0) + 1) + votes.annotator
        self.whole = rows.sum(axis=0)
        self._clusters = _grouping(labels[is_voted], np.flatnonzero(is_voted), comparison_count) @ rows
        self._of_annotators = _grouping(votes.annotator, of_vote, len(place))
        self._of_cells = _grouping(cell, of_vote, len(place))
        self._repeats: Integers | None = None
        if self._of_cells.shape[0] == len(votes.choice):  # one vote in each: those that are equal need one row
            self._of_cells = _grouping(np.arange(len(place)), np.arange(len(place)), len(place))
            self._repeats = counts[place, choice]

    def like_these(
        self,
        estimate: Estimate,
        statistic: Statistic,
        *,
        bounds: tuple[float, float] = COEFFICIENT,
        refusal: str = "",
    ) -> Estimate:
        """Return an estimate with the interval for annotators like these in place of its own.

        statistic: from sums (m, p) it returns (m,) values, NaN if undefined. bounds: its least and greatest value.
        refusal: why there can be no interval, if the caller knows a reason.
        """
        groups = len(self._clusters), int(self._of_annotators.shape[0])
        refused = _refused(estimate, refusal or too_few(*groups))
        if estimate.value is None or refused.reason:
            return refused
        return like_these(estimate, self.variance(statistic), *groups, bounds=bounds)

    def mean_like_these(
        self,
        estimate: Estimate,
        statistic: Statistic,
        values: Floats,
        *,
        possible: tuple[float, float] = SHARE,
        weights: Floats | None = None,
    ) -> Estimate:
        """Return a mean over comparisons with the score interval for annotators like these.

        values, weights: (m,) whose mean it is, of the comparisons that count. possible: the least and the greatest
        value that a comparison can have; the tighter, the narrower the interval. The score test knows how a mean near
        them varies; the two-way variance enters as the design effect, and Student's t has as many degrees of freedom
        as for `like_these`. With t around the mean itself, .75 to .91 of differences were held in simulated studies of
        6 and 20 clusters and of 30 comparisons.
        """
        groups = len(self._clusters), int(self._of_annotators.shape[0])
        refused = _refused(estimate, too_few(*groups))
        if estimate.value is None or refused.reason:
            return refused
        variance = self.variance(statistic)
        found = like_these(estimate, variance, *groups, bounds=COEFFICIENT)
        if found.low is None:
            return found
        sizes = np.ones(len(values)) if weights is None else weights
        independent = float((sizes**2 * (values - estimate.value) ** 2).sum() / sizes.sum() ** 2)
        if not independent > _NO_SPREAD:
            return found
        low, high = score_interval(
            values,
            possible=possible,
            weights=weights,
            design_effect=variance.of_mean / independent,
            quantile=_quantile(estimate.level, groups),
        )
        # The mean may rest on a few comparisons more than these values: those with one vote.
        shift = estimate.value - float(np.average(values, weights=weights))
        least, greatest = possible
        low, high = max(least, low + shift), min(greatest, high + shift)
        return replace(found, low=low, high=high, method=f"score interval, {found.method}")

    def variance(self, statistic: Statistic) -> Variance:
        """Return the variance of a statistic, in its parts."""
        return Variance(
            clusters=jackknife(statistic(_exact_zeros(self.whole - self._clusters))),
            annotators=jackknife(self._without(self._of_annotators, statistic)),
            votes=jackknife(self._without(self._of_cells, statistic), self._repeats),
        )

    def _without(self, groups: sparse.csr_array, statistic: Statistic) -> Floats:
        """Return (groups,) values of the statistic, without each group of votes."""
        starts = range(0, groups.shape[0], _ROWS_AT_ONCE)
        blocks = (groups[start : start + _ROWS_AT_ONCE] @ self._change for start in starts)
        return np.concatenate([statistic(_exact_zeros(self.whole + block)) for block in blocks])


def like_these(
    estimate: Estimate, variance: Variance, clusters: int, annotators: int, *, bounds: tuple[float, float]
) -> Estimate:
    """Return an estimate with the interval for annotators like these in place of its own.

    bounds: the least and the greatest value that the statistic can have.

    >>> share = Estimate(0.5, None, None, 0.95, 30, "none")
    >>> found = like_these(share, Variance(0.01, 0.02, 0.01), 30, 10, bounds=SHARE)
    >>> round(found.low or 0, 2), round(found.high or 0, 2), found.population
    (0.18, 0.82, 'annotators like these')
    """
    if estimate.value is None or not variance.total > _NO_SPREAD:
        how = "undefined" if np.isnan(variance.total) else "the same"
        return _refused(estimate, f"{how} without the votes of an annotator or on a cluster")
    fewer = min(clusters, annotators)
    reach = _quantile(estimate.level, (clusters, annotators)) * variance.total**0.5
    return replace(
        estimate,
        low=max(bounds[0], estimate.value - reach),
        high=min(bounds[1], estimate.value + reach),
        method=f"{_METHOD} of {clusters} clusters and {annotators} annotators, t({fewer - 1})",
        reason="",
        population=ANNOTATORS_LIKE_THESE,
    )


def _quantile(level: float, groups: tuple[int, int]) -> float:
    return float(scipy.stats.t.ppf((1 + level) / 2, min(groups) - 1))


def too_few(clusters: int, annotators: int) -> str:
    """Say why there is no interval with so few clusters or annotators; empty if there are enough.

    >>> too_few(100, 3)
    'only 3 annotators, and an interval for annotators like these needs 6'
    """
    for found, least, what in ((annotators, LEAST_ANNOTATORS, "annotator"), (clusters, LEAST_CLUSTERS, "cluster")):
        if found < least:
            return f"only {counted(found, what)}, and an interval for annotators like these needs {least}"
    return ""


def jackknife(values: Floats, repeats: Integers | None = None) -> float:
    """Return the jackknife variance of the values without each part; around their mean, as a statistic of majorities
    is biased by each vote that it lacks. repeats: of how many parts each value is, or None if of one.

    >>> jackknife(np.array([1.0, 2.0, 3.0]))
    1.3333333333333333
    """
    times = np.ones(len(values)) if repeats is None else repeats
    parts = float(times.sum())
    return float((times * (values - times @ values / parts) ** 2).sum() * (parts - 1) / parts)


def _refused(estimate: Estimate, reason: str) -> Estimate:
    """Return the estimate without an interval; one without a value keeps its own reason."""
    reason = reason if estimate.is_defined else estimate.reason
    return replace(estimate, low=None, high=None, method=_METHOD, reason=reason, population=ANNOTATORS_LIKE_THESE)


def _grouping(group: ArrayLike, column: Integers, columns: int) -> sparse.csr_array:
    """Return the (groups, columns) matrix that adds up rows by group. column: (v,) the row that each vote adds."""
    row = numbered(group)
    shape = int(row.max(initial=-1)) + 1, columns
    return sparse.csr_array((np.ones(len(column)), (row, column)), shape=shape)


def _exact_zeros(sums: Floats) -> Floats:
    """Return the sums with zeros for what is left of a sum from which all was taken: else a ratio is noise."""
    return np.where(np.abs(sums) < _ROUNDING, 0.0, sums)
