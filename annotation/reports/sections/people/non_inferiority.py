"""Whether the metric agrees with people as often as one more person, but for the manifest's margin. Pure."""

from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Row, Section, points_row
from annotation.reports.printing.numbers import metric_name
from annotation.reports.printing.phrases import margin_in_points, person_verdict
from scoring.statistics.people.non_inferiority import NonInferiority


def section(found: NonInferiority, facts: Facts) -> Section:
    """The verdict, and the difference that it rests on."""
    rows = (
        Row(
            "Verdict",
            found.verdict,
            n=found.difference.n,
            remark=person_verdict(found, metric_name(facts.study.metric)),
        ),
        points_row("Metric minus annotator", found.difference),
    )
    text = (
        "Whether a new annotator on a new prompt agrees with the metric as often as with another annotator, but for a "
        f"margin of {margin_in_points(found.margin)}, which the study file fixed. Each end of the interval is a "
        f"one-sided bound at {50 * (1 + found.difference.level):g} %: shown if the lower end is above minus the "
        "margin, shown worse if the upper end is below it, else undecided."
    )
    return Section("non-inferiority", "The metric in the place of a person", (text,), rows, is_part=True)
