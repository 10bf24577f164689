"""Every excluded vote, and the headlines with and without. Pure."""

from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.people.people import People
from annotation.reports.findings.study.exclusions import Headlines
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Section, Table, cells
from annotation.reports.printing.numbers import coefficient, minute, percent
from annotation.reports.printing.phrases import capitalised, constant_choice
from scoring.statistics.people.reliability import Reliability

Compared = tuple[Agreement, People, Reliability, Headlines]  # as reported, and had no vote been excluded


def section(compared: Compared | None, facts: Facts) -> Section:
    """Every excluded vote and every withdrawal, and the headlines with and without the exclusions. compared: None while
    the study is sealed, or if no vote was excluded."""
    text, withdrawn = (
        "Nobody is excluded for disagreeing with the metric or with other annotators.",
        _withdrawals(facts),
    )
    if not facts.exclusions:
        return Section("exclusions", "Exclusions", (text, "No vote was excluded."), tables=withdrawn)
    table = Table(
        "Every excluded vote with its reason",
        ("Comparison", "Prompt", "Annotator", "Reason"),
        tuple((str(row.position), row.prompt, row.annotator, row.reason) for row in facts.exclusions),
        (0,),
        is_long=True,
    )
    headlines = _with_and_without(*compared, capitalised(constant_choice(facts.study))) if compared else ()
    return Section("exclusions", "Exclusions", (text,), tables=(*headlines, table, *withdrawn))


def _withdrawals(facts: Facts) -> tuple[Table, ...]:
    """The traces of annotators who withdrew; their votes were deleted and are counted nowhere."""
    rows = tuple((row.id, str(row.votes), minute(row.withdrawn_at)) for row in facts.withdrawals)
    head = ("Tombstone", "Votes deleted", "When (UTC)")
    caption = "Annotators who withdrew: a random id, how many votes were deleted, and when"
    return (Table(caption, head, rows, (1,), is_long=True),) if rows else ()


def _with_and_without(
    agreement: Agreement, people: People, reliability: Reliability, before: Headlines, constant: str
) -> tuple[Table, ...]:
    each = people.leave_one_out.by_comparison
    if agreement.with_excluded_votes is None:
        return ()
    pairs = (
        ("Agreement, primary endpoint", agreement.headline, agreement.with_excluded_votes),
        (constant, agreement.baseline.agreement, before.baseline),
        ("One annotator against the others", each.people, before.people),
        ("The metric in their place", each.metric, before.metric),
        ("Two annotators agree", reliability.pairwise_agreement, before.pairwise_agreement),
    )
    rows = [(label, *cells(now, percent), *cells(then, percent)) for label, now, then in pairs]
    alphas = (*cells(reliability.alpha, coefficient), *cells(before.alpha, coefficient))
    rows.append(("Krippendorff's alpha", *alphas))
    head = ("Headline", "As reported", "n", "Had no vote been excluded", "n")
    return (Table("The headlines with and without the exclusions", head, tuple(rows), (1, 2, 3, 4)),)
