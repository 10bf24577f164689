"""The report's figures."""

from annotation.reports.agreement_report import AgreementReport
from annotation.reports.presentation import Figure


def figure_list(report: AgreementReport) -> tuple[Figure, ...]:
    """The figures of the report's scores."""
    return ()
