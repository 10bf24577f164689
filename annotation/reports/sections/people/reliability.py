"""The agreement of annotators with each other, votes coded by model. Pure."""

from collections.abc import Sequence

from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.study.study_facts import Facts, StudyFacts
from annotation.reports.printing.blocks import (
    Figure,
    Section,
    coefficient_row,
    mark_step,
    rows_of_both,
    share_row,
    why_no_others,
)
from annotation.reports.printing.numbers import coefficient, percent, points
from annotation.reports.printing.phrases import first_votes_note
from annotation.reports.printing.sentences import alpha_with_interval, around, beyond_chance, sentence, within
from jobs.wording import counted
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.leave_one_out import Compared
from scoring.statistics.people.reliability import Reliability

PREVALENCE_GAP = 0.2  # alpha and Brennan-Prediger further apart than this: explain why
_ROWS = (
    ("pairwise_agreement", share_row, "Two annotators agree, every comparison weighing the same"),
    ("pooled_agreement", share_row, "Two annotators agree, every pair of votes weighing the same"),
    ("alpha", coefficient_row, "Krippendorff's alpha, nominal"),
    ("alpha_ordinal", coefficient_row, "Krippendorff's alpha, ordinal ({} < tie < {})"),
    ("alpha_without_ties", coefficient_row, "Krippendorff's alpha, tie votes dropped"),
    ("ac1", coefficient_row, "Gwet's AC1"),
    ("brennan_prediger", coefficient_row, "Brennan-Prediger"),
    ("fleiss_kappa", coefficient_row, "Fleiss' kappa"),
)


def section(values: tuple[Reliability, Sequence[ComparisonRow]], facts: Facts) -> Section:
    """The coefficients, and the votes of every comparison as a figure."""
    reliability, comparisons = values
    others = reliability.annotators_like_these
    rows = [
        row
        for name, kind, label in _ROWS
        for row in rows_of_both(
            kind,
            label.format(*facts.study.sides),
            getattr(reliability, name),
            getattr(others, name, None),
            remark=_prevalence(reliability) if name == "alpha" else "",
        )
    ]
    missing = () if others is None else why_no_others(getattr(others, name) for name, _, _ in _ROWS)
    coded = " (the higher or the lower one in the best fixed order)" if facts.study.are_several else ""
    text = (
        f"How well annotators agree with each other, votes coded by model{coded}. Intervals for these annotators say "
        "how the numbers vary with the prompts; those for annotators like these also say how they vary with the people."
    )
    texts = (text, *_beyond_chance(reliability, facts.study), *first_votes_note(facts.manifest), *missing)
    return Section(
        "reliability", "Reliability of the votes", texts, tuple(rows), figures=_figures(comparisons, facts.study)
    )


def _beyond_chance(found: Reliability, study: StudyFacts) -> tuple[str, ...]:
    """A warning if the votes could be noise: then agreement with their winners means little."""
    alpha, how = alpha_with_interval(found), beyond_chance(found)
    if not how:
        return ()
    if alpha.low is None and alpha.reason:
        return (f"Annotators {how} (Krippendorff's alpha has no interval: {alpha.reason}).",)
    if study.are_several:
        return (
            f"Beyond the order of the models, annotators {how} (Krippendorff's alpha). Which of two models wins on a "
            "single prompt may be chance, and all that the votes tell may be the order.",
        )
    return (
        f"Annotators {how} (Krippendorff's alpha): the winners of the votes may be noise, and how often a metric "
        "agrees with them then says little about the metric.",
    )


def _prevalence(reliability: Reliability) -> str:
    alpha, uniform = reliability.alpha.value, reliability.brennan_prediger.value
    if alpha is None or uniform is None or uniform - alpha <= PREVALENCE_GAP:
        return ""
    return (
        "far below Brennan-Prediger: one choice is so frequent that alpha expects most agreement by chance "
        "(the prevalence effect)"
    )


def _figures(comparisons: Sequence[ComparisonRow], study: StudyFacts) -> tuple[Figure, ...]:
    """The votes of every comparison; no figure without votes."""
    voted = [row for row in comparisons if row.votes_a + row.votes_b + row.votes_tie]
    if not voted:
        return ()
    split = sum(sum(votes > 0 for votes in (row.votes_a, row.votes_b, row.votes_tie)) > 1 for row in voted)
    unanimous = len(voted) - split
    step = mark_step(len(voted))
    each = "one column for each comparison" if step == 1 else f"one column for one comparison in {step}"
    a, b = study.sides_in_words
    caption = (
        f"Shares of the votes for {a}, for neither and for {b}, {each}. Sorted by the share of {a}; n = "
        f"{counted(len(voted), 'comparison')} with votes, {unanimous} of them unanimous."
    )
    words = f"{counted(len(voted), 'comparison')}, {unanimous} unanimous"
    return (Figure("votes", "Votes by comparison", caption, words),)


# --- in sentences -------------------------------------------------------------------------------
def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return the agreement of two annotators, alpha, unanimous comparisons, and one annotator against the others."""
    voted = [(row.votes_a, row.votes_b, row.votes_tie) for row in results.comparisons]
    shared = [counts for counts in voted if sum(counts) > 1]
    unanimous = sum(max(counts) == sum(counts) for counts in shared)
    said = [*_coefficients(results.reliability, has_several=report.study.are_several)]
    if shared:
        those = counted(len(shared), "comparison")
        said.append(f"The votes are unanimous on {unanimous} of {those} with two votes or more.")
    said += first_votes_note(report.manifest)
    return " ".join(said), *_against_the_others(results.people.leave_one_out.by_comparison)


def _coefficients(found: Reliability, *, has_several: bool) -> tuple[str, ...]:
    pair, alpha = found.pairwise_agreement, found.alpha
    if pair.value is None:
        return (f"How reliable the votes are is undefined: {pair.reason}.",)
    first = f"Two annotators of one comparison agree in {within(pair)} of cases{_whose(pair)}."
    if alpha.value is None:
        return first, f"Krippendorff's alpha is undefined: {alpha.reason}."
    shown = alpha_with_interval(found)
    second = f"Krippendorff's alpha, which is 0 at chance, is {around(shown, coefficient)}{_whose(shown)}."
    how = beyond_chance(found)
    beyond = "Beyond the order of the models, annotators" if has_several else "Annotators"
    return first, second, *((sentence(f"{beyond} {how}"),) if how else ())


def _against_the_others(compared: Compared) -> tuple[str, ...]:
    people, metric, gap = compared.people, compared.metric, compared.difference
    if people.value is None or metric.value is None or gap.value is None:
        return (f"How often one annotator agrees with the others is undefined: {people.reason}.",)
    first = f"One annotator agrees with the winner of the other votes on {within(people)}{_whose(people)}"
    second = f"Metric minus annotator, in points: {around(gap, _points)}{_whose(gap)}."
    return (f"{first}, and the metric in their place on {percent(metric.value)}. {second}",)


def _whose(estimate: Estimate) -> str:
    """The annotators that an interval speaks about; empty without an interval, or in a report of version 0.2."""
    return f", for {estimate.population}" if estimate.low is not None and estimate.population else ""


def _points(value: float) -> str:
    return points(value).removesuffix(" points")
