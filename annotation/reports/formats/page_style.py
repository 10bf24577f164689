"""The style of a printed page: its size, the running head, the notices, and the page's number. Pure."""

from annotation.reports.findings.results import AgreementReport

_MOST_IN_HEAD, _MOST_IN_FOOT = 120, 220  # letters: one line, two lines


def page_style(report: AgreementReport, *, paper: str = "A4") -> str:
    """Return the rule @page of a report. paper: a size that CSS knows, "A4" or "letter"."""
    head = _quoted(_cut(f"{report.study.name}: agreement report", _MOST_IN_HEAD))
    notices = _quoted(_cut(" ".join(report.notices), _MOST_IN_FOOT))
    small = "font: 7.5pt Inter, sans-serif; color: #444444;"
    return (
        f"@page {{ size: {paper}; margin: 18mm 16mm; @top-left {{ content: {head}; {small} }} "
        f"@bottom-left {{ content: {notices}; width: 85%; {small} }} "
        f'@bottom-right {{ content: counter(page) " of " counter(pages); white-space: nowrap; {small} }} }}'
    )


def _quoted(text: str) -> str:
    """Return text as a string of CSS: each sign that is no letter or digit as its number."""
    return '"' + "".join(sign if sign.isalnum() or sign == " " else f"\\{ord(sign):x} " for sign in text) + '"'


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
