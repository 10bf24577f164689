"""The style of a printed page: its size, the running head, the notices, and the page's number. Pure."""

from annotation.reports.findings.results import AgreementReport

_MOST_LETTERS = 150  # of a running head or foot


def page_style(report: AgreementReport, *, paper: str = "A4") -> str:
    """Return the rule @page of a report. paper: a size that CSS knows, "A4" or "letter"."""
    head = _quoted(f"{report.study.name}: agreement report")
    notices = _quoted(" ".join(report.notices))
    small = "font: 7.5pt Inter, sans-serif; color: #444444;"
    return (
        f"@page {{ size: {paper}; margin: 18mm 16mm; @top-left {{ content: {head}; {small} }} "
        f"@bottom-left {{ content: {notices}; {small} }} "
        f'@bottom-right {{ content: counter(page) " of " counter(pages); {small} }} }}'
    )


def _quoted(text: str) -> str:
    """Return text as a string of CSS: each sign that is no letter or digit as its number."""
    short = text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"
    return '"' + "".join(sign if sign.isalnum() or sign == " " else f"\\{ord(sign):x} " for sign in short) + '"'
