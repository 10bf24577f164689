"""The rules of a study's manifest that voting follows; pure."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from annotated_types import Interval, Len

Allocation = Literal["even", "nearly_done", "split"]
StudyAllocation = Literal[Allocation, "uncertain_pairs"]  # the last one of several models: `search.uncertain_first`
Order = StudyAllocation | Literal["drawn"]
GIVEN_OUT_FIRST: dict[Order, str] = {
    "even": "comparisons with the fewest votes",
    "nearly_done": "comparisons closest to done",
    "split": "comparisons whose votes so far are closest",
    "uncertain_pairs": "comparisons of the pair of models whose order is least certain by the votes so far",
    "drawn": "comparisons whose cluster comes first in the drawn order",
}
Share = Annotated[float, Interval(gt=0, lt=1)]
# The chance that an attentive annotator breaks a rule; above 0.05 it would exclude too many. 0: no rule.
MOST_CHANCE = 0.05
MOST_FAST_SECONDS = 60.0
Chance = Annotated[float, Interval(ge=0, le=MOST_CHANCE)]


class QualityRule(StrEnum):
    """Why an annotator's votes may be excluded."""

    CHECKS_FAILED = "checks_failed"
    TOO_FAST = "too_fast"
    SAME_SIDE = "same_side"
    REPEATS_CONTRADICTED = "repeats_contradicted"

    @property
    def words(self) -> str:
        """The rule in words."""
        return "always the same side" if self == QualityRule.SAME_SIDE else self.replace("_", " ")


@dataclass(frozen=True, slots=True)
class QualityRules:
    """The checks that an annotator gets among the comparisons, and the rules that exclude votes.

    ladder: one pair of known order for each share of images replaced, in this order. first_check_after: comparisons
    before the first check. repeat_distance: the least number of comparisons between a comparison and its repeat.
    slip: the chance that an attentive annotator fails one check, contradicts themselves in one repeat, or votes once
    within fast_seconds. Each of the four rules is the chance that an attentive annotator breaks it. screens_out: rules
    that screen an annotator out.
    """

    ladder: Annotated[tuple[Share, ...], Len(max_length=20)] = ()
    repeats: Annotated[int, Interval(ge=0, le=20)] = 0
    instructed: Annotated[int, Interval(ge=0, le=5)] = 0
    first_check_after: Annotated[int, Interval(ge=0, le=1000)] = 2
    repeat_distance: Annotated[int, Interval(ge=1, le=1000)] = 5
    slip: Annotated[float, Interval(gt=0, lt=0.5)] = 0.05
    fast_seconds: Annotated[float, Interval(gt=0, le=MOST_FAST_SECONDS)] = 1.0
    checks_failed: Chance = 0.0
    too_fast: Chance = 0.0
    same_side: Chance = 0.0
    repeats_contradicted: Chance = 0.0
    screens_out: tuple[QualityRule, ...] = ()

    @property
    def check_count(self) -> int:
        """The number of checks."""
        return len(self.ladder) + self.repeats + self.instructed

    @property
    def decisive_count(self) -> int:
        """The number of checks for the rule `checks_failed`: those with half of the images replaced, and instructed."""
        return sum(share >= 0.5 for share in self.ladder) + self.instructed

    def probability(self, rule: QualityRule) -> float:
        """The chance that an attentive annotator breaks the rule; 0 if the study has no such rule."""
        chances = {
            QualityRule.CHECKS_FAILED: self.checks_failed,
            QualityRule.TOO_FAST: self.too_fast,
            QualityRule.SAME_SIDE: self.same_side,
            QualityRule.REPEATS_CONTRADICTED: self.repeats_contradicted,
        }
        return chances[rule]

    @property
    def in_force(self) -> tuple[QualityRule, ...]:
        """The rules that the study has."""
        return tuple(rule for rule in QualityRule if self.probability(rule))


@dataclass(frozen=True, slots=True)
class VotingRules:
    """The rules of one study. Counts are per study unless named otherwise; durations are in seconds.

    prefetch: how many comparisons are held for each annotator beside the one on the screen. allocation: which
    comparisons come first: those with the fewest slots taken, those with the most, those with the closest votes so far,
    those of the pair of models whose order is least certain, or those whose cluster was drawn first. floor: the slots
    that every comparison gets before the order of models matters. model_count: how many models the study compares.
    stops_early: whether a comparison takes no more votes once its winner is certain.
    """

    comparisons_per_annotator: int
    most_annotators: int | None = None
    are_ties_allowed: bool = False
    lease_seconds: int = 1800
    prefetch: int = 0
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    undo_seconds: int = 0
    minimum_viewing_seconds: float = 0.0
    allocation: Order = "even"
    floor: int = 0
    model_count: int = 2
    stops_early: bool = False
    quality: QualityRules = field(default_factory=QualityRules)

    @property
    def needs_lead(self) -> bool:
        """Whether these rules look at the margin of the votes."""
        return self.stops_early or self.allocation == "split"


def is_decided(*, for_a: int, for_b: int, ties: int, overlap: int) -> bool:
    """Whether one model leads the other model and the ties by more votes than may still come.

    Then the full overlap gives the same winner, both by the sign of the votes and by the plurality of the choices.

    >>> is_decided(for_a=2, for_b=0, ties=0, overlap=3), is_decided(for_a=2, for_b=0, ties=0, overlap=4)
    (True, False)
    """
    leader, runner_up = max(for_a, for_b), max(min(for_a, for_b), ties)
    return leader - runner_up > overlap - (for_a + for_b + ties)
