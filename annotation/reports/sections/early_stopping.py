"""What early stopping saved, and what it means for reliability. Pure."""

from annotation.reports.agreement_report import AgreementReport, Results
from annotation.reports.sections.blocks import Row
from annotation.reports.sections.numbers import count
from jobs.wording import counted


def saved_rows(report: AgreementReport) -> tuple[Row, ...]:
    """Votes that were not needed; none where the study did not stop early, or while it is sealed."""
    if report.results is None or report.results.early_stopping.first_votes is None:
        return ()
    saved, planned = report.results.early_stopping, report.counts.planned_comparisons * report.study.overlap
    remark = (
        f"of {planned} at the full overlap; {counted(saved.closed_comparisons, 'comparison')} closed once no vote to "
        "come could change their winner"
    )
    return (Row("Votes saved by early stopping", count(saved.saved_votes), remark=remark),)


def first_votes_note(found: Results) -> tuple[str, ...]:
    """Which votes say how well people agree, where not all do."""
    most = found.early_stopping.first_votes
    if most is None:
        return ()
    return (
        f"From the first {counted(most, 'vote')} of each comparison: the study stopped early where people agreed, so "
        "all votes together would make them look more of one mind than they are.",
    )
