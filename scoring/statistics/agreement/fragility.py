"""Fragility: the fewest votes whose removal would change the result."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.agreement.agreement import checked_winners
from scoring.statistics.votes.counts import Integers, checked_counts
from scoring.statistics.votes.votes import Votes

_IMPOSSIBLE = np.iinfo(np.int64).max // 2


@dataclass(frozen=True, slots=True)
class FewestVotes:
    """The fewest votes to remove, or None with the reason why no removal is enough."""

    votes: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LeadFragility:
    """leader: the model that wins more comparisons. to_lose, to_reverse: its lead in comparisons won."""

    leader: str | None
    lead: int
    to_lose: FewestVotes
    to_reverse: FewestVotes


@dataclass(frozen=True, slots=True)
class WithoutOne:
    """The strict agreement with one annotator's votes left out; n: the comparisons that still have votes."""

    annotator: str
    agreement: float
    n: int


def lead_fragility(counts: ArrayLike) -> LeadFragility:
    """The fewest votes whose removal makes the leader lose its lead, and the fewest that make the other model lead.

    counts: (n, 3) votes for A, for B, tie votes. The sign of (A - B) decides a comparison. To turn one that the leader
    wins by m into a tie costs m of its votes; into a loss, m + 1 if the other model has a vote. A comparison tied with
    votes on both sides is lost for one vote. The cheapest mix is found exactly (a knapsack).

    >>> result = lead_fragility([(3, 2, 0), (3, 2, 0), (5, 0, 0), (2, 3, 0), (2, 2, 0)])
    >>> result.to_lose.votes, result.to_reverse.votes
    (2, 3)
    """
    votes = checked_counts(counts, categories=3)
    margins = votes[:, 0] - votes[:, 1]
    lead = int(np.sign(margins).sum())
    if not lead:
        nothing = FewestVotes(None, "neither model leads")
        return LeadFragility(None, 0, nothing, nothing)
    leaders, others = (votes[:, 0], votes[:, 1]) if lead > 0 else (votes[:, 1], votes[:, 0])
    cheapest = _cheapest_swings(leaders, others, abs(lead) + 1)
    return LeadFragility("A" if lead > 0 else "B", abs(lead), _fewest(cheapest[-2]), _fewest(cheapest[-1]))


def agreement_fragility(counts: ArrayLike, people: ArrayLike, metric: ArrayLike, *, target: float) -> FewestVotes:
    """The fewest votes whose removal brings the strict agreement below a target share, its n held fixed.

    counts: (n, 3). people: (n,) signs of (A - B) of the same counts. metric: (n,) signs. To end an agreement on a model
    costs its margin of votes; to end one on a tie costs one vote if there are votes for the models.

    >>> agreement_fragility([(3, 2, 0), (5, 0, 0)], [1, 1], [1, 1], target=0.9).votes
    1
    """
    votes = checked_counts(counts, categories=3)
    theirs, its = checked_winners(people, metric)
    if len(votes) != len(theirs) or (np.sign(votes[:, 0] - votes[:, 1]) != theirs).any():
        raise ValueError("people's winners are the signs of these counts")
    agrees = theirs == its
    surplus = int(agrees.sum()) - int(np.ceil(target * len(votes) - 1e-9)) + 1
    if surplus <= 0:
        return FewestVotes(None, "the agreement is below the target already")
    margins = np.abs(votes[:, 0] - votes[:, 1])
    costs = np.sort(np.where(theirs == 0, 1, margins)[agrees & votes[:, :2].any(axis=1)])
    if len(costs) < surplus:
        return FewestVotes(None, "no removal of votes does it")
    return FewestVotes(int(costs[:surplus].sum()))


def agreement_without_each(votes: Votes, metric: ArrayLike) -> tuple[WithoutOne, ...]:
    """The strict agreement without each annotator in turn, in the annotators' order.

    metric: (n,) signs. Comparisons that lose all their votes are dropped. An annotator whose removal drops all
    comparisons is not in the result.

    >>> votes = Votes.of([0, 0, 0], [0, 1, 2], [0, 0, 1])
    >>> [row.agreement for row in agreement_without_each(votes, [1])]
    [0.0, 0.0, 1.0]
    """
    its = checked_winners(metric, metric)[0]
    counts = votes.counts(len(its))
    margins, size = counts[:, 0] - counts[:, 1], counts.sum(axis=1)
    agrees = (np.sign(margins) == its) & (size > 0)
    own = np.array((1, -1, 0))[votes.choice]
    stays = size[votes.comparison] > 1
    agrees_after = (np.sign(margins[votes.comparison] - own) == its[votes.comparison]) & stays
    change = np.bincount(votes.annotator, weights=agrees_after.astype(np.int64) - agrees[votes.comparison])
    dropped = np.bincount(votes.annotator, weights=~stays)
    annotators = np.unique(votes.annotator)
    left = (size > 0).sum() - dropped[annotators]
    right = agrees.sum() + change[annotators]
    return tuple(
        WithoutOne(votes.name(int(annotator)), float(hits / n), int(n))
        for annotator, hits, n in zip(annotators, right, left, strict=True)
        if n > 0
    )


def _cheapest_swings(leaders: Integers, others: Integers, most: int) -> Integers:
    """The cheapest removal that moves the lead by at least 0, 1, … `most`: (most + 1,)."""
    cheapest = np.full(most + 1, _IMPOSSIBLE, dtype=np.int64)
    cheapest[0] = 0
    for own, against in zip(leaders.tolist(), others.tolist(), strict=True):
        margin = own - against
        one = margin if margin > 0 else 1 if margin == 0 and own > 0 else None
        if one is None:
            continue
        moved = np.minimum(cheapest, _shifted(cheapest, 1) + one)
        if margin > 0 and against > 0:
            moved = np.minimum(moved, _shifted(cheapest, 2) + margin + 1)
        cheapest = moved
    return cheapest


def _shifted(cheapest: Integers, by: int) -> Integers:
    """Return the costs before a removal that moves the lead by `by`; zero if that is more than is needed."""
    return np.concatenate([np.repeat(cheapest[:1], by), cheapest[:-by]])[: len(cheapest)]


def _fewest(cost: np.int64) -> FewestVotes:
    return FewestVotes(int(cost)) if cost < _IMPOSSIBLE else FewestVotes(None, "no removal of votes does it")
