"""Tests of a difference between paired counts, paired scores, and two distributions."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from scoring.statistics.agreement import METRIC_TIE
from scoring.statistics.counts import Integers
from scoring.statistics.estimate import Estimate, SignificanceTest
from scoring.statistics.intervals import (
    Floats,
    Resampling,
    cluster_numbers,
    percentile_estimate,
    resample_weights,
    summed_groups,
)

_MOST_FOR_EXACT_RANKS = 50  # above, the normal approximation is as good
_MOST_FOR_EXACT_KS = 1000
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Wilcoxon:
    """The signed-rank test and its effect: the rank-biserial correlation, -1 (B always higher) to 1 (A always)."""

    test: SignificanceTest
    rank_biserial: Estimate


def mcnemar_exact(first_only: int, second_only: int) -> SignificanceTest:
    """McNemar's exact test: whether two classifiers of the same units are right equally often.

    first_only, second_only: units that only the first or only the second gets right. The test is binomial with one half
    on these units, and undefined if there are none. The statistic is `first_only`, n the number of these units.
    Source: McNemar (1947), "Note on the sampling error of the difference between correlated proportions".

    >>> round(mcnemar_exact(5, 15).p_value, 4)
    0.0414
    """
    method, n = "exact McNemar", first_only + second_only
    if n == 0:
        return SignificanceTest.undefined("they never differ", n=0, method=method)
    return SignificanceTest(float(first_only), _binomial_half(first_only, n), n, method)


@lru_cache(maxsize=65_536)  # planning asks for the same few thousand again and again
def _binomial_half(successes: int, n: int) -> float:
    return float(stats.binomtest(successes, n).pvalue)


def wilcoxon(differences: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Wilcoxon:
    """The signed-rank test of paired scores, and the size of the difference.

    differences: (n,) score of A minus score of B; sizes up to 1e-9 come from rounding and are left out, as Wilcoxon did
    with zeros. clusters: (n,) labels for the interval of the effect. The statistic is the smaller rank sum; exact up to
    50 differences of distinct size. The effect is (rank sum for A - rank sum for B) / (sum of all ranks), with a
    percentile interval over clusters.
    Raises ValueError for a value that is not finite.
    Source: Wilcoxon (1945), "Individual comparisons by ranking methods"; Kerby (2014), "The simple difference formula".

    >>> heights = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]
    >>> outcome = wilcoxon(heights, resampling=Resampling(resamples=100))
    >>> outcome.test.statistic, round(outcome.test.p_value or 0, 4)
    (24.0, 0.0413)
    """
    values = _finite(differences)
    is_kept = np.abs(values) > METRIC_TIE
    kept = values[is_kept]
    if not len(kept):
        reason = "no difference other than zero" if len(values) else "no scores"
        test = SignificanceTest.undefined(reason, n=0, method="Wilcoxon signed-rank")
        return Wilcoxon(test, Estimate.undefined(reason, n=0, level=resampling.level, method="percentile bootstrap"))
    labels = None if clusters is None else cluster_numbers(len(values), clusters)[is_kept]
    return Wilcoxon(_signed_rank_test(kept), _rank_biserial(kept, labels, resampling))


def ks_two_sample(first: ArrayLike, second: ArrayLike) -> SignificanceTest:
    """The largest distance of two distribution functions; the p-value ignores that scores are paired.

    first, second: (n,) scores of the same comparisons. Exact p-value (if no scores are equal) up to n = 1,000.
    Raises ValueError for unequal lengths or a value that is not finite.
    Source: Smirnov (1939); Gnedenko and Korolyuk (1951). `ks_sign_flip` gives the p-value that keeps the pairing.

    >>> round(ks_two_sample([1, 2, 3, 4], [5, 6, 7, 8]).p_value or 0, 4)
    0.0286
    """
    a, b = _paired(first, second)
    n, method = len(a), "two-sample Kolmogorov-Smirnov, {}, ignores the pairing"
    if not n:
        return SignificanceTest.undefined("no scores", n=0, method=method.format("exact"))
    distance = _DistancesUnderFlips(a, b).observed()
    is_exact = n <= _MOST_FOR_EXACT_KS
    # scipy warns if an exact value exceeds 1 by rounding, and returns the asymptotic one, which is then 1 as well.
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        p_value = float(stats.ks_2samp(a, b, method="exact" if is_exact else "asymp").pvalue)
    return SignificanceTest(distance, p_value, n, method.format("exact" if is_exact else "asymptotic"))


def ks_sign_flip(
    first: ArrayLike, second: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling
) -> SignificanceTest:
    """The same distance with a p-value that keeps the pairing, by random exchange of the two scores of a pair.

    first, second: (n,) scores of the same comparisons. clusters: (n,) labels; pairs of one label are exchanged
    together. p = (1 + permutations at least as far apart) / (1 + permutations).
    Raises ValueError as `ks_two_sample` does.

    >>> ks_sign_flip([1, 2, 3, 4], [5, 6, 7, 8], resampling=Resampling(resamples=199)).statistic
    1.0
    """
    a, b = _paired(first, second)
    method = f"Kolmogorov-Smirnov under within-pair exchange, {resampling.resamples} permutations, "
    method += f"seed {resampling.seed}"
    if not len(a):
        return SignificanceTest.undefined("no scores", n=0, method=method)
    distances = _DistancesUnderFlips(a, b)
    observed = distances.observed()
    flips = sign_flips(len(a), clusters=clusters, resampling=resampling)
    reached = sum(int((distances.of(block) >= observed - _ROUNDING).sum()) for block in flips)
    return SignificanceTest(observed, (1 + reached) / (1 + resampling.resamples), len(a), method)


def sign_flips(n: int, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Iterator[Floats]:
    """Random signs for n units, equal within a cluster: blocks (b, n) whose b add up to `resampling.resamples`.

    >>> [block.shape for block in sign_flips(3, resampling=Resampling(resamples=2))]
    [(2, 3)]
    """
    members = cluster_numbers(n, clusters)
    rng = np.random.default_rng(resampling.seed)
    for block in resampling.blocks(n):
        yield rng.choice((-1.0, 1.0), size=(block, int(members.max(initial=-1)) + 1))[:, members]


class _DistancesUnderFlips:
    """Kolmogorov-Smirnov distances for many exchanges at once: both samples are sorted a single time."""

    def __init__(self, first: Floats, second: Floats) -> None:
        self._n = len(first)
        pooled = np.concatenate([first, second])
        order = np.argsort(pooled, kind="stable")
        self._pair = order % self._n
        self._step = np.where(order < self._n, 1.0, -1.0)
        self._is_last_of_equals = np.append(np.diff(pooled[order]) > 0, True)

    def observed(self) -> float:
        """The distance with no pair exchanged."""
        return float(self.of(np.ones((1, self._n)))[0])

    def of(self, flips: Floats) -> Floats:
        """flips: (b, n) signs, -1 exchanges a pair. Returns (b,) distances."""
        gaps = np.cumsum(flips[:, self._pair] * self._step, axis=1)
        if not self._is_last_of_equals.all():
            gaps = gaps[:, self._is_last_of_equals]
        distances: Floats = np.maximum(gaps.max(axis=1), -gaps.min(axis=1)) / self._n
        return distances


def _signed_rank_test(differences: Floats) -> SignificanceTest:
    n = len(differences)
    is_exact = n <= _MOST_FOR_EXACT_RANKS and len(np.unique(np.abs(differences))) == n
    result = stats.wilcoxon(differences, method="exact" if is_exact else "approx")
    method = f"Wilcoxon signed-rank, {'exact' if is_exact else 'normal approximation'}"
    return SignificanceTest(float(result.statistic), float(result.pvalue), n, method)


def _rank_biserial(differences: Floats, clusters: ArrayLike | None, resampling: Resampling) -> Estimate:
    order = np.argsort(np.abs(differences), kind="stable")
    sizes = np.abs(differences)[order]
    starts = np.flatnonzero(np.append(True, np.diff(sizes) > 0)).astype(np.int64)
    signs = np.sign(differences)[order]
    blocks = resample_weights(len(differences), clusters=clusters, resampling=resampling)
    resampled = np.concatenate([_weighted_rank_biserial(weights[:, order], signs, starts) for weights in blocks])
    value = _weighted_rank_biserial(np.ones((1, len(signs))), signs, starts)[0]
    return percentile_estimate(float(value), resampled, n=len(signs), resampling=resampling)


def _weighted_rank_biserial(weights: Floats, signs: Floats, starts: Integers) -> Floats:
    """weights: (b, n) in the order of size; differences of equal size begin at `starts` and share their mean rank."""
    group = summed_groups(weights, starts)
    mean_rank = np.cumsum(group, axis=1) - (group - 1) / 2
    balance = summed_groups(weights * signs, starts)
    effect: Floats = (mean_rank * balance).sum(axis=1) / (mean_rank * group).sum(axis=1)
    return effect


def _paired(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    a, b = _finite(first), _finite(second)
    if len(a) != len(b):
        raise ValueError(f"scores are paired, not {len(a)} against {len(b)}")
    return a, b


def _finite(values: ArrayLike) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise ValueError("scores are one finite number for each comparison")
    return numbers
