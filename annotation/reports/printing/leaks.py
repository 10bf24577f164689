"""What a metric has seen of the study that judges it, in words. Pure."""

from annotation.reports.findings.study_facts import StudyFacts
from annotation.reports.printing.blocks import Table
from annotation.reports.printing.numbers import metric_name
from annotation.studies.nearest_names import did_you_mean


def leaks_of(study: StudyFacts, metric: str) -> tuple[str, ...]:
    """Return what a metric's sources spoil, as clauses; empty if the manifest declares none."""
    rows = [row for row in study.leaks if row.metric == metric]
    left_out = sorted({row.pseudonym for row in rows if row.pseudonym})
    unknown = [f"“{row.name}”" for row in rows if row.name and not row.pseudonym]
    return tuple(
        clause
        for clause, holds in (
            (f"the metric comes from {', '.join(left_out)}, whose votes are left out", left_out),
            (
                f"the metric comes from {', '.join(unknown)}, a name that no annotator has: nobody was left out for it",
                unknown,
            ),
            (
                "the metric was tuned on these prompts, so its agreement on other prompts may be lower",
                any(row.is_of_prompts for row in rows),
            ),
        )
        if holds
    )


def leaks_table(study: StudyFacts) -> tuple[Table, ...]:
    """Return the declared sources of every metric with what they spoil; no table without any."""
    known = sorted({study.metric, *study.other_metrics})
    metrics = dict.fromkeys(row.metric for row in study.leaks)
    rows = tuple(
        (metric_name(metric), "; ".join(leaks_of(study, metric)), _scores(metric, known)) for metric in metrics
    )
    caption = "What metrics have seen of this study, as its manifest declares (leaks_from)"
    return (Table(caption, ("Metric", "Source, and what it spoils", "Scores"), rows),) if rows else ()


def _scores(metric: str, known: list[str]) -> str:
    return "here" if metric in known else f"none by this name{did_you_mean(metric, known)}"
