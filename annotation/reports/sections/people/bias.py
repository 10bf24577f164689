"""The effect of the side, and the agreement of each annotator with the others. Pure."""

from annotation.reports.findings.people.bias import Bias
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import (
    Figure,
    Section,
    Table,
    coefficient_row,
    mark_step,
    share_row,
    significance_row,
)
from annotation.reports.printing.drawn_numbers import timed_annotators
from annotation.reports.printing.numbers import percent, probability, seconds
from annotation.reports.printing.phrases import capitalised
from annotation.reports.printing.sentences import side_mattered
from jobs.wording import counted


def section(bias: Bias, facts: Facts) -> Section:
    """The share of the left side with its tests, and the annotators one by one."""
    tables, figures = _annotators(bias, facts), _figures(bias, facts)
    text = "Whether the side mattered: a check for bias. Agreement on sides is never reliability."
    if bias.position is None:
        return Section("bias", "Bias", (text, f"Undefined: {bias.reason}."), tables=tables, figures=figures)
    position, (a, b) = bias.position, facts.study.sides_in_words
    rows = (
        share_row(
            "Left chosen, mean over annotators",
            position.share,
            remark=f"one half means no bias; votes with {a} on the left and with {b} on the left have the same weight",
        ),
        significance_row("Annotators' shares against one half", position.t_test),
        significance_row("The same by sign flips", position.sign_flip),
        share_row("Left chosen, all votes", position.pooled_share),
        significance_row("All votes against one half", position.pooled_test),
        coefficient_row(
            "Krippendorff's alpha of sides", bias.side_coding_alpha, remark="near 0 if sides are drawn at random"
        ),
    )
    mattered = side_mattered(position, level=facts.study.level)
    texts = (text, f"{capitalised(mattered)}.") if mattered else (text,)
    return Section("bias", "Bias", texts, rows, tables, figures)


def _annotators(bias: Bias, facts: Facts) -> tuple[Table, ...]:
    """Each annotator's agreement with the others beside the response time and the longest run on one side."""
    facts_of = {row.pseudonym: row for row in facts.quality.annotators}
    rows = []
    for voter in bias.annotators:
        own = facts_of[voter.annotator]
        run = own.longest_run
        rows.append(
            (
                voter.annotator,
                str(voter.votes),
                percent(voter.agreement),
                seconds(own.median_response_seconds),
                *(("–", "–") if run.probability is None else (str(run.length), _chance(run.probability))),
            )
        )
    head = ("Annotator", "Votes shared", "Agreement", "Median time", "Longest run", "P of such a run")
    caption = (
        "Annotators: agreement with the winner of the other votes, response time, and the longest run of votes for "
        "one side with its chance for an honest annotator"
    )
    return (Table(caption, head, tuple(rows), (1, 2, 3, 4, 5), is_long=True),) if rows else ()


def _chance(p: float) -> str:
    return probability(p).removeprefix("= ")


def _figures(bias: Bias, facts: Facts) -> tuple[Figure, ...]:
    """Agreement against response time; no figure if no annotator who shares comparisons was timed."""
    timed = timed_annotators(bias, facts)
    if not timed:
        return ()
    step = mark_step(len(timed))
    each = "Each annotator's" if step == 1 else f"Of one annotator in {step}, the"
    caption = (
        f"{each} agreement with the winner of the other votes against the median response time, n = "
        f"{counted(len(timed), 'annotator')} whose votes were timed; larger dots stand for more votes. An "
        "annotator who is quick and disagrees may be clicking through; nobody is excluded for it."
    )
    words = f"{counted(len(timed), 'annotator')}, medians from {min(timed)[0]:.1f} to {max(timed)[0]:.1f} seconds"
    return (Figure("annotators", "Agreement with the others and response time", caption, words),)
