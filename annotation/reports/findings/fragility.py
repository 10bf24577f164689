"""How few votes, and whose, carry the result. Pure."""

from dataclasses import dataclass

from annotation.reports.data.study_data import StudyData
from annotation.reports.findings.analysed import Analysed
from scoring.statistics.agreement import agreement
from scoring.statistics.chance import baseline
from scoring.statistics.fragility import (
    FewestVotes,
    LeadFragility,
    agreement_fragility,
    agreement_without_each,
    lead_fragility,
)


@dataclass(frozen=True, slots=True)
class FewestBelow:
    """The fewest votes whose removal brings the strict agreement below a target share."""

    target: float | None
    votes: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class WithoutAnnotator:
    """The strict agreement with one annotator's votes left out; n: the comparisons that still have votes."""

    annotator: str
    agreement: float
    n: int


@dataclass(frozen=True, slots=True)
class Fragility:
    """lead: in comparisons won. below_interval: below the lower bound of Wilson's interval. below_baseline: below
    always naming one model. without_each: one row an annotator."""

    lead: LeadFragility
    below_interval: FewestBelow
    below_baseline: FewestBelow
    without_each: tuple[WithoutAnnotator, ...]


def fragility(data: StudyData, kept: Analysed, *, level: float) -> Fragility:
    """Of the lead in comparisons won and of the strict agreement; level: of Wilson's interval."""
    strict = agreement(kept.people, kept.metric, level=level)
    constant = baseline(kept.people, kept.metric, level=level).agreement
    return Fragility(
        lead=lead_fragility(kept.counts),
        below_interval=_below(kept, strict.low, strict.reason),
        below_baseline=_below(kept, constant.value, constant.reason),
        without_each=tuple(
            WithoutAnnotator(data.annotators[row.annotator].pseudonym, row.agreement, row.n)
            for row in agreement_without_each(kept.votes, kept.metric)
        ),
    )


def _below(kept: Analysed, target: float | None, reason: str) -> FewestBelow:
    if target is None:
        return FewestBelow(None, None, reason)
    fewest: FewestVotes = agreement_fragility(kept.counts, kept.people, kept.metric, target=target)
    return FewestBelow(target, fewest.votes, fewest.reason)
