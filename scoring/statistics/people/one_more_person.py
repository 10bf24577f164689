"""The alternative annotator test applied to one more person, so that omega of the metric can be read beside it.

Omega is the share of rejected tests: it grows with the number of comparisons, also for a contestant who is exactly as
good as the annotators. Without this number beside it, a low omega says nothing.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from scipy import sparse

from jobs.wording import counted
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.alternative_annotator import LEAST_ANNOTATORS, LEAST_COMPARISONS, Duels, eligible
from scoring.statistics.people.coefficients import Sums, pairwise_agreement
from scoring.statistics.votes.counts import Floats, Integers, numbered
from scoring.statistics.votes.votes import CATEGORIES, Votes

ENOUGH = 0.5  # omega from which a contestant passes (Calderon, Reichart and Dror, 2025)
POWER = 0.8
MOST_COMPARISONS = 2_000  # of each annotator, for which the search looks
MOST_VOTES = 20_000  # more are too many to draw again and again
_MOST_DRAWS, _FEWEST_DRAWS, _NUMBERS = 400, 50, 2_000_000


@dataclass(frozen=True, slots=True)
class OneMorePerson:
    """winning_rate: omega of one more person with this study's votes, mean over draws; the bounds are percentiles over
    draws, no interval. advantage: likewise rho. comparisons: of each annotator, the median. comparisons_needed: of each
    annotator, until omega reaches one half in four draws of five; None if it does not, and `reason` says so.
    """

    tolerance: float
    winning_rate: Estimate
    advantage: Estimate
    comparisons: int
    comparisons_needed: int | None
    reason: str = ""


def one_more_person(
    votes: Votes, *, comparison_count: int, tolerance: float, level: float = 0.95, seed: int
) -> OneMorePerson:
    """Draw the next vote of every comparison many times, and put it to the alternative annotator test.

    The chance of a vote follows from the votes of its comparison and of all (a Dirichlet-multinomial whose correlation
    is the chance-corrected agreement of two votes, at least 0). For other numbers of comparisons, comparisons are drawn
    with replacement, each with all its votes. tolerance, level: as in the test.
    More than 20,000 votes: comparisons are drawn until there are as many, which the method says.

    >>> rows = np.arange(40)
    >>> votes = Votes.of(np.tile(rows, 3), np.repeat([0, 1, 2], 40), np.tile(rows % 2, 3))
    >>> found = one_more_person(votes, comparison_count=40, tolerance=0.1, seed=1)
    >>> found.winning_rate.value, found.comparisons, found.comparisons_needed
    (1.0, 40, 30)
    """
    who = eligible(votes, comparison_count=comparison_count)
    if len(who) < LEAST_ANNOTATORS:
        reason = f"{counted(len(who), 'annotator')} with {LEAST_COMPARISONS} comparisons that others voted on"
        reason = f"not eligible: {reason}, {LEAST_ANNOTATORS} are needed"
        nothing = Estimate.undefined(reason, n=len(who), level=level)
        return OneMorePerson(tolerance, nothing, nothing, 0, None, reason)
    table = _Table(votes, comparison_count, who, np.random.default_rng(seed))
    omegas, rhos = table.once(tolerance, level)
    method = f"percentiles of {len(omegas)} draws, seed {seed}{table.note}"
    rate, advantage = (_spread(values, level, n=len(who), method=method) for values in (omegas, rhos))
    needed = _needed(table, tolerance, level)
    reason = "" if needed else f"not with {MOST_COMPARISONS} comparisons of each annotator"
    return OneMorePerson(tolerance, rate, advantage, table.comparisons, needed, reason)


class _Table:
    """Whether one more person beats each annotator, by comparison and by the answer that the person gives."""

    def __init__(self, votes: Votes, comparison_count: int, who: Integers, rng: np.random.Generator) -> None:
        self._rng, self.note = rng, ""
        counts = votes.counts(comparison_count)
        self.comparisons = _median_comparisons(votes, counts, who)
        chosen = np.flatnonzero(counts.sum(axis=1) >= 2)
        if len(votes.choice) > MOST_VOTES:
            order = rng.permutation(chosen)
            chosen = np.sort(order[np.cumsum(counts[order].sum(axis=1)) <= MOST_VOTES])
            self.note = f", from {len(chosen)} comparisons drawn"
        place = np.full(comparison_count, -1)
        place[chosen] = np.arange(len(chosen))
        is_in = (place[votes.comparison] >= 0) & np.isin(votes.annotator, who)
        self._chances = _next_vote(counts[chosen])
        self._fill(place[votes.comparison[is_in]], votes.annotator[is_in], votes.choice[is_in], counts[chosen])
        self._draws = int(np.clip(_NUMBERS // self._chances.size, _FEWEST_DRAWS, _MOST_DRAWS))

    def _fill(self, place: Integers, annotator: Integers, choice: Integers, counts: Integers) -> None:
        row = numbered(annotator)
        gap = counts[place] - np.eye(CATEGORIES, dtype=np.int64)[choice] - (counts[place, choice] - 1)[:, np.newaxis]
        cells = place[:, np.newaxis] * CATEGORIES + np.arange(CATEGORIES)
        shape = int(row.max()) + 1, counts.size
        rows = np.broadcast_to(row[:, np.newaxis], gap.shape)
        self._won, self._lost, self._judged = (
            sparse.csr_array((np.ones(int(where.sum())), (rows[where], cells[where])), shape=shape)
            for where in (gap > 0, gap < 0, np.full(gap.shape, True))
        )
        self._in_table = float(np.median(np.bincount(row)))

    def once(self, tolerance: float, level: float) -> tuple[Floats, Floats]:
        """Return omega and rho (draws,) with every comparison once."""
        return self._judge(
            self._rng.multinomial(1, self._chances, size=(self._draws, len(self._chances))), tolerance, level
        )

    def at(self, comparisons: int, tolerance: float, level: float) -> tuple[Floats, Floats]:
        """Return omega and rho (draws,) with so many comparisons of each annotator, drawn with replacement."""
        total = round(comparisons * len(self._chances) / self._in_table)
        each = self._chances.ravel() / self._chances.sum()
        return self._judge(self._rng.multinomial(total, each, size=self._draws), tolerance, level)

    def _judge(self, drawn: Integers, tolerance: float, level: float) -> tuple[Floats, Floats]:
        """drawn: (draws, …) how often each comparison was drawn with each answer."""
        answers = drawn.reshape(len(drawn), -1).T
        n, won, lost = (
            np.asarray(matrix @ answers).T.astype(np.int64) for matrix in (self._judged, self._won, self._lost)
        )
        duels = Duels(n=np.maximum(n, 2), wins=n - lost, balance=lost - won, unequal=won + lost)
        rejected = scipy.stats.false_discovery_control(duels.p_values(tolerance), axis=1, method="by") <= 1 - level
        return rejected.mean(axis=1), duels.advantage.mean(axis=1)


def _next_vote(counts: Integers) -> Floats:
    """Return the chance of each choice for one more vote: (n, 3)."""
    shares = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    by_chance = float((shares**2).sum())
    together = float(pairwise_agreement(Sums.of(counts)))
    correlation = max(0.0, (together - by_chance) / (1 - by_chance)) if by_chance < 1 else 0.0
    chances: Floats = correlation * counts + (1 - correlation) * shares
    chances /= chances.sum(axis=1, keepdims=True)
    return chances


def _median_comparisons(votes: Votes, counts: Integers, who: Integers) -> int:
    is_shared = counts.sum(axis=1)[votes.comparison] >= 2
    return round(float(np.median(np.bincount(votes.annotator[is_shared])[who])))


def _needed(table: _Table, tolerance: float, level: float) -> int | None:
    """The fewest comparisons of each annotator, to about 3 %, with which omega is large enough often enough."""

    def is_enough(comparisons: int) -> bool:
        return float((table.at(comparisons, tolerance, level)[0] >= ENOUGH).mean()) >= POWER

    below, above = 0, LEAST_COMPARISONS
    while not is_enough(above):
        if above >= MOST_COMPARISONS:
            return None
        below, above = above, min(2 * above, MOST_COMPARISONS)
    while below and above - below > max(1, above // 32):
        middle = (below + above) // 2
        below, above = (below, middle) if is_enough(middle) else (middle, above)
    return above


def _spread(values: Floats, level: float, *, n: int, method: str) -> Estimate:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(values.mean()), float(low), float(high), level, n, method)
