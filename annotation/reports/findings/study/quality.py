"""The way the votes were given: sides, ties, times, attention checks; nothing depends on a score or a model. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from annotation.models import Annotator
from annotation.reports.data.study_data import (
    LEFT,
    OTHER,
    RIGHT,
    SAME,
    TIE,
    UNDECIDED,
    AnnotatorRow,
    CheckRow,
    SealedData,
)
from annotation.voting.quality.broken_rules import HALF, rules_in, thresholds
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import wilson
from scoring.statistics.votes.runs import run_probability

SIDES_UNKNOWN = "every vote is a tie, or its sides were not recorded"


@dataclass(frozen=True, slots=True)
class Rung:
    """A rung of the ladder: `replaced` of `images` images belong to other prompts. Shares of votes for the whole set.

    right: of all annotators; right_of_counted: of those whose votes count. may_exclude: half of the images or more.
    """

    replaced: int
    images: int
    may_exclude: bool
    right: Estimate
    right_of_counted: Estimate


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A rule: the chance that an attentive annotator breaks it, the count that does, and how many it excluded."""

    rule: str
    probability: float
    threshold: int
    annotators: int
    votes: int


@dataclass(frozen=True, slots=True)
class Checks:
    """Attention checks and rules. Intervals treat votes as independent, although one annotator gives several.

    repeats_same: repeats that named the model named before, among those without a tie on one side only.
    """

    ladder: tuple[Rung, ...]
    instructed: Estimate
    repeats_same: Estimate
    repeats_with_tie: int
    rules: tuple[RuleFacts, ...]


@dataclass(frozen=True, slots=True)
class LongestRun:
    """The longest run of votes for one side, in the order in which they were given.

    probability: that an honest annotator with as many votes has a run as long; None without a vote for a side.
    """

    length: int
    probability: float | None


@dataclass(frozen=True, slots=True)
class AnnotatorFacts:
    """The way one annotator voted, with nothing about winners. Shares are of votes for a side, times in seconds."""

    pseudonym: str
    kind: str
    state: str
    votes: int
    excluded_votes: int
    tie_votes: int
    left_share: Estimate
    longest_run: LongestRun
    median_response_seconds: float | None
    broken_rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """The way the votes were given. It may be shown while the study is sealed."""

    left_share: Estimate
    tie_share: Estimate
    least_votes_per_comparison: int | None
    median_votes_per_comparison: float | None
    most_votes_per_comparison: int | None
    timed_votes: int
    median_response_seconds: float | None
    checks: Checks
    annotators: tuple[AnnotatorFacts, ...]


def compute(data: SealedData) -> Quality:
    """Return the shares of sides and ties, the votes per comparison, response times and checks, also by annotator."""
    votes, level = data.votes, data.manifest.analysis.level
    is_counted = ~votes.is_excluded
    per_comparison = np.bincount(votes.comparison[is_counted], minlength=len(data.comparisons))
    times = _response_times(votes.response_ms[is_counted])
    return Quality(
        left_share=_left_share(votes.side[is_counted], level=level),
        tie_share=wilson(int((votes.side[is_counted] == TIE).sum()), int(is_counted.sum()), level=level),
        least_votes_per_comparison=int(per_comparison.min()) if len(per_comparison) else None,
        median_votes_per_comparison=float(np.median(per_comparison)) if len(per_comparison) else None,
        most_votes_per_comparison=int(per_comparison.max()) if len(per_comparison) else None,
        timed_votes=len(times),
        median_response_seconds=_median(times),
        checks=_checks(data),
        annotators=_annotator_facts(data),
    )


def _left_share(sides: NDArray[np.int8], *, level: float) -> Estimate:
    left, right = int((sides == LEFT).sum()), int((sides == RIGHT).sum())
    if not left + right:
        return Estimate.undefined(SIDES_UNKNOWN, n=0, level=level, method="Wilson")
    return wilson(left, left + right, level=level)


def _response_times(milliseconds: NDArray[np.int32]) -> NDArray[np.float64]:
    return milliseconds[milliseconds >= 0] / 1000


def _median(values: NDArray[np.float64]) -> float | None:
    return float(np.median(values)) if len(values) else None


