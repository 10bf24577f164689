"""Attention checks: how fine people see, whether they repeat themselves, what each rule excluded. Pure."""

from annotation.reports.agreement_report import AgreementReport
from annotation.reports.sections.blocks import Section, Table, cells, share_row
from annotation.reports.sections.numbers import percent
from annotation.voting.rules import QualityRule


def checks_section(report: AgreementReport) -> tuple[Section, ...]:
    """None for a study without checks and rules."""
    found = report.quality.checks
    answered = [*(rung.right for rung in found.ladder), found.instructed, found.repeats_same]
    if not found.rules and not any(estimate.n for estimate in answered):
        return ()
    rows = []
    if found.instructed.n:
        rows.append(share_row("Instructed items followed", found.instructed))
    if found.repeats_same.n or found.repeats_with_tie:
        tie = f"{found.repeats_with_tie} more with a tie on one side only" if found.repeats_with_tie else ""
        rows.append(share_row("Repeats that named the same model again", found.repeats_same, remark=tie))
    text = (
        "Checks stood among the comparisons and looked like them; their order is known by construction, and they enter "
        "no agreement. Intervals take votes as independent."
    )
    tables = tuple(table for table in (_ladder(report), _rules(report)) if table.rows)
    return (Section("checks", "Attention checks", (text,), tuple(rows), tables),)


def _ladder(report: AgreementReport) -> Table:
    rows = tuple(
        (
            f"{rung.replaced} of {rung.images}",
            *cells(rung.right, percent),
            *cells(rung.right_of_counted, percent),
            "yes" if rung.may_exclude else "no",
        )
        for rung in report.quality.checks.ladder
    )
    head = ("Images replaced", "Whole set chosen", "n", "Without those excluded", "n", "May exclude")
    return Table("The ladder: a whole set beside one with images of other prompts", head, rows, (1, 2, 3, 4))


def _rules(report: AgreementReport) -> Table:
    rows = tuple(
        (
            QualityRule(rule.rule).words,
            f"{rule.probability:g}",
            str(rule.threshold),
            str(rule.annotators),
            str(rule.votes),
        )
        for rule in report.quality.checks.rules
    )
    head = ("Rule", "Chance if attentive", "Broken from", "Annotators", "Votes excluded")
    return Table("The rules, and whom they excluded; one annotator may break several", head, rows, (1, 2, 3, 4))
