"""Several metrics on the same votes, in sentences. Pure."""

from annotation.reports.findings.agreement.metrics import MetricAgreement, Metrics
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.numbers import metric_name, percent
from annotation.reports.printing.sentences import listed
from jobs.wording import counted

_MOST_METRICS = 5  # that one sentence names


def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return the agreement of each metric, the best first, and how many pairs of them are shown to differ."""
    found = results.metrics
    known = [row for row in found.metrics if row.on_common.value is not None]
    if not known:
        return ("No comparison is scored by every metric.",)
    best = sorted(known, key=lambda row: -(row.on_common.value or 0.0))
    said = (
        f"All metrics scored {counted(found.common_comparisons, 'comparison')}. There the agreement with the votes is "
    )
    said += f"{listed([_named(row) for row in best], most=_MOST_METRICS)}."
    return (f"{said} {_pairs(found, report.study.level)}",)


def _named(row: MetricAgreement) -> str:
    return f"{percent(row.on_common.value or 0.0)} for {metric_name(row.metric)}"


def _pairs(found: Metrics, level: float) -> str:
    shown = sum(pair.adjusted is not None and pair.adjusted < 1 - level for pair in found.pairs)
    are = "is" if shown == 1 else "are"
    return f"After Holm's correction, {shown} of {counted(len(found.pairs), 'pair')} of metrics {are} shown to differ."
