"""What the attention checks came to, and what each rule excluded. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from annotation.models import Annotator
from annotation.reports.data.study_data import OTHER, SAME, UNDECIDED, AnnotatorRow, CheckRow, StudyData
from annotation.voting.quality.broken_rules import HALF, thresholds
from annotation.voting.quality.exclusion import rules_in
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import wilson


@dataclass(frozen=True, slots=True)
class Rung:
    """A rung of the ladder: so many of so many images replaced. Shares of votes for the whole set.

    right: of everybody; right_of_counted: of annotators whose votes count. may_exclude: half of the images or more.
    """

    replaced: int
    images: int
    may_exclude: bool
    right: Estimate
    right_of_counted: Estimate


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A rule of the study: its chance for somebody attentive, the count that breaks it, whom it excluded."""

    rule: str
    probability: float
    threshold: int
    annotators: int
    votes: int


@dataclass(frozen=True, slots=True)
class Checks:
    """Attention checks and rules. Votes as if independent; several are from one annotator.

    repeats_same: repeats that named the model named before, among those without a tie on one side only.
    """

    ladder: tuple[Rung, ...]
    instructed: Estimate
    repeats_same: Estimate
    repeats_with_tie: int
    rules: tuple[RuleFacts, ...]


def checks_found(data: StudyData) -> Checks:
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


def _rung(data: StudyData, replaced: int, images: int) -> Rung:
    rows = [row for row in data.checks.known if (row.replaced, row.images) == (replaced, images)]
    counted = [row for row in rows if not _is_left_out(data.annotators[row.annotator])]
    level = data.manifest.analysis.level
    return Rung(replaced, images, replaced >= HALF * images, _right(rows, level=level), _right(counted, level=level))


def _is_left_out(row: AnnotatorRow) -> bool:
    """Whether none of the votes counts, by a rule of the study or by having been screened out."""
    return bool(row.broken_rules) or row.state == Annotator.State.SCREENED_OUT


def _right(rows: Sequence[CheckRow], *, level: float) -> Estimate:
    return wilson(sum(row.is_right for row in rows), len(rows), level=level)


def _rules(data: StudyData) -> tuple[RuleFacts, ...]:
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
