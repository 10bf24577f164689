"""The verdict of a report in Markdown and in LaTeX, as a part of a document and for copying."""

import re

from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.latex_escape import escape as escape_latex

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~$])")


def copies(report: AgreementReport) -> tuple[tuple[str, str, str], ...]:
    """Return the verdict for copying: a key, what it is called, and the text, which the notices begin."""
    notices = "".join(f"{notice}\n" for notice in report.notices)
    latex = "".join(f"{escape_latex(notice)}\n\n" for notice in report.notices) + verdict_in_latex(report)
    return (
        ("text", "text", notices + report.claim),
        ("markdown", "Markdown", verdict_in_markdown(report)),
        ("latex", "LaTeX", latex),
    )


def verdict_in_markdown(report: AgreementReport) -> str:
    """Return the notices as a quotation, and each line of the verdict as an item of a list."""
    notices = [f"> {escape_markdown(notice)}\n" for notice in report.notices]
    items = [f"- {_bold(line.sentence, line.kind)} {escape_markdown(line.numbers)}".rstrip() for line in report.verdict]
    return "\n".join([*notices, *(items or [escape_markdown(report.claim)])]) + "\n"


def _bold(sentence: str, kind: str) -> str:
    return escape_markdown(sentence) if kind in ("doubt", "votes") else f"**{escape_markdown(sentence)}**"


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows unchanged, on one line.

    >>> escape_markdown("a_b | *c*")
    'a\\\\_b \\\\| \\\\*c\\\\*'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def verdict_in_latex(report: AgreementReport) -> str:
    """Return the lines of the verdict as a list; of a report without them the claim as a paragraph."""
    if not report.verdict:
        return escape_latex(report.claim) + "\n"
    items = (
        rf"\item \textbf{{{escape_latex(line.sentence)}}} {escape_latex(line.numbers)}".rstrip()
        for line in report.verdict
    )
    return "\n".join((r"\begin{itemize}", *items, r"\end{itemize}")) + "\n"
