"""The alternative annotator test: whether the metric could replace an annotator.

Source: Calderon, Reichart and Dror (2025), "The Alternative Annotator Test for LLM-as-a-Judge"; Benjamini and Yekutieli
(2001), "The control of the false discovery rate in multiple testing under dependency".
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from jobs.wording import counted
from scoring.statistics.agreement import checked_winners
from scoring.statistics.counts import Integers
from scoring.statistics.intervals import Floats, ratio
from scoring.statistics.votes import Votes

Contestant = Literal["metric", "always A", "always B", "random"]

LEAST_ANNOTATORS = 3
LEAST_COMPARISONS = 30
_CHOICE_OF_SIGN = {1: 0, -1: 1, 0: 2}


@dataclass(frozen=True, slots=True)
class AgainstOne:
    """The contestant against one annotator, each judged by all others.

    advantage: share of comparisons where the contestant is at least as close to the others. p_value: one-sided t-test
    of mean(annotator's win - contestant's win) < tolerance; if all those differences are equal, t does not exist and p
    is 0 or 1. is_replaceable: whether the test rejects after the correction over annotators.
    """

    annotator: str
    comparisons: int
    advantage: float
    p_value: float
    is_constant: bool
    is_replaceable: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """winning_rate: share of annotators that the contestant could replace; advantage: its mean over annotators.

    Both are None if not eligible; `reason` then gives the counts.
    """

    contestant: Contestant
    tolerance: float
    winning_rate: float | None
    advantage: float | None
    annotators: tuple[AgainstOne, ...]
    reason: str = ""


def alternative_annotator_test(
    votes: Votes, metric: ArrayLike, *, tolerance: float, level: float = 0.95, seed: int
) -> tuple[Outcome, ...]:
    """The test for the metric, for always naming one model, and for a coin, at the given tolerance and at 0.

    metric: (n,) signs. tolerance: the advantage given to an annotator for being human: .1 crowd, .15 skilled, .2
    expert; fixed before the votes. seed: of the coin. The false discovery rate over annotators is held at 1 - level.
    If one model wins nearly everything, always naming it passes too, so never read one outcome without the others.
    Eligible are at least 3 annotators with 30 comparisons each that others voted on as well.

    >>> rows = np.arange(40)
    >>> votes = Votes.of(np.tile(rows, 3), np.repeat([0, 1, 2], 40), np.tile(rows % 2, 3))
    >>> metric, *_ = alternative_annotator_test(votes, 1 - 2 * (rows % 2), tolerance=0.1, seed=1)
    >>> metric.contestant, metric.winning_rate, metric.advantage
    ('metric', 1.0, 1.0)
    """
    its = checked_winners(metric, metric)[0]
    coin = np.random.default_rng(seed).choice((1, -1), size=len(its))
    contestants: dict[Contestant, ArrayLike] = {
        "metric": its,
        "always A": np.ones_like(its),
        "always B": -np.ones_like(its),
        "random": coin,
    }
    duels = {contestant: _duels(votes, np.asarray(answers)) for contestant, answers in contestants.items()}
    return tuple(
        _outcome(its_duels, contestant, epsilon, level)
        for contestant, its_duels in duels.items()
        for epsilon in dict.fromkeys((tolerance, 0.0))
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Duels:
    """The contestant against each annotator, over the comparisons that others voted on as well.

    annotators: their names. n: (a,) comparisons. wins: (a,) of these where the contestant is at least as close.
    balance: (a,) the annotator's wins minus the contestant's. unequal: (a,) comparisons where only one of them wins.
    """

    annotators: tuple[str, ...]
    n: Integers
    wins: Integers
    balance: Integers
    unequal: Integers

    @property
    def advantage(self) -> Floats:
        return self.wins / self.n

    @property
    def is_constant(self) -> NDArray[np.bool_]:
        return np.asarray((self.unequal == 0) | (np.abs(self.balance) == self.n))

    def p_values(self, tolerance: float) -> Floats:
        """The p-values of the one-sided t-test of the mean difference (balance / n) against the tolerance."""
        mean = self.balance / self.n
        squared_error = (self.unequal / self.n - mean**2) / (self.n - 1)
        below = ratio(mean - tolerance, np.sqrt(np.where(self.is_constant, 0.0, squared_error)))
        return np.where(self.is_constant, mean >= tolerance, stats.t.cdf(below, self.n - 1))


def _outcome(duels: _Duels, contestant: Contestant, tolerance: float, level: float) -> Outcome:
    count = len(duels.annotators)
    if count < LEAST_ANNOTATORS:
        reason = (
            f"not eligible: {counted(count, 'annotator')} with {LEAST_COMPARISONS} comparisons that others voted on, "
        )
        return Outcome(contestant, tolerance, None, None, (), f"{reason}{LEAST_ANNOTATORS} are needed")
    p_values = duels.p_values(tolerance)
    is_replaceable = stats.false_discovery_control(p_values, method="by") <= 1 - level
    columns = (duels.n, duels.advantage, p_values, duels.is_constant, is_replaceable)
    rows = zip(duels.annotators, *(column.tolist() for column in columns), strict=True)
    against = tuple(AgainstOne(*row) for row in rows)
    return Outcome(contestant, tolerance, float(is_replaceable.mean()), float(duels.advantage.mean()), against)


def _duels(votes: Votes, answers: Integers) -> _Duels:
    """The duels of annotators with enough comparisons. Shares of the same other votes are compared as counts."""
    counts = votes.counts(len(answers))
    answer = np.array([_CHOICE_OF_SIGN[sign] for sign in answers.tolist()], dtype=np.int64)[votes.comparison]
    with_person = counts[votes.comparison, votes.choice] - 1
    with_contestant = counts[votes.comparison, answer] - (answer == votes.choice)
    is_shared = counts.sum(axis=1)[votes.comparison] >= 2
    gap, who = (with_contestant - with_person)[is_shared], votes.annotator[is_shared]
    n = np.bincount(who)
    eligible = np.flatnonzero(n >= LEAST_COMPARISONS)
    won, lost = (np.bincount(who, weights=side)[eligible].astype(np.int64) for side in (gap > 0, gap < 0))
    n = n[eligible]
    annotators = tuple(map(votes.name, eligible.tolist()))
    return _Duels(annotators=annotators, n=n, wins=n - lost, balance=lost - won, unequal=won + lost)
