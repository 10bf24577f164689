"""Intervals of a proportion, and of statistics that follow from sums over resampled clusters."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

from jobs.wording import counted
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.votes.counts import Floats, Integers, cluster_numbers

Bounds = Callable[[int, int, float], tuple[float, float]]  # of a proportion: successes, n, level -> low, high

ALL_RESAMPLES_EQUAL = "all resamples equal"
# Simulated with five comparisons in each: from here on intervals of 95 % by resampling held .93 to .97 of the truths,
# with 20 clusters .89 to .96, with 6 .69 to .94.
CLUSTERS_TO_RESAMPLE = 30

_NUMBERS_AT_ONCE = 4_000_000  # 32 MB of float64, whatever the number of comparisons
_MOST_KEPT = 40_000_000  # 80 MB: more draws are not cached but repeated for every statistic


@dataclass(frozen=True, slots=True)
class Resampling:
    """The settings of intervals by resampling: their level, the number of resamples, and the seed."""

    level: float = 0.95
    resamples: int = 2000
    seed: int = 20240412

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"a level lies between 0 and 1, not at {self.level}")
        if self.resamples < 1:
            raise ValueError(f"at least one resample is needed, not {self.resamples}")

    def blocks(self, columns: int) -> Iterator[int]:
        """Split the resamples into blocks, so that a matrix of (block, columns) stays small."""
        most = max(1, _NUMBERS_AT_ONCE // max(1, columns))
        for start in range(0, self.resamples, most):
            yield min(most, self.resamples - start)


def wilson(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    """A proportion with the interval of Wilson (1927), "Probable inference", without continuity correction.

    >>> wilson(94, 100).low
    0.875...
    """
    return _proportion(successes, n, level, _wilson_bounds, "Wilson")


def clopper_pearson(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    """A proportion with the exact interval of Clopper and Pearson (1934): it covers at least its level, often more.

    >>> clopper_pearson(94, 100).high
    0.977...
    """
    return _proportion(successes, n, level, clopper_pearson_bounds, "Clopper-Pearson")


def clopper_pearson_bounds(successes: float, n: float, level: float) -> tuple[float, float]:
    """The bounds of Clopper and Pearson; an effective number of trials and its successes need not be whole.

    >>> [round(bound, 3) for bound in clopper_pearson_bounds(9.4, 10.0, 0.95)]
    [0.605, 1.0]
    """
    outside, failures = (1 - level) / 2, n - successes
    low = float(betaincinv(successes, failures + 1, outside)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, failures, 1 - outside)) if failures > 0 else 1.0
    return low, high


def resample_weights(n: int, *, clusters: ArrayLike | None, resampling: Resampling) -> Iterator[Floats]:
    """The number of times that each comparison is drawn in each resample of whole clusters.

    n: comparisons. clusters: (n,) labels; comparisons of one label are drawn together; None: each is its own.
    Yields blocks (b, n) of weights whose b add up to `resampling.resamples`, so that memory stays small. Each resample
    draws with replacement as many clusters as exist. The generator is seeded, so equal arguments give equal weights.

    >>> blocks = resample_weights(4, clusters=[1, 1, 2, 2], resampling=Resampling(resamples=3))
    >>> [block.shape for block in blocks]
    [(3, 4)]
    """
    members = cluster_numbers(n, clusters)
    cluster_count = int(members.max(initial=-1)) + 1
    for weights in _cluster_weights(cluster_count, resampling, columns=n):
        yield weights if clusters is None else weights[:, members]


def resampled_totals(summands: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Floats:
    """The sums over all comparisons in each resample of clusters.

    summands: (n, p), what each comparison adds to p sums. clusters: as for `resample_weights`.
    Returns (resamples, p). So a statistic that follows from sums is bootstrapped by one matrix product.
    Source of the resampling of whole clusters: Field and Welsh (2007), "Bootstrapping clustered data".

    >>> resampled_totals([(1.0,), (1.0,)], resampling=Resampling(resamples=2)).tolist()
    [[2.0], [2.0]]
    """
    rows = np.asarray(summands, dtype=np.float64)
    members = cluster_numbers(len(rows), clusters)
    cluster_sums = np.zeros((int(members.max(initial=-1)) + 1, rows.shape[1]))
    np.add.at(cluster_sums, members, rows)
    blocks = resample_weights(len(cluster_sums), clusters=None, resampling=resampling)
    return np.concatenate([weights @ cluster_sums for weights in blocks])


def percentile_estimate(
    value: float,
    resampled: Floats,
    *,
    n: int,
    resampling: Resampling,
    clusters: ArrayLike | None = None,
    is_expanded: bool = False,
) -> Estimate:
    """A value with the percentile interval of its resampled values (Efron, 1979).

    value: finite. resampled: (resamples,), NaN if the statistic is undefined in a resample. Such resamples are left out
    and counted in the method. The interval is undefined if their share exceeds 1 - level, or if all values are equal.
    clusters: labels of the comparisons; if they share clusters and there are fewer than CLUSTERS_TO_RESAMPLE, the
    interval is undefined too. is_expanded: the percentiles are those of `expanded_level` for the clusters, or for n.

    >>> result = percentile_estimate(0.5, np.linspace(0, 1, 101), n=9, resampling=Resampling(resamples=101))
    >>> round(result.low or 0, 3), round(result.high or 0, 3)
    (0.025, 0.975)
    """
    defined = resampled[~np.isnan(resampled)]
    missing = len(resampled) - len(defined)
    method = f"percentile bootstrap, {len(resampled)} resamples of clusters, seed {resampling.seed}"
    method += f", {counted(missing, 'undefined resample')} left out" if missing else ""
    reason = too_few_to_resample(clusters) or _why_no_interval(defined, missing, resampling.level)
    level = resampling.level
    if is_expanded and not reason:
        groups = n if clusters is None else len(np.unique(np.asarray(clusters)))
        level, method = expanded_level(level, groups), f"expanded {method}"
    low, high = (None, None) if reason else _percentiles(defined, level)
    return Estimate(value=value, low=low, high=high, level=resampling.level, n=n, method=method, reason=reason)


def expanded_level(level: float, groups: int) -> float:
    """Return the level at which percentiles of resamples of a few groups hold `level` of the truths.

    A resample of n groups varies by (n - 1) / n of the variance, and its percentiles are those of a normal instead of a
    t distribution. groups: at least two.
    Source: Hesterberg (2015), "What teachers should know about the bootstrap", expanded percentile intervals.

    >>> round(expanded_level(0.95, 30), 4), round(expanded_level(0.95, 100_000), 4)
    (0.9625, 0.95)
    """
    tail = math.sqrt(groups / (groups - 1)) * float(stdtrit(groups - 1, (1 + level) / 2))
    return 2 * float(ndtr(tail)) - 1


def too_few_to_resample(clusters: ArrayLike | None) -> str:
    """Say that shared clusters are too few for an interval by resampling or leaving out; empty if they are enough.

    >>> too_few_to_resample([1, 1, 2]), too_few_to_resample([1, 2, 3]), too_few_to_resample(None)
    ('2 clusters of comparisons, and an interval needs 30', '', '')
    """
    labels = np.asarray([] if clusters is None else clusters)
    count = len(np.unique(labels))
    if count == len(labels) or count >= CLUSTERS_TO_RESAMPLE:
        return ""
    return f"{count} cluster{'' if count == 1 else 's'} of comparisons, and an interval needs {CLUSTERS_TO_RESAMPLE}"


def summed_groups(values: Floats, starts: Integers) -> Floats:
    """Sums within groups of neighbouring columns: values (b, n), groups beginning at the columns `starts` (g,).

    >>> summed_groups(np.array([[1.0, 2.0, 4.0]]), np.array([0, 2])).tolist()
    [[3.0, 4.0]]
    """
    return values if len(starts) == values.shape[1] else np.add.reduceat(values, starts, axis=1)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient; NaN, which means "undefined" inside this package, if the denominator is zero.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [0.5, nan]
    """
    undefined: Floats = np.full(np.shape(denominator), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) != 0)


