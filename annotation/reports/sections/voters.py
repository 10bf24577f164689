"""Votes by comparison, and annotators' agreement with the others against their response time. Pure."""

from annotation.reports.agreement_report import AgreementReport, Results
from annotation.reports.figures.captions import VOTERS, VOTES
from annotation.reports.sections.blocks import Figure, Table, mark_step
from annotation.reports.sections.numbers import percent
from jobs.wording import counted


def votes_figures(found: Results) -> tuple[Figure, ...]:
    """Every comparison's votes; none where there are no votes."""
    voted = [row for row in found.comparisons if row.votes_a + row.votes_b + row.votes_tie]
    if not voted:
        return ()
    split = sum(sum(votes > 0 for votes in (row.votes_a, row.votes_b, row.votes_tie)) > 1 for row in voted)
    unanimous = len(voted) - split
    step = mark_step(len(voted))
    each = "one column a comparison" if step == 1 else f"one column for one comparison in {step}"
    caption = (
        f"Shares of the votes for A, for neither and for B, {each}, sorted by the share of A; n = "
        f"{counted(len(voted), 'comparison')} with votes, {unanimous} of them unanimous."
    )
    words = f"{counted(len(voted), 'comparison')}, {unanimous} unanimous"
    return (Figure(VOTES, "Votes by comparison", caption, words),)


def voter_table(report: AgreementReport, found: Results) -> tuple[Table, ...]:
    """Each annotator's agreement with the others beside the response time and the longest run on one side."""
    facts = {row.pseudonym: row for row in report.quality.annotators}
    rows = []
    for voter in found.annotators:
        fact = facts[voter.annotator]
        seconds, run = fact.median_response_seconds, fact.longest_run
        rows.append(
            (
                voter.annotator,
                str(voter.votes),
                percent(voter.agreement),
                "–" if seconds is None else f"{seconds:.1f} s",
                str(run.length),
                "–" if run.probability is None else f"{run.probability:.3g}",
            )
        )
    head = ("Annotator", "Votes shared", "Agreement", "Median time", "Longest run", "P of such a run")
    caption = (
        "Annotators: agreement with the majority of the others, response time, and the longest run of votes for one "
        "side with its chance for an honest annotator"
    )
    return (Table(caption, head, tuple(rows), (1, 2, 3, 4, 5), is_long=True),) if rows else ()


def timed_voters(report: AgreementReport, found: Results) -> list[tuple[float, float, int]]:
    """Median response time in seconds, agreement with the others, and votes of each annotator who has all three."""
    seconds = {row.pseudonym: row.median_response_seconds for row in report.quality.annotators}
    return [
        (time, row.agreement, row.votes) for row in found.annotators if (time := seconds[row.annotator]) is not None
    ]


def voter_figures(report: AgreementReport, found: Results) -> tuple[Figure, ...]:
    """None where no annotator who shares comparisons was timed."""
    timed = timed_voters(report, found)
    if not timed:
        return ()
    step = mark_step(len(timed))
    each = "Each annotator's" if step == 1 else f"Of one annotator in {step}, the"
    caption = (
        f"{each} agreement with the majority of the others against the median response time, n = "
        f"{counted(len(timed), 'annotator')} whose votes were timed; larger dots stand for more votes. Quick and "
        "disagreeing hints at clicking through; nobody is excluded for it."
    )
    words = f"{counted(len(timed), 'annotator')}, medians from {min(timed)[0]:.1f} to {max(timed)[0]:.1f} seconds"
    return (Figure(VOTERS, "Agreement with the others and response time", caption, words),)
