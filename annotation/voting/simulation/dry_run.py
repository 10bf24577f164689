"""Simulate allocation and votes of many studies without a database, for planning; pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.voting.rules import Allocation

Counts = NDArray[np.int64]
_CLOSED = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Collecting:
    """How votes are collected. quotas: comparisons of each annotator, at most all."""

    overlap: int
    quotas: tuple[int, ...]
    allocation: Allocation = "even"
    stops_early: bool = False

    @property
    def looks_at_votes(self) -> bool:
        """Whether the allocation depends on votes; if not, it is the same in all simulated studies."""
        return self.stops_early or self.allocation == "split"


def dry_run(rng: np.random.Generator, clarity: NDArray[np.float64], rules: Collecting) -> tuple[Counts, Counts]:
    """Return (studies, comparisons) the votes that each comparison gets, and those for its winner.

    The annotators come one after the other and answer all that they get. clarity: (studies, comparisons) the chance
    that one vote is for the winner. The rules are those of `search` and `stopping`. Of equal comparisons a random one
    comes first there, and the first column here: the choice looks at no vote, so that exchangeable comparisons have the
    same chances.
    """
    votes, right = (np.zeros(clarity.shape, dtype=np.int64) for _ in range(2))
    for quota in rules.quotas:
        lead = np.abs(2 * right - votes)
        is_open = votes < rules.overlap
        if rules.stops_early:
            is_open &= lead <= rules.overlap - votes
        if not is_open.any():
            break
        is_given = _first(_rank(votes, lead, rules), is_open, quota)
        votes += is_given
        right += is_given & (rng.random(clarity.shape) < clarity)
    return votes, right


def _rank(votes: Counts, lead: Counts, rules: Collecting) -> Counts:
    """Return the rank of each comparison; the least comes first. Voting changes only the ranks of voted ones."""
    ranks = {"even": votes, "nearly_done": rules.overlap - votes, "split": lead * (rules.overlap + 1) + votes}
    return ranks[rules.allocation]


def _first(rank: Counts, is_open: NDArray[np.bool_], quota: int) -> NDArray[np.bool_]:
    """The first `quota` open comparisons of each study by their rank, then by their place."""
    places = rank.shape[1]
    key = np.where(is_open, rank * places + np.arange(places), _CLOSED)
    last = np.partition(key, quota - 1, axis=1)[:, quota - 1 : quota]
    return is_open & (key <= last)
