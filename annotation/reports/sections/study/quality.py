"""How the votes were given, and the attention checks. Pure."""

from annotation.reports.findings.study.quality import AnnotatorFacts, Checks, Quality
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Row, Section, Table, cells, share_row
from annotation.reports.printing.numbers import count, percent, seconds
from annotation.voting.rules import QualityRule


def section(quality: Quality, facts: Facts) -> Section:
    """Sides, ties and response times, of all votes and by annotator."""
    votes = quality.median_votes_per_comparison
    median = "–" if votes is None else f"{votes:g}"
    rows = [
        share_row("Votes for the left side", quality.left_share, remark="all votes as if they were independent"),
        share_row("Tie votes", quality.tie_share),
        Row("Votes of a comparison, least", count(quality.least_votes_per_comparison)),
        Row("Votes of a comparison, median", median),
        Row("Votes of a comparison, most", count(quality.most_votes_per_comparison)),
        Row("Median response time", seconds(quality.median_response_seconds), n=quality.timed_votes),
    ]
    people = tuple(
        (
            row.pseudonym,
            row.kind,
            _state(row, facts),
            count(row.votes),
            count(row.excluded_votes),
            count(row.tie_votes),
            "–" if row.left_share.value is None else percent(row.left_share.value),
            seconds(row.median_response_seconds),
        )
        for row in quality.annotators
    )
    head = ("Annotator", "Kind", "State", "Votes", "Excluded", "Ties", "Left", "Median time")
    table = Table("Annotators, under pseudonyms in the order they came", head, people, tuple(range(3, 8)), is_long=True)
    return Section(
        "quality",
        "How the votes were given",
        rows=tuple(rows),
        tables=(table,) if people else (),
        is_part=not facts.study.is_sealed,
    )


def _state(row: AnnotatorFacts, facts: Facts) -> str:
    """Return the annotator's state: in a closed study nobody is active, and of imported votes no state is known."""
    if row.state != "active" or facts.study.is_interim:
        return row.state.replace("_", " ")
    return "–" if row.kind == "imported" else "not finished"


def checks_section(checks: Checks, _facts: Facts) -> Section | None:
    """The attention checks and the rules; None if the study has neither."""
    answered = [*(rung.right for rung in checks.ladder), checks.instructed, checks.repeats_same]
    if not checks.rules and not any(estimate.n for estimate in answered):
        return None
    rows = []
    if checks.instructed.n:
        rows.append(share_row("Instructed items followed", checks.instructed))
    if checks.repeats_same.n or checks.repeats_with_tie:
        tie = f"{checks.repeats_with_tie} more with a tie on one side only" if checks.repeats_with_tie else ""
        rows.append(share_row("Repeats that named the same model again", checks.repeats_same, remark=tie))
    text = (
        "Checks were mixed among the comparisons and looked like them. Their right answer is known by construction, "
        "and they do not count for the agreement. Intervals take votes as independent."
    )
    tables = tuple(table for table in (_ladder(checks), _rules(checks)) if table.rows)
    return Section("checks", "Attention checks", (text,), tuple(rows), tables)


def _ladder(checks: Checks) -> Table:
    rows = tuple(
        (
            f"{rung.replaced} of {rung.images}",
            *cells(rung.right, percent),
            *cells(rung.right_of_counted, percent),
            "yes" if rung.may_exclude else "no",
        )
        for rung in checks.ladder
    )
    head = ("Images replaced", "Whole set chosen", "n", "Without those excluded", "n", "May exclude")
    return Table("The ladder: a whole set beside one with images of other prompts", head, rows, (1, 2, 3, 4))


def _rules(checks: Checks) -> Table:
    rows = tuple(
        (
            QualityRule(rule.rule).words,
            f"{rule.probability:g}",
            str(rule.threshold),
            str(rule.annotators),
            str(rule.votes),
        )
        for rule in checks.rules
    )
    head = ("Rule", "Chance if attentive", "Broken from", "Annotators", "Votes excluded")
    return Table("The rules, and whom they excluded; one annotator may break several", head, rows, (1, 2, 3, 4))
