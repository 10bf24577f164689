"""The interval of a mean credit, or of a mean difference of credits, by inverting the score test."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from scoring.statistics.inference.clusters import clustering, described, quantile, shared_clusters
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import wilson
from scoring.statistics.votes.counts import Floats

_TOLERANCE = 1e-13


@dataclass(frozen=True, slots=True)
class _Sample:
    """Credits by value: `counts` of them lie at `values`, which reach from the least to the greatest possible one.

    Counts are divided by the design effect, so they need not be whole.
    """

    values: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def n(self) -> float:
        """The effective number of credits."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """The mean credit."""
        return sum(value * count for value, count in zip(self.values, self.counts, strict=True)) / self.n


def mean_with_score_interval(
    earned: ArrayLike,
    *,
    possible: tuple[float, float],
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """The mean of credits with the score interval: all means that the score test does not reject.

    earned: (n,) credits, without NaN. possible: the least and the greatest value that a credit can have. weights: (n,)
    of a weighted mean, None for equal ones. clusters: (n,) labels or None. The test of a mean m divides (mean - m) by
    its standard error under the most likely distribution on the observed and the two outermost values whose mean is m.
    For credits of 0 and 1 this is the interval of Wilson (1927), for differences of -1, 0, 1 that of Tango (1998); half
    credits lie between. With shared clusters all counts are divided by the design effect, and Student's t of
    (clusters - 1) takes the place of the normal quantile.
    Undefined without credits. The interval is undefined for one cluster of several comparisons.
    Source: Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design"; Dean and Pagano (2015) for the effective number.

    >>> result = mean_with_score_interval([1.0] * 60 + [0.5] * 40, possible=(0.0, 1.0))
    >>> result.value, round(result.low or 0, 3), round(result.high or 0, 3)
    (0.8, 0.751, 0.845)
    """
    values = np.asarray(earned, dtype=np.float64)
    if not len(values):
        return Estimate.undefined("no comparison", n=0, level=level, method="score interval")
    shares = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    shared, value = clustering(values, clusters), float(values @ shares / shares.sum())
    is_proportion = possible == (0.0, 1.0) and bool(np.isin(values, possible).all())
    method = described("Wilson" if is_proportion else "score interval", shared)
    if shared is not None and shared.count < 2:
        return Estimate(value, None, None, level, len(values), method, "one cluster")
    effect = shared.design_effect if shared else 1.0
    low, high = score_interval(
        values, possible=possible, weights=shares, design_effect=effect, quantile=quantile(level, shared)
    )
    return Estimate(value, low, high, level, len(values), method)


def score_interval(
    earned: ArrayLike,
    *,
    possible: tuple[float, float],
    weights: ArrayLike | None = None,
    design_effect: float,
    quantile: float,
) -> tuple[float, float]:
    """The ends of the score interval of a mean, for any design effect and any quantile of the test.

    earned: (n,) values from the least to the greatest `possible` one. weights: (n,) of a weighted mean, None for equal
    ones. design_effect: the variance of the mean divided by the variance that independent values would give it.

    >>> low, high = score_interval([1.0] * 94 + [0.0] * 6, possible=(0.0, 1.0), design_effect=1.0, quantile=1.96)
    >>> round(low, 3), round(high, 3)
    (0.875, 0.972)
    """
    values = np.asarray(earned, dtype=np.float64)
    shares = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    shares = shares * shares.sum() / (shares**2).sum()  # they add up to as many equal values as weigh the same
    low, high = _bounds(_sample(values, possible, shares / design_effect), quantile)
    mean = float(values @ shares / shares.sum())
    return min(low, mean), max(high, mean)


def mean_credit(earned: ArrayLike, *, clusters: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """The mean of credits between 0 and 1 with Wilson's interval, or the score interval if some are between.

    earned: (n,) credits, without NaN. clusters: (n,) labels or None; see `mean_with_score_interval`.

    >>> mean_credit([1, 1, 0, 1]).method, mean_credit([1, 0.5, 0, 1]).method
    ('Wilson', 'score interval')
    """
    values = np.asarray(earned, dtype=np.float64)
    if shared_clusters(len(values), clusters) is None and np.isin(values, (0.0, 1.0)).all():
        return wilson(int(values.sum()), len(values), level=level)
    return mean_with_score_interval(values, possible=(0.0, 1.0), clusters=clusters, level=level)


def _sample(earned: Floats, possible: tuple[float, float], weights: Floats) -> _Sample:
    values, place = np.unique(np.append(earned, possible), return_inverse=True)
    counts = np.bincount(place, weights=np.append(weights, (0.0, 0.0)))
    return _Sample(tuple(values.tolist()), tuple(counts.tolist()))


def _bounds(sample: _Sample, quantile: float) -> tuple[float, float]:
    least, greatest, mean = sample.values[0], sample.values[-1], sample.mean
    inside = 1e-9 * (greatest - least)  # at the mean itself the excess may be zero: all credits equal

    def excess(at: float) -> float:
        return sample.n * (mean - at) ** 2 - quantile**2 * _variance_at(sample, at)

    low = least if mean - least <= inside else _root(excess, least + 1e-15, mean - inside)
    high = greatest if greatest - mean <= inside else _root(excess, mean + inside, greatest - 1e-15)
    return low, high


def _variance_at(sample: _Sample, mean: float) -> float:
    """The variance of the most likely distribution with a given mean on the values of the sample."""
    offsets = [value - mean for value in sample.values]
    n, counts = sample.n, sample.counts

    def weighted(tilt: float) -> float:
        return sum(count * offset / (n + tilt * offset) for count, offset in zip(counts, offsets, strict=True) if count)

    # no probability exceeds 1, which keeps the tilt within these bounds
    steepest = min((n - count) / -offset for count, offset in zip(counts, offsets, strict=True) if offset < 0)
    flattest = max((count - n) / offset for count, offset in zip(counts, offsets, strict=True) if offset > 0)
    if weighted(steepest) > 0:
        tilt, rest = steepest, offsets[0]
    elif weighted(flattest) < 0:
        tilt, rest = flattest, offsets[-1]
    else:
        tilt, rest = _root(weighted, flattest, steepest), 0.0
    chances = [count / (n + tilt * offset) if count else 0.0 for count, offset in zip(counts, offsets, strict=True)]
    variance = sum(chance * offset**2 for chance, offset in zip(chances, offsets, strict=True))
    # a value that was not seen takes the probability that is left: only the outermost one can
    return variance + max(0.0, 1 - sum(chances)) * rest**2


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(function, low, high, xtol=_TOLERANCE, rtol=_TOLERANCE))
