"""The reasons to doubt the winners, each as a clause. Pure."""

from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.people.bias import Bias
from annotation.reports.findings.results import Results
from annotation.reports.findings.scores.image_noise import ImageNoise
from annotation.reports.findings.study.study_facts import Counts, StudyFacts
from annotation.reports.printing.leaks import leaks_of_metric
from annotation.reports.printing.numbers import metric_name
from annotation.reports.printing.phrases import beyond_chance, side_mattered
from annotation.studies.manifest import Manifest
from jobs.wording import counted
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.reliability import Reliability

FEW_COMPARISONS = 30  # with fewer, an interval spans about 30 points or more


def doubts(study: StudyFacts, counts: Counts, manifest: Manifest, results: Results) -> tuple[str, ...]:
    """Return each reason to doubt the result, as a clause; empty if there is none, or no result."""
    if not counts.analysed_comparisons:
        return ()
    stopped = manifest.annotation.stop_when_decided == "metric" and study.metric != manifest.encoder.metric
    clauses = (
        *_stopped_by_another(manifest.encoder.metric if stopped else ""),
        _few(results.agreement),
        _without_winner(results.agreement),
        results.agreement.clusters.warning if results.agreement.clusters else "",
        "one annotator voted, so nothing tells how reliable the votes are" if counts.annotators == 1 else "",
        *reservations(study, reliability=results.reliability, bias=results.bias, noise=results.image_noise),
    )
    return tuple(clause for clause in clauses if clause)


def reservations(study: StudyFacts, *, reliability: Reliability, bias: Bias, noise: ImageNoise) -> tuple[str, ...]:
    """Return the reasons that lie in the votes, the sides, the seeds and what could be seen; empty if there is none."""
    clauses = (
        _chance(reliability.alpha, study),
        side_mattered(bias.position, level=study.level),
        _other_seeds(noise),
        "" if study.was_sealed_by_design else "not sealed: results could be seen while votes came in",
        *leaks_of_metric(study),
    )
    return tuple(clause for clause in clauses if clause)


def _stopped_by_another(metric: str) -> tuple[str, ...]:
    """The reservation about a study that stopped by the evidence for another metric; none if empty."""
    said = "the evidence for {} ends the voting, so tests and intervals of this metric are descriptive only"
    return (said.format(metric_name(metric)),) if metric else ()


def _few(agreement: Agreement) -> str:
    n = agreement.headline.n
    return f"the agreement rests on only {counted(n, 'comparison')}" if 0 < n < FEW_COMPARISONS else ""


def _without_winner(agreement: Agreement) -> str:
    """A clause if the votes name a model on fewer than half of the comparisons."""
    winners, n = agreement.winners, sum(map(sum, agreement.confusion.counts))
    if winners is None or 2 * winners.named >= n:
        return ""
    if not winners.named:
        return f"the votes name no model on any of {counted(n, 'comparison')}"
    return f"the votes name a model on only {winners.named} of {counted(n, 'comparison')}"


def _chance(alpha: Estimate, study: StudyFacts) -> str:
    how = beyond_chance(alpha)
    if how and study.are_several:
        return f"beyond the order of the models, annotators {how} (Krippendorff's alpha), so prompts may not matter"
    return f"annotators {how} (Krippendorff's alpha), so the winners of the votes may be noise" if how else ""


def _other_seeds(noise: ImageNoise) -> str:
    if noise.fresh_seeds is None or not noise.fresh_seeds.doubtful:
        return ""
    doubtful = noise.fresh_seeds.doubtful
    return f"a fresh draw of seeds could well change {doubtful} of the metric's {counted(noise.comparisons, 'winner')}"
