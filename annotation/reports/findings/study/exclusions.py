"""The headlines beside the agreement, had no vote been excluded. Pure."""

from dataclasses import dataclass

from annotation.reports.findings.analysed import Analysed, analyse, votes_for_reliability
from scoring.statistics.agreement.constant_choice import baseline
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.leave_one_out import leave_one_out
from scoring.statistics.people.reliability import krippendorff_alpha, pairwise_agreement


@dataclass(frozen=True, slots=True)
class Headlines:
    """baseline: agreement of always naming one model. people, metric: leave-one-out, weighted by comparison."""

    analysed_comparisons: int
    baseline: Estimate
    pairwise_agreement: Estimate
    alpha: Estimate
    people: Estimate
    metric: Estimate


def compute(analysed: Analysed) -> Headlines | None:
    """Return the headlines with the excluded votes counted; None if no vote was excluded."""
    data, resampling = analysed.data, analysed.resampling
    if not data.votes.exclusions:
        return None
    whole, clusters, plan = analyse(data, with_excluded=True), data.comparisons.cluster, data.manifest.analysis
    votes = votes_for_reliability(data, with_excluded=True).counts(len(clusters))
    against = leave_one_out(votes[whole.place], whole.metric, clusters=whole.clusters, level=plan.level)
    return Headlines(
        analysed_comparisons=len(whole),
        baseline=baseline(
            whole.people,
            whole.metric,
            ties=plan.primary_endpoint,
            clusters=whole.clusters,
            model=analysed.constant_choice,
            level=plan.level,
        ).agreement,
        pairwise_agreement=pairwise_agreement(votes, clusters=clusters, resampling=resampling),
        alpha=krippendorff_alpha(votes, clusters=clusters, resampling=resampling),
        people=against.by_comparison.people,
        metric=against.by_comparison.metric,
    )
