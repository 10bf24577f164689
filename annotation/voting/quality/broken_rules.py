"""The rules that exclude an annotator's votes; pure. Each rule is the chance that an attentive annotator breaks it.

No annotator is excluded for disagreeing with a score or with other annotators. The rules look at checks of known order,
at times, at sides, and at repeats in which an annotator contradicts themselves although others agree clearly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from annotation.voting.rules import QualityRule, QualityRules
from scoring.statistics.votes.runs import suspicious_run
from scoring.statistics.votes.screening import fewest_failures, split_probability

SEPARATOR = ", "  # of the rules that `Annotator.broken_rules` names
HALF = 0.5
# Others agree clearly if fair coins would split like their votes with at most this chance: three of three do.
CLEAR_SPLIT = 0.25


@dataclass(frozen=True, slots=True)
class Conduct:
    """Counts of one annotator's votes that the rules look at. A repeat counts only if others agree clearly."""

    checks_failed: int = 0
    fast_votes: int = 0
    longest_run: int = 0
    repeats_contradicted: int = 0


@lru_cache(maxsize=256)
def thresholds(rules: QualityRules, comparison_count: int) -> Mapping[QualityRule, int]:
    """Return the count that breaks each rule in force, for an annotator with this number of comparisons.

    It follows from all checks and comparisons that are planned, so that judging after each vote makes no rule stricter.
    If a rule cannot be broken, it is one more than are planned.
    """
    tries = {
        QualityRule.CHECKS_FAILED: rules.decisive_count,
        QualityRule.TOO_FAST: comparison_count,
        QualityRule.REPEATS_CONTRADICTED: rules.repeats,
    }
    limits = {
        rule: fewest_failures(count, slip=rules.slip, probability=rules.probability(rule))
        for rule, count in tries.items()
        if rule in rules.in_force
    }
    if QualityRule.SAME_SIDE in rules.in_force:
        limits[QualityRule.SAME_SIDE] = suspicious_run(comparison_count, probability=rules.same_side)
    return limits


def rules_in(text: str) -> tuple[QualityRule, ...]:
    """The rules that `Annotator.broken_rules` names."""
    return tuple(QualityRule(name) for name in text.split(SEPARATOR) if name)


def broken_rules(conduct: Conduct, limits: Mapping[QualityRule, int]) -> tuple[QualityRule, ...]:
    """The rules that the conduct breaks, in the order of `QualityRule`."""
    counts = {
        QualityRule.CHECKS_FAILED: conduct.checks_failed,
        QualityRule.TOO_FAST: conduct.fast_votes,
        QualityRule.SAME_SIDE: conduct.longest_run,
        QualityRule.REPEATS_CONTRADICTED: conduct.repeats_contradicted,
    }
    return tuple(rule for rule in QualityRule if rule in limits and counts[rule] >= limits[rule])


def longest_run_of(choices: Sequence[str]) -> int:
    """The longest run of choices of one side; a tie ends a run.

    >>> longest_run_of(["left", "tie", "right", "right", "left"])
    2
    """
    return max((len(list(run)) for choice, run in groupby(choices) if choice != "tie"), default=0)


def is_clear(votes: Sequence[int]) -> bool:
    """Whether others agree clearly, by their votes for one model and for the other.

    >>> [is_clear(votes) for votes in ((3, 0), (0, 2), (5, 1), (4, 1))]
    [True, False, True, False]
    """
    return split_probability(max(votes), min(votes)) <= CLEAR_SPLIT
