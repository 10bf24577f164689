"""The alternative annotator test: whether the metric could replace an annotator.

Source: Calderon, Reichart and Dror (2025), "The Alternative Annotator Test for LLM-as-a-Judge"; Benjamini and Yekutieli
(2001), "The control of the false discovery rate in multiple testing under dependency".
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from jobs.wording import counted
from scoring.statistics.agreement.agreement import checked_winners
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import Floats, ratio
from scoring.statistics.people.advantage import advantage
from scoring.statistics.votes.counts import Integers
from scoring.statistics.votes.votes import Votes

Contestant = Literal["metric", "always A", "always B", "random"]

LEAST_ANNOTATORS = 3
LEAST_COMPARISONS = 30


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

    Both are None if not eligible; `reason` then gives the counts. advantage_interval: the advantage with its interval
    for annotators like these.
    """

    contestant: Contestant
    tolerance: float
    winning_rate: float | None
    advantage: float | None
    annotators: tuple[AgainstOne, ...]
    reason: str = ""
    advantage_interval: Estimate | None = None


def alternative_annotator_test(
    votes: Votes,
    metric: ArrayLike,
    *,
    tolerance: float,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    seed: int,
) -> tuple[Outcome, ...]:
    """The test for the metric, for always naming one model, and for a coin, at the given tolerance and at 0.

    metric: (n,) signs. tolerance: the advantage given to an annotator for being human: .1 crowd, .15 skilled, .2
    expert; fixed before the votes. clusters: (n,) labels or None. seed: of the coin. The false discovery rate over
    annotators is held at 1 - level. If one model wins nearly everything, always naming it passes too, so never read
    one outcome without the others. Eligible are at least 3 annotators with 30 comparisons each that others voted on.

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
    who = eligible(votes, comparison_count=len(its))
    names = tuple(map(votes.name, who.tolist()))
    outcomes = []
    for contestant, signs in contestants.items():
        answers = categories(signs)
        duels = _duels(votes, answers, who)
        rho = advantage(votes, answers, who, clusters=clusters, level=level) if len(who) >= LEAST_ANNOTATORS else None
        outcomes += [
            replace(_outcome(duels, names, contestant, epsilon, level), advantage_interval=rho)
            for epsilon in dict.fromkeys((tolerance, 0.0))
        ]
    return tuple(outcomes)


def categories(signs: ArrayLike) -> Integers:
    """Return the categories of votes that name the winners: 0 for A (+1), 1 for B (-1), 2 for a tie (0).

    >>> categories([1, -1, 0]).tolist()
    [0, 1, 2]
    """
    return np.array([0, 2, 1], dtype=np.int64)[1 - np.asarray(signs, dtype=np.int64)]


@dataclass(frozen=True, slots=True, eq=False)
class Duels:
    """The contestant against each annotator, over the comparisons that others voted on as well.

    Each array has a column for each annotator. n: comparisons. wins: of these where the contestant is at least as
    close. balance: the annotator's wins minus the contestant's. unequal: comparisons where only one of them wins.
    """

    n: Integers
    wins: Integers
    balance: Integers
    unequal: Integers

    @property
    def advantage(self) -> Floats:
        """The share of comparisons where the contestant is at least as close."""
        return self.wins / self.n

    @property
    def is_constant(self) -> NDArray[np.bool_]:
        """Whether all differences are equal, so that there is no t."""
        return np.asarray((self.unequal == 0) | (np.abs(self.balance) == self.n))

    def p_values(self, tolerance: float) -> Floats:
        """The p-values of the one-sided t-test of the mean difference (balance / n) against the tolerance."""
        mean = self.balance / self.n
        squared_error = (self.unequal / self.n - mean**2) / (self.n - 1)
        below = ratio(mean - tolerance, np.sqrt(np.where(self.is_constant, 0.0, squared_error)))
        return np.where(self.is_constant, mean >= tolerance, scipy.stats.t.cdf(below, self.n - 1))


def eligible(votes: Votes, *, comparison_count: int) -> Integers:
    """Return the numbers of the annotators with enough comparisons that others voted on as well.

    >>> eligible(Votes.of([0, 0], [0, 1], [0, 1]), comparison_count=1).tolist()
    []
    """
    is_shared = votes.counts(comparison_count).sum(axis=1)[votes.comparison] >= 2
    return np.flatnonzero(np.bincount(votes.annotator[is_shared]) >= LEAST_COMPARISONS).astype(np.int64)


def _outcome(
    duels: Duels, annotators: tuple[str, ...], contestant: Contestant, tolerance: float, level: float
) -> Outcome:
    count = len(annotators)
    if count < LEAST_ANNOTATORS:
        reason = (
            f"not eligible: {counted(count, 'annotator')} with {LEAST_COMPARISONS} comparisons that others voted on, "
        )
        return Outcome(contestant, tolerance, None, None, (), f"{reason}{LEAST_ANNOTATORS} are needed")
    p_values = duels.p_values(tolerance)
    is_replaceable = scipy.stats.false_discovery_control(p_values, method="by") <= 1 - level
    columns = (duels.n, duels.advantage, p_values, duels.is_constant, is_replaceable)
    rows = zip(annotators, *(column.tolist() for column in columns), strict=True)
    against = tuple(AgainstOne(*row) for row in rows)
    return Outcome(contestant, tolerance, float(is_replaceable.mean()), float(duels.advantage.mean()), against)


def _duels(votes: Votes, answers: Integers, who: Integers) -> Duels:
    """The duels of the given annotators. answers: (n,) categories. Shares of the same other votes are compared as
    counts."""
    counts = votes.counts(len(answers))
    answer = answers[votes.comparison]
    with_person = counts[votes.comparison, votes.choice] - 1
    with_contestant = counts[votes.comparison, answer] - (answer == votes.choice)
    is_judged = (counts.sum(axis=1)[votes.comparison] >= 2) & np.isin(votes.annotator, who)
    gap, judged = (with_contestant - with_person)[is_judged], votes.annotator[is_judged]
    n, won, lost = (
        np.bincount(judged, weights=side, minlength=len(who))[who].astype(np.int64)
        for side in (np.ones(len(gap)), gap > 0, gap < 0)
    )
    return Duels(n=n, wins=n - lost, balance=lost - won, unequal=won + lost)
