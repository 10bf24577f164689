"""The report in a format of the reader's choice."""

from collections.abc import Callable
from dataclasses import dataclass

from annotation.reports.agreement_report import AgreementReport
from annotation.reports.formats.document import to_json
from annotation.reports.formats.flat_table import to_csv
from annotation.reports.formats.html import to_html
from annotation.reports.formats.latex import to_latex
from annotation.reports.formats.plain_text import to_text


@dataclass(frozen=True, slots=True)
class Format:
    """How a report becomes text, and what a file of it is called and declared as."""

    label: str
    render: Callable[[AgreementReport], str]
    suffix: str
    content_type: str


FORMATS = {
    "html": Format("HTML", to_html, "html", "text/html; charset=utf-8"),
    "json": Format("JSON", to_json, "json", "application/json"),
    "csv": Format("CSV", to_csv, "csv", "text/csv; charset=utf-8"),
    "latex": Format("LaTeX", to_latex, "tex", "application/x-tex; charset=utf-8"),
    "txt": Format("Text", to_text, "txt", "text/plain; charset=utf-8"),
}


def render(report: AgreementReport, report_format: str) -> str:
    """The report as text in one of FORMATS; equal reports give equal text. Raises KeyError for another format."""
    return FORMATS[report_format].render(report)
