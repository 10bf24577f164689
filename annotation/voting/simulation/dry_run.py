"""Simulate allocation and votes of many studies without a database, for planning; pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.voting.rules import Allocation

Counts = NDArray[np.int64]
_CLOSED = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Collecting:
    """The rules by which votes are collected. quotas: comparisons of each annotator, at most all."""

    overlap: int
    quotas: tuple[int, ...]
    allocation: Allocation = "even"
    stops_early: bool = False

    @property
    def looks_at_votes(self) -> bool:
        """Whether the allocation depends on votes; if not, it is the same in all simulated studies."""
        return self.stops_early or self.allocation == "split"


@dataclass(frozen=True, slots=True)
class Habits:
    """The way annotators vote.

    tie_share: how many votes are ties, where all other votes keep their chance to be right. dropout: how many
    annotators leave before their last comparison, each after a share of their comparisons that is uniform from 0 to 1.
    learning: how much less clear a comparison is to an annotator at the beginning than at the end of their session; the
    clarity (chance of the winner minus one half) grows evenly.
    """

    tie_share: float = 0.0
    dropout: float = 0.0
    learning: float = 0.0

    def seen(self, clarity: NDArray[np.float64], stayed: NDArray[np.float64] | float = 1.0) -> NDArray[np.float64]:
        """Return the mean chance that a vote is for the winner, of annotators who stayed for this share of a session.

        Each comparison comes at a random place of the session, so that the votes are independent at this mean chance.
        """
        return np.asarray(0.5 + (clarity - 0.5) * (1 - self.learning * (1 - np.asarray(stayed) / 2)))


def dry_run(
    rng: np.random.Generator, clarity: NDArray[np.float64], rules: Collecting, habits: Habits = Habits()
) -> tuple[Counts, Counts]:
    """Return (studies, comparisons) the votes that each comparison gets, and its winner's votes minus the other's.

    The annotators come one after the other and answer all that they get until they leave. clarity: (studies,
    comparisons) the chance that one vote is for the winner, at the end of a session. The rules are those of `search`
    and `stopping`, with one difference: of equally urgent comparisons `search` takes a random one, and this function
    the first column. That changes no chance, because columns are exchangeable and the choice looks at no vote.
    """
    votes, lead, ties = (np.zeros(clarity.shape, dtype=np.int64) for _ in range(3))
    for quota in rules.quotas:
        is_open = votes < rules.overlap
        if rules.stops_early:
            is_open &= ~_is_decided(votes, lead, ties, rules.overlap)
        if not is_open.any():
            break
        answered = _answered(rng, quota, len(clarity), habits)
        is_given = _first(_rank(votes, lead, rules), is_open, answered)
        is_tie, is_right = _cast(rng, habits.seen(clarity, answered / quota), habits.tie_share)
        votes += is_given
        ties += is_given & is_tie
        lead += np.where(is_given & ~is_tie, np.where(is_right, 1, -1), 0)
    return votes, lead


def _answered(rng: np.random.Generator, quota: int, studies: int, habits: Habits) -> Counts:
    """Return (studies, 1) how many comparisons the next annotator answers before they leave."""
    if not habits.dropout:
        return np.full((studies, 1), quota)
    leaves, stays_for = rng.random((studies, 1)) < habits.dropout, rng.random((studies, 1))
    return np.where(leaves, np.floor(stays_for * quota), quota).astype(np.int64)


def _cast(
    rng: np.random.Generator, chance: NDArray[np.float64], tie_share: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw whether each vote is a tie, and if not, whether it is for the winner."""
    drawn = rng.random(chance.shape)
    return drawn >= 1 - tie_share, drawn < chance * (1 - tie_share)


def _is_decided(votes: Counts, lead: Counts, ties: Counts, overlap: int) -> NDArray[np.bool_]:
    """Return `is_decided` of every comparison."""
    leader, runner_up = ((votes - ties + sign * np.abs(lead)) // 2 for sign in (1, -1))
    return np.asarray(leader - np.maximum(runner_up, ties) > overlap - votes)


def _rank(votes: Counts, lead: Counts, rules: Collecting) -> Counts:
    """Return the rank of each comparison; the least comes first. Voting changes only the ranks of voted ones."""
    ranks = {"even": votes, "nearly_done": rules.overlap - votes, "split": np.abs(lead) * (rules.overlap + 1) + votes}
    return ranks[rules.allocation]


def _first(rank: Counts, is_open: NDArray[np.bool_], quota: Counts) -> NDArray[np.bool_]:
    """The first open comparisons of each study by their rank, then by their place. quota: (studies, 1) how many."""
    places, most = rank.shape[1], max(1, int(quota.max()))
    key = np.where(is_open, rank * places + np.arange(places), _CLOSED)
    first = np.sort(np.partition(key, most - 1, axis=1)[:, :most], axis=1)
    last = np.take_along_axis(first, np.maximum(quota - 1, 0), axis=1)
    return is_open & (key <= last) & (quota > 0)
