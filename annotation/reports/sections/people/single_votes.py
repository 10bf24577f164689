"""A new annotator on a new prompt. Pure."""

from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Section, points_row, share_row
from annotation.reports.printing.phrases import first_votes_note
from scoring.statistics.people.single_votes import SingleVotes


def section(found: SingleVotes, facts: Facts) -> Section:
    """One vote against the metric, and against another vote."""
    rows = (
        share_row("A new annotator agrees with the metric", found.metric),
        share_row("A new annotator agrees with another annotator", found.people),
        points_row("Metric minus annotator", found.difference),
    )
    text = (
        "What to expect of one more annotator on one more prompt: the votes one by one, without a majority, so that "
        "the numbers do not depend on how many votes a comparison has. Each comparison has the same weight; a tie on "
        "one side only counts one half. The intervals speak about other prompts and other annotators, like those of "
        "this study."
    )
    texts = (text, *first_votes_note(facts.manifest))
    return Section("single-votes", "A new annotator on a new prompt", texts, rows)
