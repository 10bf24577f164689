"""Whether the metric could stand in for an annotator: the alternative annotator test.

Source: Calderon, Reichart and Dror (2025), "The Alternative Annotator Test for LLM-as-a-Judge"; Benjamini and Yekutieli
(2001), "The control of the false discovery rate in multiple testing under dependency".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from scoring.statistics.agreement import checked_winners
from scoring.statistics.counts import Integers
from scoring.statistics.votes import Votes

Contestant = Literal["metric", "always A", "always B", "random"]

LEAST_ANNOTATORS = 3
LEAST_COMPARISONS = 30
_CHOICE_OF_SIGN = {1: 0, -1: 1, 0: 2}


@dataclass(frozen=True, slots=True)
class AgainstOne:
    """The contestant against one annotator, each judged by all others.

    advantage: share of comparisons where the contestant is at least as close to the others. p_value: one-sided t-test
    of mean(annotator's win - contestant's win) < tolerance; where all those differences are equal there is no t, and p
    is 0 or 1. is_replaceable: rejected after the correction over annotators.
    """

    annotator: int
    comparisons: int
    advantage: float
    p_value: float
    is_constant: bool
    is_replaceable: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """winning_rate: share of annotators that the contestant could replace; advantage: its mean over annotators.

    Both None where not eligible; `reason` then gives the counts.
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

    metric: (n,) signs. tolerance: the advantage that an annotator is granted for being human: .1 crowd, .15 skilled,
    .2 expert; fixed before the votes. seed: of the coin. False discoveries over annotators are held at 1 - level.
    Where one model wins nearly everything, always naming it passes too: never read one outcome without the others.
    At least 3 annotators with 30 comparisons each that others voted on as well, else not eligible.
    """
    its = checked_winners(metric, metric)[0]
    coin = np.random.default_rng(seed).choice((1, -1), size=len(its))
    contestants: dict[Contestant, ArrayLike] = {
        "metric": its,
        "always A": np.ones_like(its),
        "always B": -np.ones_like(its),
        "random": coin,
    }
    return tuple(
        _outcome(votes, np.asarray(answers), contestant, epsilon, level)
        for contestant, answers in contestants.items()
        for epsilon in dict.fromkeys((tolerance, 0.0))
    )


@dataclass(frozen=True, slots=True)
class _Duel:
    annotator: int
    contestant_wins: Integers
    annotator_wins: Integers

    def advantage(self) -> float:
        return float(self.contestant_wins.mean())

    def p_value(self, tolerance: float) -> float:
        differences = self.annotator_wins - self.contestant_wins
        if self.is_constant():
            return float(differences[0] >= tolerance)
        return float(stats.ttest_1samp(differences, tolerance, alternative="less").pvalue)

    def is_constant(self) -> bool:
        return bool(np.ptp(self.annotator_wins - self.contestant_wins) == 0)


def _outcome(votes: Votes, answers: Integers, contestant: Contestant, tolerance: float, level: float) -> Outcome:
    duels = [duel for duel in _duels(votes, answers) if len(duel.contestant_wins) >= LEAST_COMPARISONS]
    if len(duels) < LEAST_ANNOTATORS:
        reason = f"not eligible: {len(duels)} annotators with {LEAST_COMPARISONS} comparisons that others voted on, "
        return Outcome(contestant, tolerance, None, None, (), f"{reason}{LEAST_ANNOTATORS} are needed")
    p_values = [duel.p_value(tolerance) for duel in duels]
    is_replaceable = stats.false_discovery_control(p_values, method="by") <= 1 - level
    against = tuple(
        AgainstOne(duel.annotator, len(duel.contestant_wins), duel.advantage(), p, duel.is_constant(), bool(rejected))
        for duel, p, rejected in zip(duels, p_values, is_replaceable, strict=True)
    )
    advantage = float(np.mean([duel.advantage() for duel in duels]))
    return Outcome(contestant, tolerance, float(is_replaceable.mean()), advantage, against)


def _duels(votes: Votes, answers: Integers) -> Iterator[_Duel]:
    """One for each annotator who shares a comparison with others. Shares over the same others compare as counts."""
    counts = votes.counts(len(answers))
    answer = np.array([_CHOICE_OF_SIGN[sign] for sign in answers.tolist()], dtype=np.int64)[votes.comparison]
    with_person = counts[votes.comparison, votes.choice] - 1
    with_contestant = counts[votes.comparison, answer] - (answer == votes.choice)
    is_shared = counts.sum(axis=1)[votes.comparison] >= 2
    for annotator in np.unique(votes.annotator):
        rows = is_shared & (votes.annotator == annotator)
        if rows.any():
            theirs, its = with_person[rows], with_contestant[rows]
            yield _Duel(int(annotator), (its >= theirs).astype(np.int64), (theirs >= its).astype(np.int64))