def _why_no_interval(defined: Floats, missing: int, level: float) -> str:
    if missing > (1 - level) * (missing + len(defined)):
        return f"undefined in {missing} of {missing + len(defined)} resamples"
    # sums in another order differ by rounding only
    return ALL_RESAMPLES_EQUAL if np.ptp(defined) <= 1e-12 * max(1.0, np.abs(defined).max()) else ""


def _percentiles(values: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@lru_cache(maxsize=65_536)  # planning asks for the same few thousand again and again
def _proportion(successes: int, n: int, level: float, bounds: Bounds, method: str) -> Estimate:
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    if n == 0:
        return Estimate.undefined("no comparison", n=0, level=level, method=method)
    low, high = bounds(successes, n, level)
    share = successes / n
    return Estimate(share, min(low, share), max(high, share), level, n, method)


# Written out: scipy's binomtest first computes a p-value, which takes some milliseconds for many successes.
def _wilson_bounds(successes: int, n: int, level: float) -> tuple[float, float]:
    z = float(ndtri((1 + level) / 2))
    centre = (successes + z**2 / 2) / (n + z**2)
    reach = z / (n + z**2) * math.sqrt(successes * (n - successes) / n + z**2 / 4)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _cluster_weights(cluster_count: int, resampling: Resampling, *, columns: int) -> Iterator[Floats]:
    """Yield how often each cluster is drawn in each resample: blocks (b, cluster_count), with b fit for `columns`."""
    if cluster_count * resampling.resamples > _MOST_KEPT:
        rng = np.random.default_rng(resampling.seed)
        for block in resampling.blocks(columns):
            yield _draws(rng, block, cluster_count).astype(np.float64)
        return
    kept, start = _kept_draws(cluster_count, resampling.resamples, resampling.seed), 0
    for block in resampling.blocks(columns):
        yield kept[start : start + block].astype(np.float64)
        start += block


@lru_cache(maxsize=2)  # nearly every interval of a report rests on the same draws, which cost more than the statistics
def _kept_draws(cluster_count: int, resamples: int, seed: int) -> NDArray[np.uint16]:
    rng = np.random.default_rng(seed)
    blocks = Resampling(resamples=resamples).blocks(cluster_count)
    return np.concatenate([_draws(rng, block, cluster_count) for block in blocks]).astype(np.uint16)


def _draws(rng: np.random.Generator, block: int, cluster_count: int) -> Integers:
    drawn = rng.integers(0, max(1, cluster_count), size=(block, cluster_count))
    drawn += np.arange(block)[:, np.newaxis] * cluster_count
    return np.bincount(drawn.ravel(), minlength=block * cluster_count).reshape(block, cluster_count)
