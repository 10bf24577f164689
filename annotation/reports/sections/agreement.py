"""The agreement with its intervals, beside a constant choice and chance. Pure."""

from annotation.reports.findings.agreement import Agreement, Bounds, Confusion
from annotation.reports.findings.study_facts import Facts, StudyFacts
from annotation.reports.printing.blocks import (
    Figure,
    Numbers,
    Row,
    Section,
    Table,
    bracketed,
    coefficient_row,
    in_words,
    share_row,
    significance_row,
)
from annotation.reports.printing.numbers import TIE_RULES, metric_name, percent
from jobs.wording import counted
from scoring.statistics.chance import Baseline

FEW_COMPARISONS = 30  # with fewer, an interval spans about 30 points or more: the number gets a remark


def section(agreement: Agreement, facts: Facts) -> Section:
    """The headline, the three treatments of ties, the baseline, and chance-corrected coefficients."""
    chance, constant, study = agreement.chance_corrected, agreement.baseline, facts.study
    few = f"only {counted(agreement.headline.n, 'comparison')}" if 0 < agreement.headline.n < FEW_COMPARISONS else ""
    rows = [
        share_row(f"Primary endpoint ({agreement.endpoint})", agreement.headline, remark=few),
        *(row for row, _ in agreement_numbers(agreement)),
        share_row("Winner of the votes by plurality of A, B, tie", agreement.plurality),
        share_row(_constant_choice(constant, study), constant.agreement, remark=_verdict(constant)),
        significance_row("Metric against that constant choice", constant.mcnemar),
        significance_row("Association of the two choices", agreement.fisher_exact),
        significance_row("Against one half", agreement.against_one_half),
        coefficient_row("Cohen's kappa", chance.kappa),
        coefficient_row("Cohen's kappa with ties as a third choice", chance.kappa_with_ties),
        coefficient_row("Matthews correlation", chance.matthews),
        share_row("Balanced accuracy", chance.balanced_accuracy),
    ]
    fallen = facts.counts.planned_comparisons - facts.counts.analysed_comparisons
    if fallen:
        rows.insert(1, _bounds_row(agreement.bounds, fallen))
    if agreement.with_excluded_votes is not None:
        rows.insert(1, share_row("The same, had no vote been excluded", agreement.with_excluded_votes))
    text = "No metric was scored, so no agreement is defined. "
    if study.metric:
        text = f"How often {metric_name(study.metric)} and {facts.counts.judges} choose the same model. "
    text += f"Primary endpoint, fixed in the manifest: {agreement.endpoint} ({TIE_RULES[agreement.endpoint]})."
    tables, figures = (_confusion(agreement.confusion),), (_figure(agreement),)
    return Section("agreement", "Agreement", (text, _resampling(study)), tuple(rows), tables, figures)


def agreement_numbers(agreement: Agreement) -> Numbers:
    """Agreement under the three treatments of ties."""
    shares = (
        ("Strict, Wilson", agreement.strict.wilson),
        ("Strict, Clopper-Pearson", agreement.strict.clopper_pearson),
        ("Strict, bootstrap", agreement.strict.bootstrap),
        ("Half credit, bootstrap", agreement.half.bootstrap),
        ("Ties dropped, Wilson", agreement.dropped.wilson),
        ("Ties dropped, Clopper-Pearson", agreement.dropped.clopper_pearson),
        ("Ties dropped, bootstrap", agreement.dropped.bootstrap),
    )
    return tuple((share_row(label, estimate), estimate) for label, estimate in shares)


def _bounds_row(bounds: Bounds, fallen: int) -> Row:
    remark = f"strict agreement over all planned, were the {fallen} that fell out all wrong, or all right"
    return Row("Worst and best of all planned", "", bracketed(bounds.worst, bounds.best, percent), remark=remark)


def _resampling(study: StudyFacts) -> str:
    return (
        f"Bootstrap intervals throughout: percentiles over {study.resamples} resamples of clusters of comparisons, the "
        f"votes within them fixed. Permutation tests: {study.resamples} permutations. Seed {study.seed}."
    )


def _constant_choice(baseline: Baseline, study: StudyFacts) -> str:
    names = {"A": study.model_a, "B": study.model_b}
    return "Always naming " + " or ".join(f"{model} ({names[model]})" for model in baseline.models)


def _verdict(baseline: Baseline) -> str:
    if not baseline.agreement.is_defined:
        return ""
    return "the metric beats it" if baseline.is_beaten else "the metric is not shown to beat it"


def _confusion(confusion: Confusion) -> Table:
    labels = confusion.labels
    rows = tuple((f"By votes {label}", *map(str, row)) for label, row in zip(labels, confusion.counts, strict=True))
    head = ("Winner", *(f"By metric {label}" for label in labels))
    return Table("How often each winner met each: rows by the votes, columns by the metric", head, rows, (1, 2, 3))


def _figure(agreement: Agreement) -> Figure:
    """The three treatments of ties."""
    caption = (
        "Agreement under the three treatments of ties with the intervals of Wilson, of Clopper and Pearson, and by "
        f"bootstrap over clusters; n = {counted(agreement.strict.wilson.n, 'comparison')}, ties dropped "
        f"n = {agreement.dropped.wilson.n}. The dotted line is always naming one model."
    )
    return Figure("agreement", "Agreement by treatment of ties", caption, in_words(agreement_numbers(agreement)))
