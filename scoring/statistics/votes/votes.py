"""Single votes, for the few statistics that need to know each vote's annotator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.votes.counts import Integers

CATEGORIES = 3  # 0: for A, 1: for B, 2: a tie vote, as the columns of counted votes


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """v votes: comparison, annotator: (v,) numbers from zero up; choice: (v,) 0 for A, 1 for B, 2 for a tie.

    names: of the annotators, by number; without names the numbers stand for them in a result.
    """

    comparison: Integers
    annotator: Integers
    choice: Integers
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, comparison: ArrayLike, annotator: ArrayLike, choice: ArrayLike) -> "Votes":
        """Return validated votes. Raises ValueError for unequal lengths, other choices, and repeated votes."""
        columns = [np.asarray(column, dtype=np.int64) for column in (comparison, annotator, choice)]
        if any(column.ndim != 1 or len(column) != len(columns[0]) for column in columns):
            raise ValueError("every vote has one comparison, one annotator and one choice")
        if any((column < 0).any() for column in columns) or (columns[2] >= CATEGORIES).any():
            raise ValueError("comparisons and annotators are numbered from zero up, a choice is 0, 1 or 2")
        pairs = np.sort(columns[0] * (columns[1].max(initial=0) + 1) + columns[1], kind="stable")
        if (np.diff(pairs) == 0).any():
            raise ValueError("an annotator has one vote on a comparison, not two")
        return cls(columns[0], columns[1], columns[2])

    def name(self, annotator: int) -> str:
        """Return the annotator's name."""
        return self.names[annotator] if self.names else str(annotator)

    def counts(self, comparison_count: int) -> Integers:
        """Votes per comparison and choice: (comparison_count, 3)."""
        cells = np.bincount(self.comparison * CATEGORIES + self.choice, minlength=comparison_count * CATEGORIES)
        return cells.reshape(-1, CATEGORIES).astype(np.int64)

    def first_of_each(self, most: int) -> "Votes":
        """Return the first votes of every comparison, at most `most`, in the given order of the votes.

        If collection stops as soon as a comparison is decided, its number of votes depends on the votes, and measures
        of agreement are biased upward. The first floor(overlap / 2) + 1 votes are always cast before such a stop.
        """
        kept = first_rows(self.comparison, most)
        return Votes(self.comparison[kept], self.annotator[kept], self.choice[kept], self.names)


def first_rows(comparison: Integers, most: int) -> Integers:
    """Return the places of the first votes of every comparison, at most `most`, in the given order of the votes.

    comparison: (v,) numbers.

    >>> first_rows(np.array([4, 7, 4, 4, 7]), 2).tolist()
    [0, 1, 2, 4]
    """
    order = np.argsort(comparison, kind="stable")
    grouped = comparison[order]
    place = np.arange(len(grouped)) - np.searchsorted(grouped, grouped, side="left")
    return np.sort(order[place < most])
