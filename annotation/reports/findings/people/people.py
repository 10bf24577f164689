"""One annotator against the others, the metric in their place, one more annotator, and the limit by noise. Pure."""

from dataclasses import dataclass

from annotation.reports.findings.analysed import NOTHING_ANALYSED, Analysed
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.alternative_annotator import Outcome, alternative_annotator_test
from scoring.statistics.people.attenuation import attenuation
from scoring.statistics.people.leave_one_out import Compared, LeaveOneOut, leave_one_out
from scoring.statistics.people.non_inferiority import NonInferiority, non_inferiority
from scoring.statistics.people.one_more_person import OneMorePerson, one_more_person
from scoring.statistics.people.single_votes import SingleVotes, single_votes


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


def of_single_votes(analysed: Analysed) -> SingleVotes:
    """Return how often one vote agrees with the metric, and with another vote.

    If the study stops early, of the first votes of each comparison only.
    """
    first = analysed.first
    return single_votes(first.votes, first.metric, clusters=first.clusters, level=first.resampling.level)


def within_margin(analysed: Analysed) -> NonInferiority | None:
    """Return whether the metric agrees with people as often as one more person, within the manifest's margin.

    From the same votes as `of_single_votes`; None if the manifest fixed no margin.
    """
    first, plan = analysed.first, analysed.data.manifest.analysis
    if plan.person_margin is None:
        return None
    return non_inferiority(
        first.votes, first.metric, margin=plan.person_margin, clusters=first.clusters, level=plan.level
    )
