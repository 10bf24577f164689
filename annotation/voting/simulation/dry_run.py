"""Who would be given what, and how they would vote: studies without a database, for planning. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.voting.rules import Allocation

Counts = NDArray[np.int64]
_CLOSED = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Collecting:
    """How votes are collected. quotas: comparisons of each annotator, at most as many as there are."""

    overlap: int
    quotas: tuple[int, ...]
    allocation: Allocation = "even"
    stops_early: bool = False

    @property
    def looks_at_votes(self) -> bool:
        """Whether who is given what depends on how others voted; if not, all studies hand out alike."""
        return self.stops_early or self.allocation == "split"


def dry_run(rng: np.random.Generator, clarity: NDArray[np.float64], rules: Collecting) -> tuple[Counts, Counts]:
    """(studies, comparisons) votes that each comparison gets, and how many of them name its winner, if annotators come
    one after the other and answer all.

    clarity: (studies, comparisons) the chance of one vote to name the winner. The rules are those of `search` and
    `stopping`. Which of equal comparisons comes first is drawn there and is the order of the columns here: it looks at
    no vote, so that comparisons which are exchangeable fare the same.
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
    """The least comes first. While an annotator votes, nothing changes that they have not had: one look is enough."""
    ranks = {"even": votes, "nearly_done": rules.overlap - votes, "split": lead * (rules.overlap + 1) + votes}
    return ranks[rules.allocation]


def _first(rank: Counts, is_open: NDArray[np.bool_], quota: int) -> NDArray[np.bool_]:
    """The first `quota` open comparisons of each study by their rank, then by their place."""
    places = rank.shape[1]
    key = np.where(is_open, rank * places + np.arange(places), _CLOSED)
    last = np.partition(key, quota - 1, axis=1)[:, quota - 1 : quota]
    return is_open & (key <= last)
