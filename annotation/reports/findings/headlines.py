"""The headlines once more with the excluded votes in. Pure."""

from dataclasses import dataclass

from annotation.reports.data.counting import outcome, votes_for_reliability
from annotation.reports.data.study_data import StudyData
from scoring.statistics.chance import baseline
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import Resampling
from scoring.statistics.leave_one_out import leave_one_out
from scoring.statistics.reliability import krippendorff_alpha, pairwise_agreement


@dataclass(frozen=True, slots=True)
class Headlines:
    """The headlines beside the agreement, as they would be had no vote been excluded.

    baseline: agreement of always naming one model. people, metric: leave-one-out, comparisons alike.
    """

    analysed_comparisons: int
    baseline: Estimate
    pairwise_agreement: Estimate
    alpha: Estimate
    people: Estimate
    metric: Estimate


def with_excluded_votes(data: StudyData, *, resampling: Resampling) -> Headlines | None:
    """None where no vote was excluded."""
    if not data.votes.exclusions:
        return None
    found = outcome(data, with_excluded=True)
    kept, plan = found.is_analysed, data.manifest.analysis
    people, metric, clusters = found.people[kept], found.metric[kept], data.comparisons.cluster
    votes = votes_for_reliability(data, with_excluded=True)
    against = leave_one_out(votes[kept], metric, clusters=clusters[kept], resampling=resampling).by_comparison
    return Headlines(
        analysed_comparisons=int(kept.sum()),
        baseline=baseline(people, metric, ties=plan.primary_endpoint, level=plan.level).agreement,
        pairwise_agreement=pairwise_agreement(votes, clusters=clusters, resampling=resampling),
        alpha=krippendorff_alpha(votes, clusters=clusters, resampling=resampling),
        people=against.people,
        metric=against.metric,
    )
