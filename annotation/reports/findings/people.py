"""One annotator against the others, the metric in their place, and the limit set by the votes' noise. Pure."""

from dataclasses import dataclass

from annotation.reports.findings.analysed import NOTHING_ANALYSED, Analysed
from scoring.statistics.alternative_annotator import Outcome, alternative_annotator_test
from scoring.statistics.attenuation import attenuation
from scoring.statistics.estimate import Estimate
from scoring.statistics.leave_one_out import Compared, LeaveOneOut, leave_one_out


@dataclass(frozen=True, slots=True)
class AgainstAnnotator:
    """A contestant against one annotator, each judged by the other annotators of the same comparisons."""

    annotator: str
    comparisons: int
    advantage: float
    p_value: float
    is_constant: bool
    is_replaceable: bool


@dataclass(frozen=True, slots=True)
class Contestant:
    """The alternative annotator test of the metric, of always naming one model, or of a coin, at one tolerance."""

    contestant: str
    tolerance: float
    winning_rate: float | None
    advantage: float | None
    annotators: tuple[AgainstAnnotator, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class People:
    """leave_one_out: one annotator, and the metric in their place, against the majority of the others.

    greatest_agreement: the agreement that a perfect metric would reach with votes as noisy as these.
    """

    leave_one_out: LeaveOneOut
    greatest_agreement: Estimate
    alternative_annotator: tuple[Contestant, ...]


def compute(analysed: Analysed) -> People:
    """Compare annotators with each other and with the metric.

    If the study stops early, only the first votes of each comparison count. The alternative annotator test uses the
    tolerance that the manifest fixed.
    """
    plan, resampling, first = analysed.data.manifest.analysis, analysed.resampling, analysed.first
    outcomes = alternative_annotator_test(
        first.votes, first.metric, tolerance=plan.annotator_tolerance, level=plan.level, seed=plan.seed
    )
    return People(
        leave_one_out=_leave_one_out(first),
        greatest_agreement=attenuation(first.counts, clusters=first.clusters, resampling=resampling),
        alternative_annotator=tuple(_contestant(analysed, outcome) for outcome in outcomes),
    )


def _leave_one_out(first: Analysed) -> LeaveOneOut:
    if len(first):
        return leave_one_out(first.counts, first.metric, clusters=first.clusters, resampling=first.resampling)
    nothing = Estimate.undefined(NOTHING_ANALYSED, n=0, level=first.resampling.level)
    return LeaveOneOut(Compared(nothing, nothing, nothing), Compared(nothing, nothing, nothing), by_count=())


def _contestant(analysed: Analysed, outcome: Outcome) -> Contestant:
    annotators = tuple(
        AgainstAnnotator(
            annotator=analysed.data.annotators[row.annotator].pseudonym,
            comparisons=row.comparisons,
            advantage=row.advantage,
            p_value=row.p_value,
            is_constant=row.is_constant,
            is_replaceable=row.is_replaceable,
        )
        for row in outcome.annotators
    )
    return Contestant(
        outcome.contestant, outcome.tolerance, outcome.winning_rate, outcome.advantage, annotators, outcome.reason
    )
