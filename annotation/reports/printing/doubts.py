"""The reasons to doubt the winners, each as a clause, and what metrics have seen of the study. Pure."""

from annotation.reports.data.study_data import LeakRow
from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.people.bias import Bias
from annotation.reports.findings.scores.image_noise import ImageNoise
from annotation.reports.findings.study.study_facts import Counts, StudyFacts
from annotation.reports.printing.blocks import Table
from annotation.reports.printing.numbers import metric_name
from annotation.reports.printing.sentences import alpha_with_interval, beyond_chance, side_mattered
from annotation.studies.manifest import Manifest
from annotation.studies.nearest_names import did_you_mean
from jobs.wording import counted
from scoring.statistics.people.reliability import Reliability

Doubted = tuple[Agreement, Reliability, Bias, ImageNoise]  # the findings that may hold reasons
FEW_COMPARISONS = 30  # with fewer, an interval spans about 30 points or more


def doubts(study: StudyFacts, counts: Counts, manifest: Manifest, doubted: Doubted) -> tuple[str, ...]:
    """Return each reason to doubt the result, as a clause; empty if there is none, or no result."""
    if not counts.analysed_comparisons:
        return ()
    agreement, reliability, bias, noise = doubted
    stopped = manifest.annotation.stop_when_decided == "metric" and study.metric != manifest.encoder.metric
    clauses = (
        *_stopped_by_another(manifest.encoder.metric if stopped else ""),
        _few(agreement),
        _without_winner(agreement),
        agreement.clusters.warning if agreement.clusters else "",
        "one annotator voted, so nothing tells how reliable the votes are" if counts.annotators == 1 else "",
        *reservations(study, reliability=reliability, bias=bias, noise=noise),
    )
    return tuple(clause for clause in clauses if clause)


def reservations(study: StudyFacts, *, reliability: Reliability, bias: Bias, noise: ImageNoise) -> tuple[str, ...]:
    """Return the reasons that lie in the votes, the sides, the seeds and what could be seen; empty if there is none."""
    clauses = (
        _chance(reliability, study),
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
        return f"the votes name no model on any of the {counted(n, 'comparison')}"
    return f"the votes name a model on only {winners.named} of {counted(n, 'comparison')}"


def _chance(found: Reliability, study: StudyFacts) -> str:
    alpha = alpha_with_interval(found)
    how, beyond = beyond_chance(found), "beyond the order of the models, " if study.are_several else ""
    if not how:
        return ""
    if alpha.low is None and alpha.reason:  # few votes for other than one choice: its winners need not be noise
        return f"{beyond}annotators {how} (Krippendorff's alpha has no interval: {alpha.reason})"
    follows = "prompts may not matter" if study.are_several else "the winners of the votes may be noise"
    return f"{beyond}annotators {how} (Krippendorff's alpha), so {follows}"


def _other_seeds(noise: ImageNoise) -> str:
    if noise.fresh_seeds is None or not noise.fresh_seeds.doubtful:
        return ""
    doubtful = noise.fresh_seeds.doubtful
    return f"a fresh draw of seeds could well change {doubtful} of the metric's {counted(noise.comparisons, 'winner')}"


# --- what metrics have seen ---------------------------------------------------------------------
def leaks_of_metric(study: StudyFacts) -> tuple[str, ...]:
    """Return what the declared sources of the reported metric mean for its agreement, as clauses; empty without any."""
    rows = [row for row in study.leaks if row.metric == study.metric]
    left_out = sorted({row.pseudonym for row in rows if row.pseudonym})
    unknown = [f"“{row.name}”" for row in rows if row.name and not row.pseudonym]
    clauses = []
    if left_out:
        clauses.append(f"the metric comes from {', '.join(left_out)}, whose votes are left out")
    if unknown:
        names = "names" if len(unknown) > 1 else "a name"
        clauses.append(f"the metric comes from {', '.join(unknown)}, {names} that no annotator has: nobody is left out")
    if any(row.is_of_prompts for row in rows):
        clauses.append("the metric was tuned on these prompts, so its agreement on other prompts may be lower")
    return tuple(clauses)


def leaks_table(study: StudyFacts) -> tuple[Table, ...]:
    """Return a table of each metric's declared sources and what follows from them; nothing if none is declared."""
    rows = tuple((metric_name(row.metric), _source(row), _effect(row, study)) for row in study.leaks)
    caption = "What metrics have seen of this study, as its study file declares (leaks_from)"
    return (Table(caption, ("Metric", "Has seen", "What follows"), rows),) if rows else ()


def _source(row: LeakRow) -> str:
    if row.is_of_prompts:
        return "the prompts"
    return f"the votes of {row.pseudonym}" if row.pseudonym else f"the votes of “{row.name}”"


def _effect(row: LeakRow, study: StudyFacts) -> str:
    known = sorted({study.metric, *study.other_metrics})
    if row.metric not in known:
        return f"nothing: no scores by this metric{did_you_mean(row.metric, known)}"
    if row.is_of_prompts:
        return "its agreement on other prompts may be lower"
    if not row.pseudonym:
        return "nobody is left out: no annotator has this name"
    return "these votes are excluded" if row.metric == study.metric else "metrics are compared without these votes"