def _annotator_facts(data: SealedData) -> tuple[AnnotatorFacts, ...]:
    votes, level = data.votes, data.manifest.analysis.level
    by_annotator = np.argsort(votes.annotator, kind="stable")
    ends = np.searchsorted(votes.annotator[by_annotator], np.arange(len(data.annotators) + 1))
    facts = []
    for index, row in enumerate(data.annotators):
        own = by_annotator[ends[index] : ends[index + 1]]
        counted = own[~votes.is_excluded[own]]
        facts.append(
            AnnotatorFacts(
                pseudonym=row.pseudonym,
                kind=row.kind,
                state=row.state,
                votes=len(counted),
                excluded_votes=len(own) - len(counted),
                tie_votes=int((votes.side[counted] == TIE).sum()),
                left_share=_left_share(votes.side[counted], level=level),
                longest_run=longest_run(votes.side[counted[np.argsort(votes.arrival[counted])]]),
                median_response_seconds=_median(_response_times(votes.response_ms[counted])),
                broken_rules=tuple(rules_in(row.broken_rules)),
            )
        )
    return tuple(facts)


def longest_run(sides: NDArray[np.int8]) -> LongestRun:
    """Return the longest run of votes for one side. A tie vote ends a run; a vote with unknown sides is passed over.

    sides: LEFT, RIGHT, TIE or UNKNOWN, in the order of the votes.

    >>> longest_run(np.array([LEFT, LEFT, RIGHT])).length
    2
    """
    known = sides[sides >= 0]
    is_for_a_side = np.isin(known, (LEFT, RIGHT))
    if not is_for_a_side.any():
        return LongestRun(0, None)
    starts = np.flatnonzero(np.append(True, np.diff(known) != 0))
    lengths = np.diff(np.append(starts, len(known)))
    length = int(lengths[is_for_a_side[starts]].max())
    return LongestRun(length, _probability(int(is_for_a_side.sum()), length))


@lru_cache(maxsize=4096)
def _probability(votes: int, length: int) -> float:
    """Return the chance of such a run, cached: it takes long for many votes, and most annotators share both numbers."""
    return run_probability(votes, length=length)


# --- attention checks ---------------------------------------------------------------------------
def _checks(data: SealedData) -> Checks:
    """The ladder from the most images replaced, the instructed items, the repeats, the rules."""
    known, level = data.checks.known, data.manifest.analysis.level
    rungs = sorted({(row.replaced, row.images) for row in known if row.replaced}, reverse=True)
    outcomes = [row.outcome for row in data.checks.repeats]
    same = outcomes.count(SAME)
    return Checks(
        ladder=tuple(_rung(data, replaced, images) for replaced, images in rungs),
        instructed=_right([row for row in known if not row.replaced], level=level),
        repeats_same=wilson(same, same + outcomes.count(OTHER), level=level),
        repeats_with_tie=outcomes.count(UNDECIDED),
        rules=_rules(data),
    )


def _rung(data: SealedData, replaced: int, images: int) -> Rung:
    rows = [row for row in data.checks.known if (row.replaced, row.images) == (replaced, images)]
    counted = [row for row in rows if not _is_left_out(data.annotators[row.annotator])]
    level = data.manifest.analysis.level
    return Rung(replaced, images, replaced >= HALF * images, _right(rows, level=level), _right(counted, level=level))


def _is_left_out(row: AnnotatorRow) -> bool:
    """Whether none of the votes counts, by a rule of the study or by having been screened out."""
    return bool(row.broken_rules) or row.state == Annotator.State.SCREENED_OUT


def _right(rows: Sequence[CheckRow], *, level: float) -> Estimate:
    return wilson(sum(row.is_right for row in rows), len(rows), level=level)


def _rules(data: SealedData) -> tuple[RuleFacts, ...]:
    rules = data.manifest.voting_rules()
    limits = thresholds(rules.quality, rules.comparisons_per_annotator)
    broken = [set(rules_in(row.broken_rules)) for row in data.annotators]
    excluded = data.votes.annotator[data.votes.is_excluded]
    return tuple(
        RuleFacts(
            rule=rule.value,
            probability=rules.quality.probability(rule),
            threshold=limits[rule],
            annotators=sum(rule in one for one in broken),
            votes=sum(rule in broken[annotator] for annotator in excluded.tolist()),
        )
        for rule in rules.quality.in_force
    )
