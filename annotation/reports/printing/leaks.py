"""What a metric has seen of the study that judges it, in words. Pure."""

from annotation.reports.data.study_data import LeakRow
from annotation.reports.findings.study.study_facts import StudyFacts
from annotation.reports.printing.blocks import Table
from annotation.reports.printing.numbers import metric_name
from annotation.studies.nearest_names import did_you_mean


def leaks_of_metric(study: StudyFacts) -> tuple[str, ...]:
    """Return what the sources of the reported metric spoil, as clauses; empty if the manifest declares none."""
    rows = [row for row in study.leaks if row.metric == study.metric]
    left_out = sorted({row.pseudonym for row in rows if row.pseudonym})
    unknown = [f"“{row.name}”" for row in rows if row.name and not row.pseudonym]
    clauses = []
    if left_out:
        clauses.append(f"the metric comes from {', '.join(left_out)}, whose votes are left out")
    if unknown:
        names = "names" if len(unknown) > 1 else "a name"
        clauses.append(f"the metric comes from {', '.join(unknown)}, {names} that no annotator has: nobody is left out")
    if any(row.is_of_prompts for row in rows):
        clauses.append("the metric was tuned on these prompts, so its agreement on other prompts may be lower")
    return tuple(clauses)


def leaks_table(study: StudyFacts) -> tuple[Table, ...]:
    """Return the declared sources of every metric with what follows from them; no table without any."""
    rows = tuple((metric_name(row.metric), _source(row), _effect(row, study)) for row in study.leaks)
    caption = "What metrics have seen of this study, as its study file declares (leaks_from)"
    return (Table(caption, ("Metric", "Has seen", "What follows"), rows),) if rows else ()


def _source(row: LeakRow) -> str:
    if row.is_of_prompts:
        return "the prompts"
    return f"the votes of {row.pseudonym}" if row.pseudonym else f"the votes of “{row.name}”"


def _effect(row: LeakRow, study: StudyFacts) -> str:
    known = sorted({study.metric, *study.other_metrics})
    if row.metric not in known:
        return f"nothing: no scores by this metric{did_you_mean(row.metric, known)}"
    if row.is_of_prompts:
        return "its agreement on other prompts may be lower"
    if not row.pseudonym:
        return "nobody is left out: no annotator has this name"
    return "these votes are excluded" if row.metric == study.metric else "metrics are compared without these votes"
