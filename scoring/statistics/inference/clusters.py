"""The effect of shared clusters on a mean: its design effect, and the number of clusters that is enough."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from jobs.wording import counted
from scoring.statistics.votes.counts import Floats, Integers, cluster_numbers

LEAST_CLUSTERS = 6  # with five, no sign-flip test of cluster sums reaches p < .05: 2 / 2^5 = .0625
FEW_CLUSTERS = 20  # with fewer, intervals and tests over clusters are rough: the report warns


@dataclass(frozen=True, slots=True)
class Clustering:
    """Clusters that comparisons share: their count, the comparisons in the largest one, the design effect of the mean.

    The design effect is the variance of a mean over clusters divided by the variance that the same credits would have
    if the comparisons were independent.
    """

    count: int
    largest: int
    design_effect: float

    @property
    def warning(self) -> str:
        """A warning if there are few clusters, else empty."""
        if self.count < LEAST_CLUSTERS:
            return f"only {counted(self.count, 'cluster')} of comparisons: a verdict needs {LEAST_CLUSTERS}"
        few = f"only {self.count} clusters of comparisons: intervals and tests are rough below {FEW_CLUSTERS}"
        return few if self.count < FEW_CLUSTERS else ""


def shared_clusters(n: int, clusters: ArrayLike | None) -> Integers | None:
    """Cluster numbers if at least two comparisons share a cluster; None if each comparison is its own.

    >>> shared_clusters(3, ["b", "a", "c"]) is None
    True
    """
    numbers = cluster_numbers(n, clusters)
    return numbers if n > int(numbers.max(initial=-1)) + 1 else None


def cluster_count(n: int, clusters: ArrayLike | None) -> int | None:
    """The number of clusters of n comparisons; None if each comparison is its own.

    >>> cluster_count(3, ["b", "a", "b"]), cluster_count(2, None)
    (2, None)
    """
    shared = shared_clusters(n, clusters)
    return None if shared is None else int(shared.max()) + 1


def cluster_sums(values: ArrayLike, clusters: Integers) -> Floats:
    """The sum of the values in each cluster: values (n,), clusters (n,) numbers from zero up.

    >>> cluster_sums([1.0, 2.0, 4.0], np.array([0, 1, 0])).tolist()
    [5.0, 2.0]
    """
    sums: Floats = np.zeros(int(clusters.max(initial=-1)) + 1)
    np.add.at(sums, clusters, np.asarray(values, dtype=np.float64))
    return sums


def clustering(earned: ArrayLike, clusters: ArrayLike | None) -> Clustering | None:
    """Return the clusters that the comparisons of a mean share, and the design effect; None if they share none.

    earned: (n,) credits, without NaN. clusters: (n,) labels or None. The design effect is
    G / (G - 1) * sum over clusters of (sum of deviations)^2 / sum of squared deviations, and never below 1: a smaller
    value is noise, or clusters that differ less than chance, which a report must not reward. If all credits are equal
    they say nothing about their clusters; then the clusters are taken as unanimous, and it is the mean size of the
    cluster of a comparison. One cluster has no variance over clusters: the same holds.
    Source: Kish (1965), "Survey sampling"; Liang and Zeger (1986) for the variance over clusters.

    >>> clustering([1, 1, 1, 0, 0, 0], ["a", "a", "a", "b", "b", "b"]).design_effect
    6.0
    """
    values = np.asarray(earned, dtype=np.float64)
    numbers = shared_clusters(len(values), clusters)
    if numbers is None:
        return None
    sizes = np.bincount(numbers)
    deviations = values - values.mean()
    independent = float((deviations**2).sum())
    if len(sizes) < 2 or independent <= 1e-12 * len(values):
        effect = float((sizes**2).sum() / len(values))
    else:
        effect = len(sizes) / (len(sizes) - 1) * float((cluster_sums(deviations, numbers) ** 2).sum()) / independent
    return Clustering(len(sizes), int(sizes.max()), max(1.0, effect))


def quantile(level: float, shared: Clustering | None) -> float:
    """Half the width of a two-sided interval in standard errors: normal, or Student's t of (clusters - 1).

    >>> round(quantile(0.95, None), 2), round(quantile(0.95, Clustering(10, 3, 1.0)), 2)
    (1.96, 2.26)
    """
    at = (1 + level) / 2
    return float(ndtri(at)) if shared is None else float(stdtrit(shared.count - 1, at))


def described(method: str, shared: Clustering | None) -> str:
    """The name of an interval's method, with the clusters that it knows.

    >>> described("Wilson", Clustering(10, 3, 2.5))
    'Wilson, 10 clusters, design effect 2.50, t(9)'
    """
    if shared is None:
        return method
    effect = f"design effect {shared.design_effect:.2f}" if shared.design_effect > 1 else "no design effect seen"
    how = f"{counted(shared.count, 'cluster')}, {effect}"
    return f"{method}, {how}, t({shared.count - 1})" if shared.count > 1 else f"{method}, {how}"
