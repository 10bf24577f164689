"""One annotator against the others, the metric in their place, and the limit set by the votes' noise. Pure."""

from dataclasses import dataclass

from annotation.reports.findings.analysed import NOTHING_ANALYSED, Analysed
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.alternative_annotator import Outcome, alternative_annotator_test
from scoring.statistics.people.attenuation import attenuation
from scoring.statistics.people.leave_one_out import Compared, LeaveOneOut, leave_one_out
from scoring.statistics.people.one_more_person import OneMorePerson, one_more_person


@dataclass(frozen=True, slots=True)
class People:
    """leave_one_out: one annotator, and the metric in their place, against the winner of the other votes.

    greatest_agreement: the agreement that a perfect metric would reach with votes as noisy as these.
    alternative_annotator: of the metric, of always naming one model and of a coin, each at two tolerances.
    one_more_person: what the test would say of one more person in the metric's place.
    """

    leave_one_out: LeaveOneOut
    greatest_agreement: Estimate
    alternative_annotator: tuple[Outcome, ...]
    one_more_person: OneMorePerson | None = None


def compute(analysed: Analysed) -> People:
    """Compare annotators with each other and with the metric.

    If the study stops early, only the first votes of each comparison count. The alternative annotator test uses the
    tolerance that the manifest fixed.
    """
    plan, resampling, first = analysed.data.manifest.analysis, analysed.resampling, analysed.first
    return People(
        leave_one_out=_leave_one_out(first),
        greatest_agreement=attenuation(first.counts, clusters=first.clusters, resampling=resampling),
        alternative_annotator=alternative_annotator_test(
            first.votes,
            first.metric,
            tolerance=plan.annotator_tolerance,
            clusters=first.clusters,
            level=plan.level,
            seed=plan.seed,
        ),
        one_more_person=one_more_person(
            first.votes,
            comparison_count=len(first),
            tolerance=plan.annotator_tolerance,
            level=plan.level,
            seed=plan.seed,
        ),
    )


def _leave_one_out(first: Analysed) -> LeaveOneOut:
    if len(first):
        return leave_one_out(
            first.counts, first.metric, clusters=first.clusters, level=first.resampling.level, votes=first.votes
        )
    nothing = Estimate.undefined(NOTHING_ANALYSED, n=0, level=first.resampling.level)
    return LeaveOneOut(Compared(nothing, nothing, nothing), Compared(nothing, nothing, nothing), by_count=())
