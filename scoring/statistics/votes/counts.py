"""Votes counted per comparison and category, the input of most statistics."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers = NDArray[np.int64]


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
