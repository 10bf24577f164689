"""The comparisons that a next study needs, for assumed differences. Pure."""

from annotation.reports.findings.study.planning import IN_MANIFEST, Planned, Planning
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Row, Section, Table, share_row
from annotation.reports.printing.numbers import count, percent, points
from annotation.reports.printing.phrases import constant_choice
from jobs.wording import counted

_ORIGINS = {IN_MANIFEST: "fixed in the study file"}  # the document keeps its words


def section(planning: Planning, facts: Facts) -> Section:
    """Print the comparisons that a next study needs for each assumed difference."""
    rival = constant_choice(facts.study)
    text = (
        "How many comparisons a next study needs to show, with a chance of "
        f"{percent(planning.target)}, that the metric agrees with people more often than {rival}. "
        f"The test is exact, of paired credits, two-sided at {1 - planning.level:.2g}. "
        "The difference is an assumption, never the one observed here: that one is as uncertain as its interval, whose "
        "two ends are planned for too. "
        "The votes of the next study are taken to be as many and as noisy as here; plan_study simulates others."
    )
    rows = (
        share_row(
            f"Metric and {'fixed order' if facts.study.are_several else 'constant choice'} differ in",
            planning.differing,
            remark=_with(planning),
        ),
    )
    return Section("planning", "Planning a next study", (text,), (*rows, *_shown(planning)), _tables(planning, rival))


def _with(planning: Planning) -> str:
    said = "planned with the upper end, or with the difference where that is larger"
    if planning.design_effect > 1:
        said += f"; comparisons in clusters like these, design effect {planning.design_effect:.2f}"
    return said if planning.differing.is_defined else ""


def _shown(planning: Planning) -> tuple[Row, ...]:
    if not planning.comparisons:
        return ()
    value = "none" if planning.shown_from is None else f"from {points(planning.shown_from)}"
    label = f"Differences shown with that chance by {counted(planning.comparisons, 'comparison')}"
    return (Row(label, value, n=planning.comparisons),)


def _tables(planning: Planning, rival: str) -> tuple[Table, ...]:
    if not planning.rows:
        return ()
    rows = tuple((points(row.difference), _ORIGINS.get(row.origin, row.origin), _needed(row)) for row in planning.rows)
    head = (f"Metric minus {rival}", "Where it comes from", "Comparisons")
    return (Table("Comparisons to plan for a difference", head, rows, (0, 2)),)


def _needed(row: Planned) -> str:
    return row.reason if row.comparisons is None else count(row.comparisons)
