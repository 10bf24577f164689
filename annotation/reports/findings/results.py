"""What is sealed until the study closes: agreement, reliability, scores, winners. Pure; every formula is scoring's."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from annotation.reports.agreement_report import (
    Agreement,
    AgreementEstimates,
    Bias,
    Bounds,
    ComparisonRow,
    Confusion,
    ModelScores,
    Results,
    ScoreComparison,
)
from annotation.reports.data.counting import (
    Outcome,
    first_votes,
    outcome,
    side_votes_by_annotator,
    votes_by_side,
    votes_for_reliability,
)
from annotation.reports.data.study_data import StudyData
from annotation.reports.findings.analysed import Analysed, analysed
from annotation.reports.findings.comparison_rows import WINNERS, comparison_rows
from annotation.reports.findings.early_stopping import early_stopping
from annotation.reports.findings.fragility import fragility
from annotation.reports.findings.headlines import with_excluded_votes
from annotation.reports.findings.image_noise import image_noise
from annotation.reports.findings.margins import margins
from annotation.reports.findings.metric_lab import metric_lab
from annotation.reports.findings.people import people_limits
from annotation.reports.findings.power import power_findings
from annotation.reports.findings.sensitivity import Sensitivity, sensitivity
from annotation.reports.findings.study_facts import SIDES_UNKNOWN
from annotation.reports.findings.voters import voter_agreements
from annotation.reports.progress import Progress, Steps, silent
from scoring.statistics import agreement as agreements
from scoring.statistics.agreement import Signs, TieTreatment
from scoring.statistics.bias import position_bias, side_coding_alpha
from scoring.statistics.chance import against_one_half, baseline, chance_corrected, fisher_exact
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import Resampling
from scoring.statistics.leave_one_out import Compared, LeaveOneOut, leave_one_out
from scoring.statistics.reliability import Reliability, reliability
from scoring.statistics.significance import ks_sign_flip, ks_two_sample, wilcoxon

NOTHING_ANALYSED = "no comparison has both votes and two scores"


def results(data: StudyData, *, progress: Progress = silent) -> Results:
    """Every result of a study that is not sealed. progress: told of each of the longer parts."""
    found, resampling = outcome(data), _resampling(data)
    kept = analysed(data, found)
    first = kept.with_first_votes(first_votes(data.manifest))
    step = Steps(progress, count=9)
    agreement = step("agreement", lambda: _agreement(data, found, resampling=resampling))
    endpoint, level = data.manifest.analysis.primary_endpoint, resampling.level
    constant = baseline(kept.people, kept.metric, ties=endpoint, level=level)
    return Results(
        agreement=agreement,
        baseline=constant,
        fisher_exact=fisher_exact(kept.people, kept.metric),
        against_one_half=against_one_half(kept.people, kept.metric),
        chance_corrected=chance_corrected(kept.people, kept.metric, clusters=kept.clusters, resampling=resampling),
        confusion=_confusion(kept.people, kept.metric),
        reliability=step("reliability", lambda: _reliability(data, found, resampling=resampling)),
        early_stopping=early_stopping(data, found),
        with_excluded_votes=with_excluded_votes(data, resampling=resampling),
        sensitivity=step(
            "resampling comparisons and annotators",
            lambda: _sensitivity(data, found, kept, resampling=resampling, progress=step.portion),
        ),
        leave_one_out=step("people", lambda: _leave_one_out(first, resampling=resampling)),
        people=step("people", lambda: people_limits(data, first, resampling=resampling)),
        annotators=voter_agreements(data, first),
        scores=step("scores", lambda: _scores(data, found, resampling=resampling)),
        image_noise=step("resampling images", lambda: image_noise(data, kept, resampling=resampling)),
        margins=step("margins", lambda: margins(kept, resampling=resampling)),
        bias=_bias(data, resampling=resampling),
        fragility=fragility(data, kept, level=level),
        power=power_findings(agreement=agreement.headline, baseline=constant.agreement),
        metrics=step("metrics", lambda: metric_lab(data, found, resampling=resampling)),
        comparisons=_comparisons(data, found),
    )


def _resampling(data: StudyData) -> Resampling:
    plan = data.manifest.analysis
    return Resampling(level=plan.level, resamples=plan.resamples, seed=plan.seed)


# --- votes --------------------------------------------------------------------------------------
def _may_tie(data: StudyData, found: Outcome) -> bool:
    """Whether neither could be voted; imported votes may tie where the manifest knows nothing of it."""
    return data.manifest.annotation.ties or bool(found.votes[:, 2].any())


def _reliability(data: StudyData, found: Outcome, *, resampling: Resampling) -> Reliability:
    votes, clusters = votes_for_reliability(data), data.comparisons.cluster
    return reliability(votes, ties_allowed=_may_tie(data, found), clusters=clusters, resampling=resampling)


def _sensitivity(
    data: StudyData, found: Outcome, kept: Analysed, *, resampling: Resampling, progress: Callable[[float], None]
) -> Sensitivity:
    return sensitivity(
        kept,
        ties=data.manifest.analysis.primary_endpoint,
        may_tie=_may_tie(data, found),
        resampling=resampling,
        progress=progress,
    )


# --- agreement ----------------------------------------------------------------------------------
def _agreement(data: StudyData, found: Outcome, *, resampling: Resampling) -> Agreement:
    kept = found.is_analysed
    people, metric, clusters = found.people[kept], found.metric[kept], data.comparisons.cluster[kept]
    endpoint = data.manifest.analysis.primary_endpoint
    treatments = {
        ties: _treatment(people, metric, clusters, ties=ties, resampling=resampling)
        for ties in ("strict", "half", "dropped")
    }
    plurality = agreements.people_winners(found.votes[kept], rule="plurality")
    return Agreement(
        endpoint=endpoint,
        headline=headline(treatments[endpoint]),
        strict=treatments["strict"],
        half=treatments["half"],
        dropped=treatments["dropped"],
        plurality=_quick(plurality, metric, clusters, ties=endpoint, resampling=resampling),
        bounds=_bounds(people, metric, planned=len(data.manifest.prompts)),
        with_excluded_votes=_with_excluded(data, resampling=resampling),
    )


def headline(estimates: AgreementEstimates) -> Estimate:
    """The estimate that is quoted: Wilson's interval, and the bootstrap's for half credit, which is no proportion."""
    is_proportion = estimates.wilson.low is not None or not estimates.wilson.is_defined
    return estimates.wilson if is_proportion else estimates.bootstrap


def _explained(quoted: Estimate, *, analysed: int) -> Estimate:
    """An agreement, which says more than that it rests on no comparison where it rests on none."""
    if quoted.is_defined:
        return quoted
    return replace(quoted, reason="no comparison that both decide" if analysed else NOTHING_ANALYSED)


def _treatment(
    people: Signs, metric: Signs, clusters: NDArray[np.int64], *, ties: TieTreatment, resampling: Resampling
) -> AgreementEstimates:
    level = resampling.level
    found = (
        agreements.agreement(people, metric, ties=ties, interval="wilson", level=level),
        agreements.agreement(people, metric, ties=ties, interval="clopper-pearson", level=level),
        agreements.bootstrap_agreement(people, metric, ties=ties, clusters=clusters, resampling=resampling),
    )
    return AgreementEstimates(*(_explained(estimate, analysed=len(people)) for estimate in found))


def _quick(
    people: Signs, metric: Signs, clusters: NDArray[np.int64], *, ties: TieTreatment, resampling: Resampling
) -> Estimate:
    return headline(_treatment(people, metric, clusters, ties=ties, resampling=resampling))


def _bounds(people: Signs, metric: Signs, *, planned: int) -> Bounds:
    return Bounds(*agreements.bounds_with_missing(int((people == metric).sum()), len(people), planned))


def _with_excluded(data: StudyData, *, resampling: Resampling) -> Estimate | None:
    """The headline as it would be had no vote been excluded; None where none was."""
    if not data.votes.exclusions:
        return None
    found = outcome(data, with_excluded=True)
    kept = found.is_analysed
    ties = data.manifest.analysis.primary_endpoint
    clusters = data.comparisons.cluster[kept]
    return _quick(found.people[kept], found.metric[kept], clusters, ties=ties, resampling=resampling)


def _confusion(people: Signs, metric: Signs) -> Confusion:
    counts = agreements.confusion(people, metric)
    return Confusion(labels=tuple(WINNERS.values()), counts=tuple(tuple(int(cell) for cell in row) for row in counts))


def _leave_one_out(kept: Analysed, *, resampling: Resampling) -> LeaveOneOut:
    computed = leave_one_out(kept.counts, kept.metric, clusters=kept.clusters, resampling=resampling)
    if len(kept):
        return computed
    nothing = Estimate.undefined(NOTHING_ANALYSED, n=0, level=resampling.level)
    return LeaveOneOut(Compared(nothing, nothing, nothing), Compared(nothing, nothing, nothing), by_count=())


# --- scores and sides ---------------------------------------------------------------------------
def _scores(data: StudyData, found: Outcome, *, resampling: Resampling) -> ScoreComparison:
    assert data.comparisons.score_a is not None and data.comparisons.score_b is not None  # noqa: S101, PT018
    paired = found.is_scored
    score_a, score_b = data.comparisons.score_a[paired], data.comparisons.score_b[paired]
    clusters = data.comparisons.cluster[paired]
    return ScoreComparison(
        model_a=_model_scores(score_a),
        model_b=_model_scores(score_b),
        wilcoxon=wilcoxon(found.margin[paired], clusters=clusters, resampling=resampling),
        kolmogorov_smirnov=ks_two_sample(score_a, score_b),
        kolmogorov_smirnov_sign_flip=ks_sign_flip(score_a, score_b, clusters=clusters, resampling=resampling),
    )


def _model_scores(scores: NDArray[np.float64]) -> ModelScores:
    n = len(scores)
    if not n:
        return ModelScores(0, None, None, None, None, None, "no comparison with both scores")
    spread = float(np.std(scores, ddof=1)) if n > 1 else None
    reason = "" if n > 1 else "one score has no standard deviation"
    least, greatest = float(scores.min()), float(scores.max())
    return ModelScores(n, float(scores.mean()), float(np.median(scores)), spread, least, greatest, reason)


def _bias(data: StudyData, *, resampling: Resampling) -> Bias:
    left, either = side_votes_by_annotator(data.votes, annotator_count=len(data.annotators))
    by_side = votes_by_side(data.votes, n=len(data.comparisons))
    clusters = data.comparisons.cluster
    if not either.any():
        undefined = Estimate.undefined(SIDES_UNKNOWN, n=0, level=resampling.level)
        return Bias(position=None, side_coding_alpha=undefined, reason=SIDES_UNKNOWN)
    return Bias(
        position=position_bias(left, either, resampling=resampling),
        side_coding_alpha=side_coding_alpha(by_side, clusters=clusters, resampling=resampling),
        reason="",
    )


# --- table --------------------------------------------------------------------------------------
def _comparisons(data: StudyData, found: Outcome) -> tuple[ComparisonRow, ...]:
    rows = data.comparisons
    assert rows.score_a is not None and rows.score_b is not None  # noqa: S101, PT018
    return comparison_rows(
        found, positions=rows.position.tolist(), prompts=rows.prompt, score_a=rows.score_a, score_b=rows.score_b
    )
