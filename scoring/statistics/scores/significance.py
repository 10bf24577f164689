"""Tests of a difference between paired scores and between two distributions."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import ArrayLike

from jobs.wording import counted
from scoring.statistics.agreement.agreement import METRIC_TIE
from scoring.statistics.inference.clusters import cluster_sums, shared_clusters
from scoring.statistics.inference.estimate import Estimate, SignificanceTest
from scoring.statistics.inference.intervals import Resampling, percentile_estimate, resample_weights, summed_groups
from scoring.statistics.inference.sign_flip import sign_flip_p, sign_flips
from scoring.statistics.votes.counts import Floats, Integers, cluster_numbers

_MOST_FOR_EXACT_RANKS = 50  # above, the normal approximation is as good
_MOST_FOR_EXACT_KS = 1000
_ROUNDING = 1e-12
_LEAST_OF_RARER_SIGN = 5  # of 30 scores with four ahead for one model on average, .90 of the intervals held the truth


@dataclass(frozen=True, slots=True)
class Wilcoxon:
    """The signed-rank test and its effect: the rank-biserial correlation, -1 (B always higher) to 1 (A always)."""

    test: SignificanceTest
    rank_biserial: Estimate


def wilcoxon(differences: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Wilcoxon:
    """The signed-rank test of paired scores, and the size of the difference.

    differences: (n,) score of A minus score of B; sizes up to 1e-9 come from rounding and are left out, as Wilcoxon did
    with zeros. clusters: (n,) labels or None. The statistic is the smaller rank sum; exact up to 50 differences of
    distinct size. If comparisons share clusters, the signs of a cluster are flipped together: exactly, or by draws if
    there are many comparisons. The effect is (rank sum for A - rank sum for B) / (sum of all ranks), with a percentile
    interval over clusters.
    Raises ValueError for a value that is not finite.
    Source: Wilcoxon (1945), "Individual comparisons by ranking methods"; Rosner, Glynn and Lee (2006), "The Wilcoxon
    signed rank test for paired comparisons of clustered data"; Kerby (2014), "The simple difference formula".

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
    shared = shared_clusters(len(kept), labels)
    test = _signed_rank_test(kept) if shared is None else _clustered_rank_test(kept, shared, resampling)
    return Wilcoxon(test, _rank_biserial(kept, labels, resampling))


def ks_two_sample(first: ArrayLike, second: ArrayLike, *, clusters: ArrayLike | None = None) -> SignificanceTest:
    """The largest distance of two distribution functions; the p-value ignores that scores are paired.

    first, second: (n,) scores of the same comparisons. Exact p-value (if no scores are equal) up to n = 1,000.
    clusters: (n,) labels or None; the p-value ignores them too, and `method` says so if comparisons share any.
    Raises ValueError for unequal lengths or a value that is not finite.
    Source: Smirnov (1939); Gnedenko and Korolyuk (1951). `ks_sign_flip` gives the p-value that keeps the pairing.

    >>> round(ks_two_sample([1, 2, 3, 4], [5, 6, 7, 8]).p_value or 0, 4)
    0.0286
    """
    a, b = _paired(first, second)
    n, method = len(a), "two-sample Kolmogorov-Smirnov, {}, ignores the pairing"
    method += "" if shared_clusters(n, clusters) is None else " and the clusters"
    if not n:
        return SignificanceTest.undefined("no scores", n=0, method=method.format("exact"))
    distance = _DistancesUnderFlips(a, b).observed()
    is_exact = n <= _MOST_FOR_EXACT_KS
    # scipy warns if an exact value exceeds 1 by rounding, and returns the asymptotic one, which is then 1 as well.
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        p_value = float(scipy.stats.ks_2samp(a, b, method="exact" if is_exact else "asymp").pvalue)
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
    result = scipy.stats.wilcoxon(differences, method="exact" if is_exact else "approx")
    method = f"Wilcoxon signed-rank, {'exact' if is_exact else 'normal approximation'}"
    return SignificanceTest(float(result.statistic), float(result.pvalue), n, method)


def _clustered_rank_test(differences: Floats, clusters: Integers, resampling: Resampling) -> SignificanceTest:
    ranks = scipy.stats.rankdata(np.abs(differences))
    for_a = float(ranks[differences > 0].sum())
    doubled = cluster_sums(2 * ranks * np.sign(differences), clusters)  # mean ranks of equal sizes may end in one half
    p_value, how = sign_flip_p(np.rint(doubled), resampling=resampling)
    method = f"Wilcoxon signed-rank, whole clusters flipped, {how}"
    return SignificanceTest(min(for_a, float(ranks.sum()) - for_a), p_value, len(differences), method)


def _rank_biserial(differences: Floats, clusters: ArrayLike | None, resampling: Resampling) -> Estimate:
    order = np.argsort(np.abs(differences), kind="stable")
    sizes = np.abs(differences)[order]
    starts = np.flatnonzero(np.append(True, np.diff(sizes) > 0)).astype(np.int64)
    signs = np.sign(differences)[order]
    blocks = resample_weights(len(differences), clusters=clusters, resampling=resampling)
    resampled = np.concatenate([_weighted_rank_biserial(weights[:, order], signs, starts) for weights in blocks])
    value = _weighted_rank_biserial(np.ones((1, len(signs))), signs, starts)[0]
    found = percentile_estimate(float(value), resampled, n=len(signs), resampling=resampling, clusters=clusters)
    rare = int(min((signs > 0).sum(), (signs < 0).sum()))
    if found.low is None or rare >= _LEAST_OF_RARER_SIGN:
        return found
    reason = f"one model is ahead in {counted(rare, 'comparison')} only, and an interval needs {_LEAST_OF_RARER_SIGN}"
    return replace(found, low=None, high=None, reason=reason)


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
