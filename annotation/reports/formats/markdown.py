"""The verdict and the results in sentences as Markdown, for a README or a model card."""

import re

from annotation.reports.findings.results import AgreementReport
from annotation.reports.printing.blocks import Chapter
from annotation.reports.sections.claim import numbers
from annotation.reports.sections.contents import chapters

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~$])")


def to_markdown(report: AgreementReport) -> str:
    """Return the verdict, its numbers as a table, and the paragraphs of each chapter."""
    title = f"# {escape(report.study.name)}: agreement report\n"
    results = "\n".join(_chapter(chapter) for chapter in chapters(report) if chapter.paragraphs)
    return "\n".join(part for part in (title, verdict_in_markdown(report), _table(report), results) if part)


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
    return "\n".join([*notices, *(items or [escape(report.claim)])]) + "\n"


def _bold(sentence: str, kind: str) -> str:
    return escape(sentence) if kind in ("doubt", "votes") else f"**{escape(sentence)}**"


def _table(report: AgreementReport) -> str:
    """The numbers of the claim's figure."""
    if report.results is None:
        return ""
    rows = [row for row, _ in numbers(report, report.results)]
    cells = [(row.label, row.value, row.interval, str(row.n), row.method or row.remark) for row in rows]
    lines = ("| | Value | Interval | n | Method |", "| --- | ---: | ---: | ---: | --- |")
    return "\n".join((*lines, *(f"| {' | '.join(map(escape, row))} |" for row in cells))) + "\n"


def _chapter(chapter: Chapter) -> str:
    return "\n\n".join((f"## {escape(chapter.title)}", *map(escape, chapter.paragraphs))) + "\n"
