"""The comparisons on which metric and votes name different models, the surest ones first. Pure."""

from collections.abc import Sequence

from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.scores.image_noise import ImageNoise
from annotation.reports.findings.study.study_facts import Facts, StudyFacts
from annotation.reports.printing.blocks import Figure, Section, Table, mark_step
from annotation.reports.printing.drawn_numbers import MOST_SHOWN, NAMED, Disagreement, disagreements
from annotation.reports.printing.numbers import score
from annotation.reports.printing.sentences import short_metric
from jobs.wording import counted

MOST_LETTERS = 90  # of a prompt in a sentence


# --- in sentences -------------------------------------------------------------------------------
def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return how often they disagree, and by which rule some are shown."""
    found, metric = disagreements(results.comparisons, results.image_noise), short_metric(report.study.metric)
    both = sum(row.people_winner in NAMED and row.metric_winner in NAMED for row in results.comparisons)
    if not both:
        return ("No comparison is decided by both: on each one, the votes or the metric name no model.",)
    if not found:
        decided = "the one comparison" if both == 1 else f"all {both} comparisons"
        return (f"{metric} and the votes name the same model on {decided} that both decide.",)
    said = f"{metric} and the votes name different models on {len(found)} of {counted(both, 'comparison')} that both "
    return (f"{said}decide. {_rule(found)}",)


def _rule(found: Sequence[Disagreement]) -> str:
    by = "margin" if found[0].seed_errors is None else "margin over its standard error over seeds"
    if len(found) == 1:
        return "It is shown."
    if len(found) <= MOST_SHOWN:
        return f"All are shown, the largest {by} first."
    return f"Shown are the {MOST_SHOWN} with the largest {by}, by this rule and not by hand."


def in_words(row: ComparisonRow, study: StudyFacts, *, seed_errors: float | None = None) -> str:
    """Return one comparison with a score in a sentence or two, with its prompt.

    seed_errors: its margin over its standard error over seeds, if that is to be said.
    """
    prompt = row.prompt if len(row.prompt) <= MOST_LETTERS else f"{row.prompt[: MOST_LETTERS - 1]}…"
    a, b = (row.model_a, row.model_b) if study.are_several else ("A", "B")
    ties = f", {row.votes_tie} for neither" if row.votes_tie else ""
    by = f" by {score(abs(row.margin or 0.0))} points"
    errors = f", {score(seed_errors)} of its standard errors over seeds" if seed_errors is not None else ""
    named = {"A": a + by + errors, "B": b + by + errors}.get(row.metric_winner or "", "neither")
    return (
        f"{row.position}. “{prompt}”: {counted(row.votes_a, 'vote')} for {a}, {row.votes_b} for {b}{ties}; "
        f"{short_metric(study.metric)} names {named}."
    )


# --- behind the fold ----------------------------------------------------------------------------
def section(values: tuple[Sequence[ComparisonRow], ImageNoise], facts: Facts) -> Section | None:
    """Every disagreement as a row of a table, and all comparisons as a figure; None if nothing is decided by both."""
    rows, noise = values
    found, study = disagreements(rows, noise), facts.study
    a, b = study.sides
    head = ("No.", "Prompt", "Margin", "Over its seed error", f"Votes {a}", b, "tie", "By votes", "By metric")
    table = Table(
        "Every comparison on which the votes and the metric name different models; the metric's surest first",
        head,
        tuple(_cells(one, study) for one in found),
        (0, 2, 3, 4, 5, 6),
        winners=() if study.are_several else (7, 8),
        is_long=True,
    )
    figures = _figures(rows, found, study)
    tables = (table,) if found else ()
    return Section("disagreements", "The disagreements", tables=tables, figures=figures) if figures else None


def _cells(one: Disagreement, study: StudyFacts) -> tuple[str, ...]:
    row = one.row
    winners = (row.people_model, row.metric_model) if study.are_several else (row.people_winner, row.metric_winner)
    votes = (str(row.votes_a), str(row.votes_b), str(row.votes_tie))
    return str(row.position), row.prompt, score(row.margin), score(one.seed_errors), *votes, *(w or "" for w in winners)


def _figures(rows: Sequence[ComparisonRow], found: Sequence[Disagreement], study: StudyFacts) -> tuple[Figure, ...]:
    """The map; no figure if nothing is decided by both."""
    both = [row for row in rows if row.people_winner in NAMED and row.metric_winner in NAMED]
    if not both:
        return ()
    step = mark_step(len(both))
    a, b = study.sides_in_words
    caption = (
        f"Lead in votes (share for {a} minus share for {b}) against the margin of {short_metric(study.metric)}, n = "
        f"{counted(len(both), 'comparison')} that both decide{'' if step == 1 else f', one in {step} drawn'}. Grey: "
        f"they name the same model. Hollow marks: they do not; square: {a} has more votes, circle: {b}. Numbers: the "
        "disagreements that are shown."
    )
    shown = ", ".join(str(one.row.position) for one in found[:MOST_SHOWN])
    words = f"{len(found)} of {counted(len(both), 'comparison')} disagree" + (f"; the surest: {shown}" if shown else "")
    return (Figure("disagreements", "Map of disagreements", caption, words),)
