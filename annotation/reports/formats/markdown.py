"""The verdict as Markdown, for a README or a model card."""

import re

from annotation.reports.findings.results import AgreementReport

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~$])")


def escape(text: str) -> str:
    """Return text that Markdown shows unchanged, on one line.

    >>> escape("a_b | *c*")
    'a\\\\_b \\\\| \\\\*c\\\\*'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def verdict_in_markdown(report: AgreementReport) -> str:
    """Return the notices as a quotation, and each line of the verdict as an item of a list."""
    notices = [f"> {escape(notice)}\n" for notice in report.notices]
    items = [f"- {_bold(line.sentence, line.kind)} {escape(line.numbers)}".rstrip() for line in report.verdict]
    return "\n".join([*notices, *items]) + "\n"


def _bold(sentence: str, kind: str) -> str:
    return escape(sentence) if kind in ("doubt", "votes") else f"**{escape(sentence)}**"
