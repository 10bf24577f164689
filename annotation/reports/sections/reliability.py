"""The agreement of annotators with each other, votes coded by model. Pure."""

from collections.abc import Sequence

from annotation.reports.findings.comparisons import ComparisonRow
from annotation.reports.findings.study_facts import Facts
from annotation.reports.printing.blocks import Figure, Section, coefficient_row, mark_step, share_row
from annotation.reports.printing.phrases import beyond_chance, first_votes_note
from jobs.wording import counted
from scoring.statistics.estimate import Estimate
from scoring.statistics.people.reliability import Reliability

PREVALENCE_GAP = 0.2  # alpha and Brennan-Prediger further apart than this: explain why


def section(values: tuple[Reliability, Sequence[ComparisonRow]], facts: Facts) -> Section:
    """The coefficients, and the votes of every comparison as a figure."""
    reliability, comparisons = values
    rows = (
        share_row("Two annotators agree, every comparison weighing the same", reliability.pairwise_agreement),
        share_row("Two annotators agree, every pair of votes weighing the same", reliability.pooled_agreement),
        coefficient_row("Krippendorff's alpha, nominal", reliability.alpha, remark=_prevalence(reliability)),
        coefficient_row("Krippendorff's alpha, ordinal (A < tie < B)", reliability.alpha_ordinal),
        coefficient_row("Krippendorff's alpha, tie votes dropped", reliability.alpha_without_ties),
        coefficient_row("Gwet's AC1", reliability.ac1),
        coefficient_row("Brennan-Prediger", reliability.brennan_prediger),
        coefficient_row("Fleiss' kappa", reliability.fleiss_kappa),
    )
    text = "How well annotators agree with each other, votes coded by model."
    texts = (text, *_beyond_chance(reliability.alpha), *first_votes_note(facts.manifest))
    return Section("reliability", "Reliability of the votes", texts, rows, figures=_figures(comparisons))


def _beyond_chance(alpha: Estimate) -> tuple[str, ...]:
    """A warning if the votes could be noise: then agreement with their majority means little."""
    how = beyond_chance(alpha)
    if not how:
        return ()
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


def _figures(comparisons: Sequence[ComparisonRow]) -> tuple[Figure, ...]:
    """The votes of every comparison; no figure without votes."""
    voted = [row for row in comparisons if row.votes_a + row.votes_b + row.votes_tie]
    if not voted:
        return ()
    split = sum(sum(votes > 0 for votes in (row.votes_a, row.votes_b, row.votes_tie)) > 1 for row in voted)
    unanimous = len(voted) - split
    step = mark_step(len(voted))
    each = "one column for each comparison" if step == 1 else f"one column for one comparison in {step}"
    caption = (
        f"Shares of the votes for A, for neither and for B, {each}, sorted by the share of A; n = "
        f"{counted(len(voted), 'comparison')} with votes, {unanimous} of them unanimous."
    )
    words = f"{counted(len(voted), 'comparison')}, {unanimous} unanimous"
    return (Figure("votes", "Votes by comparison", caption, words),)
