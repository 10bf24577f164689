"""The fewest votes whose removal reverses the result, and the agreement without each annotator. Pure."""

from dataclasses import dataclass

from annotation.reports.findings.analysed import Analysed
from scoring.statistics.agreement.agreement import agreement
from scoring.statistics.agreement.constant_choice import baseline
from scoring.statistics.agreement.fragility import (
    LeadFragility,
    WithoutOne,
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
class Fragility:
    """lead: in comparisons won; None if there are several pairs of models. below_interval: below the lower bound of
    Wilson's interval. below_baseline: below the constant choice. without_each: one row for each annotator."""

    lead: LeadFragility | None
    below_interval: FewestBelow
    below_baseline: FewestBelow
    without_each: tuple[WithoutOne, ...]


def compute(analysed: Analysed) -> Fragility:
    """Return the fewest votes behind the lead in comparisons won and behind the strict agreement."""
    people, metric, level = analysed.people, analysed.metric, analysed.resampling.level
    strict = agreement(people, metric, clusters=analysed.clusters, level=level)
    constant = baseline(people, metric, model=analysed.higher, level=level).agreement
    return Fragility(
        lead=None if analysed.order else lead_fragility(analysed.counts),
        below_interval=_below(analysed, strict.low, strict.reason),
        below_baseline=_below(analysed, constant.value, constant.reason),
        without_each=agreement_without_each(analysed.votes, metric),
    )


def _below(analysed: Analysed, target: float | None, reason: str) -> FewestBelow:
    if target is None:
        return FewestBelow(None, None, reason)
    fewest = agreement_fragility(analysed.counts, analysed.people, analysed.metric, target=target)
    return FewestBelow(target, fewest.votes, fewest.reason)
