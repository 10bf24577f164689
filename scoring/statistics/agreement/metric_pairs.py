"""Compare metrics on the same votes: which one agrees with people more often."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.statistics.agreement.agreement import Signs, earned_credit
from scoring.statistics.agreement.credit_tests import INDEPENDENT, credit_test, mcnemar_exact
from scoring.statistics.inference.clusters import cluster_count
from scoring.statistics.inference.estimate import Estimate, SignificanceTest, holm
from scoring.statistics.inference.intervals import Resampling, percentile_estimate, resampled_totals
from scoring.statistics.inference.sign_flip import sign_flips
from scoring.statistics.votes.counts import Floats


@dataclass(frozen=True, slots=True)
class MetricPair:
    """Strict agreement of one metric against another, paired by comparison.

    difference: agreement of the first minus of the second. mcnemar: exact, treats comparisons as independent.
    permutation: the metrics exchanged within clusters. adjusted: the permutation's p-value after Holm's correction
    over all pairs. is_equivalent: whether the interval of the difference at level 1 - 2 (1 - level) lies within the
    margin fixed in advance (two one-sided tests); None without a margin or without an interval. sign_flip: exact test
    of the difference, by sums over clusters if comparisons share any, else McNemar's.
    """

    first: str
    second: str
    difference: Estimate
    mcnemar: SignificanceTest
    permutation: SignificanceTest
    adjusted: float | None
    is_equivalent: bool | None
    sign_flip: SignificanceTest = SignificanceTest.undefined("new in version 0.3.0", n=0, method="exact sign-flip")


def compare_metrics(
    people: ArrayLike,
    metrics: Mapping[str, ArrayLike],
    *,
    clusters: ArrayLike | None = None,
    resampling: Resampling,
    margin: float | None = None,
) -> tuple[MetricPair, ...]:
    """Every pair of metrics, in the order of their names in `metrics`.

    people: (n,) signs. metrics: the (n,) signs of each metric. clusters: (n,) labels or None. margin: of equivalence,
    fixed before the votes. Raises ValueError for a margin that is not positive.
    Source: Holm (1979), "A simple sequentially rejective multiple test procedure"; Schuirmann (1987) for equivalence.

    >>> signs = {"one": [1, 1, 1, 1], "other": [1, 1, -1, -1]}
    >>> (pair,) = compare_metrics([1, 1, 1, -1], signs, resampling=Resampling(resamples=100))
    >>> pair.difference.value, pair.mcnemar.p_value
    (0.0, 1.0)
    """
    if margin is not None and margin <= 0:
        raise ValueError("a margin of equivalence is positive")
    earned = {name: earned_credit(people, signs, ties="strict") for name, signs in metrics.items()}
    pairs = [
        _pair(first, second, earned[first] - earned[second], clusters, resampling, margin)
        for first, second in combinations(earned, 2)
    ]
    adjusted = holm([pair.permutation.p_value for pair in pairs])
    return tuple(replace(pair, adjusted=p) for pair, p in zip(pairs, adjusted, strict=True))


def are_divided(winners: Iterable[Signs]) -> NDArray[np.bool_]:
    """Return (n,) whether the winners, (n,) signs of each metric, differ.

    >>> are_divided([np.array([1, 1], dtype=np.int8), np.array([1, -1], dtype=np.int8)]).tolist()
    [False, True]
    """
    signs = np.stack(list(winners))
    return np.asarray((signs != signs[0]).any(axis=0))


def _pair(
    first: str,
    second: str,
    gain: Floats,
    clusters: ArrayLike | None,
    resampling: Resampling,
    margin: float | None,
) -> MetricPair:
    totals = resampled_totals(np.column_stack([gain, np.ones(len(gain))]), clusters=clusters, resampling=resampling)
    return MetricPair(
        first=first,
        second=second,
        difference=_difference(gain, totals, resampling, clusters),
        mcnemar=_mcnemar(gain, clusters),
        permutation=_permutation(gain, clusters, resampling),
        adjusted=None,
        is_equivalent=None if margin is None else _is_equivalent(gain, totals, resampling, clusters, margin),
        sign_flip=credit_test(gain, clusters=clusters),
    )


def _mcnemar(gain: Floats, clusters: ArrayLike | None) -> SignificanceTest:
    test = mcnemar_exact(int((gain > 0).sum()), int((gain < 0).sum()))
    is_shared = cluster_count(len(gain), clusters) is not None
    return replace(test, method=f"{test.method}, {INDEPENDENT}") if is_shared else test


def _difference(gain: Floats, totals: Floats, resampling: Resampling, clusters: ArrayLike | None) -> Estimate:
    if not len(gain):
        return Estimate.undefined("no comparison", n=0, level=resampling.level, method="percentile bootstrap")
    means = totals[:, 0] / totals[:, 1]
    return percentile_estimate(float(gain.mean()), means, n=len(gain), resampling=resampling, clusters=clusters)


def _is_equivalent(
    gain: Floats, totals: Floats, resampling: Resampling, clusters: ArrayLike | None, margin: float
) -> bool | None:
    wider = replace(resampling, level=2 * resampling.level - 1)
    interval = _difference(gain, totals, wider, clusters)
    if interval.low is None or interval.high is None:
        return None
    return -margin < interval.low and interval.high < margin


def _permutation(gain: Floats, clusters: ArrayLike | None, resampling: Resampling) -> SignificanceTest:
    method = f"exchange of the metrics within clusters, {resampling.resamples} permutations, seed {resampling.seed}"
    if not gain.any():
        reason = "they never differ" if len(gain) else "no comparison"
        return SignificanceTest.undefined(reason, n=len(gain), method=method)
    observed = float(gain.sum())
    flips = sign_flips(len(gain), clusters=clusters, resampling=resampling)
    reached = sum(int((np.abs(block @ gain) >= abs(observed) - 1e-9).sum()) for block in flips)
    return SignificanceTest(observed / len(gain), (1 + reached) / (1 + resampling.resamples), len(gain), method)
