"""Every excluded vote, and the headlines with and without. Pure."""

from annotation.reports.agreement_report import AgreementReport, ExcludedVote, Results
from annotation.reports.sections.blocks import Section, Table, cells
from annotation.reports.sections.numbers import coefficient, percent


def exclusions_section(report: AgreementReport) -> Section:
    """The list; and, where nothing is sealed, what difference the exclusions make."""
    paragraphs = ("Nobody is excluded for disagreeing with the metric or with the majority.",)
    withdrawn = _withdrawals(report)
    if not report.exclusions:
        return Section("exclusions", "Exclusions", (*paragraphs, "No vote was excluded."), tables=withdrawn)
    table = Table(
        "Every excluded vote with its reason",
        ("Comparison", "Prompt", "Annotator", "Reason"),
        tuple(_excluded(row) for row in report.exclusions),
        (0,),
        is_long=True,
    )
    compared = () if report.results is None else _with_and_without(report.results)
    return Section("exclusions", "Exclusions", paragraphs, tables=(*compared, table, *withdrawn))


def _withdrawals(report: AgreementReport) -> tuple[Table, ...]:
    """What stays of whoever withdrew; their votes were deleted and are counted nowhere."""
    rows = tuple((row.id, str(row.votes), f"{row.withdrawn_at:%Y-%m-%d %H:%M}") for row in report.withdrawals)
    head = ("Tombstone", "Votes deleted", "When (UTC)")
    caption = "Annotators who withdrew: a random id, how many votes were deleted, and when"
    return (Table(caption, head, rows, (1,), is_long=True),) if rows else ()


def _excluded(row: ExcludedVote) -> tuple[str, ...]:
    return str(row.position), row.prompt, row.annotator, row.reason


def _with_and_without(found: Results) -> tuple[Table, ...]:
    before, each = found.with_excluded_votes, found.leave_one_out.by_comparison
    if before is None or found.agreement.with_excluded_votes is None:
        return ()
    pairs = (
        ("Agreement, primary endpoint", found.agreement.headline, found.agreement.with_excluded_votes),
        ("Always naming one model", found.baseline.agreement, before.baseline),
        ("One annotator against the others", each.people, before.people),
        ("The metric in their place", each.metric, before.metric),
        ("Two annotators agree", found.reliability.pairwise_agreement, before.pairwise_agreement),
    )
    rows = [(label, *cells(now, percent), *cells(then, percent)) for label, now, then in pairs]
    alphas = (*cells(found.reliability.alpha, coefficient), *cells(before.alpha, coefficient))
    rows.append(("Krippendorff's alpha", *alphas))
    head = ("Headline", "As reported", "n", "Had no vote been excluded", "n")
    return (Table("The headlines with and without the exclusions", head, tuple(rows), (1, 2, 3, 4)),)
