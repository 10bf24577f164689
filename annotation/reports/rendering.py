"""The report in a format of the reader's choice."""

from collections.abc import Callable

from annotation.reports.agreement_report import AgreementReport
from annotation.reports.document import to_json
from annotation.reports.flat_table import to_csv
from annotation.reports.html import to_html
from annotation.reports.latex import to_latex
from annotation.reports.plain_text import to_text

RENDERERS: dict[str, Callable[[AgreementReport], str]] = {
    "html": to_html,
    "json": to_json,
    "csv": to_csv,
    "latex": to_latex,
    "txt": to_text,
}
FORMATS = tuple(RENDERERS)


def render(report: AgreementReport, report_format: str) -> str:
    """The report as text in one of FORMATS; equal reports give equal text. Raises KeyError for another format."""
    return RENDERERS[report_format](report)
