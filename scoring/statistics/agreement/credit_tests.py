"""Whether two ways to choose earn the same mean credit: one paired test for all treatments of ties."""

from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import ArrayLike

from jobs.wording import counted
from scoring.statistics.inference.clusters import cluster_sums, shared_clusters
from scoring.statistics.inference.estimate import SignificanceTest
from scoring.statistics.inference.sign_flip import exact_sign_flip

INDEPENDENT = "treats comparisons as independent"


def credit_test(gains: ArrayLike, *, clusters: ArrayLike | None = None) -> SignificanceTest:
    """Whether two ways to choose earn the same mean credit: the exact sign-flip test of paired differences.

    gains: (n,) differences of credits, multiples of one half, without NaN. clusters: (n,) labels or None. Under the
    null each difference, or each cluster's sum, is as likely to have the other sign. If all differences are -1, 0 or 1
    and no cluster is shared, this is McNemar's exact test, with its statistic and its n. Otherwise the statistic is the
    mean difference, and n the number of differences or sums other than zero.
    Raises ValueError for a difference that is no multiple of one half.
    Source: Fisher (1935), "The design of experiments"; Canay, Romano and Shaikh (2017) for sums over clusters.

    >>> round(credit_test([0.5] * 4 + [1.0]).p_value or 0, 4)
    0.0625
    """
    values = np.asarray(gains, dtype=np.float64)
    if not len(values):
        return SignificanceTest.undefined("no comparison", n=0, method="exact McNemar")
    doubled = np.rint(2 * values).astype(np.int64)
    if np.abs(doubled - 2 * values).max(initial=0.0) > 1e-9:
        raise ValueError("credits differ by multiples of one half")
    numbers = shared_clusters(len(values), clusters)
    if numbers is None and not (doubled % 2).any():
        return mcnemar_exact(int((values > 0).sum()), int((values < 0).sum()))
    sums = doubled if numbers is None else cluster_sums(doubled, numbers).astype(np.int64)
    what = "credits" if numbers is None else f"the sums of {counted(len(sums), 'cluster')}"
    method, n = f"exact sign-flip of {what} (assumes symmetry)", int((sums != 0).sum())
    if not doubled.any():
        return SignificanceTest.undefined("they never differ", n=0, method=method)
    return SignificanceTest(float(values.mean()), exact_sign_flip(sums), n, method)


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
    return float(scipy.stats.binomtest(successes, n).pvalue)
