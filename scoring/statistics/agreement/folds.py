"""Folds for cross-fitting: the comparisons of a cluster are held out together."""

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.votes.counts import Integers, cluster_numbers

FOLDS = 10


def cluster_folds(n: int, *, clusters: ArrayLike | None, seed: int) -> Integers:
    """The fold, from zero up, of each of n comparisons.

    clusters: (n,) labels, or None if each comparison is its own; a cluster is never split. Clusters are assigned at
    random to ten folds of nearly equal size; with fewer than ten clusters each is a fold of its own.

    >>> cluster_folds(4, clusters=["a", "a", "b", "c"], seed=1).tolist()
    [0, 0, 1, 2]
    """
    members = cluster_numbers(n, clusters)
    cluster_count = int(members.max(initial=-1)) + 1
    dealt = np.random.default_rng(seed).permutation(cluster_count) % FOLDS
    return dealt[members].astype(np.int64)
