"""Votes counted per comparison and category, the input of most statistics; and labels as numbers from zero up."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SPARSE = 20  # times as many possible numbers as there are: from there on sorting is faster


def checked_counts(counts: ArrayLike, *, categories: int | None = None) -> Integers:
    """Return counted votes as whole numbers.

    counts: (n, q), a row for each comparison and a column for each category, q >= 2; an empty list: no comparison.
    categories: the required q, or None for any. Returns (n, q).
    Raises ValueError for another shape, and for a count that is negative or not whole.

    >>> checked_counts([(3.0, 2.0)]).tolist()
    [[3, 2]]
    """
    votes = np.asarray(counts)
    if votes.shape == (0,):
        votes = np.zeros((0, categories or 2))
    if votes.ndim != 2 or votes.shape[1] < 2 or categories not in (None, votes.shape[1]):
        wanted = f"{categories}" if categories else "two or more"
        raise ValueError(f"votes are counted per comparison (rows) in {wanted} categories (columns), not {votes.shape}")
    if not (np.isfinite(votes) & (votes >= 0) & (votes == np.floor(votes))).all():
        raise ValueError("votes are counted in whole numbers from zero up")
    return votes.astype(np.int64)


def numbered(labels: ArrayLike) -> Integers:
    """Return whole numbers numbered from zero up in their order, as np.unique does, without sorting if they are dense.

    labels: (v,) from zero up; few of the numbers below the largest may be missing, else they are sorted.

    >>> numbered([7, 3, 7]).tolist()
    [1, 0, 1]
    """
    numbers = np.asarray(labels, dtype=np.int64)
    if not 0 <= numbers.max(initial=-1) < _SPARSE * (len(numbers) + 1):
        return np.unique(numbers, return_inverse=True)[1].astype(np.int64)
    is_there = np.zeros(int(numbers.max()) + 1, dtype=bool)
    is_there[numbers] = True
    return np.asarray((np.cumsum(is_there) - 1)[numbers], dtype=np.int64)


def cluster_numbers(n: int, clusters: ArrayLike | None) -> Integers:
    """Cluster labels as numbers from zero up, in the labels' order.

    clusters: (n,) labels, or None if each comparison is its own. Raises ValueError for another shape.

    >>> cluster_numbers(3, ["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    if clusters is None:
        return np.arange(n)
    labels = np.asarray(clusters)
    if labels.shape != (n,):
        raise ValueError(f"{n} comparisons need {n} cluster labels, not an array {labels.shape}")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
