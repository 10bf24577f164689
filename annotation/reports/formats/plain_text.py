"""The report as plain text, and its verdict and sentences as Markdown, for a README or a model card."""

import textwrap

from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.verdict import escape_markdown, verdict_in_markdown
from annotation.reports.printing.blocks import Chapter, Row, Section, Table
from annotation.reports.printing.drawn_numbers import claim_numbers
from annotation.reports.sections.contents import chapters

WIDTH = 100


def to_text(report: AgreementReport) -> str:
    """Return the notices, then the verdict, then every section."""
    title = f"{report.study.name}: agreement report"
    lines = [title, "=" * len(title), ""]
    for notice in report.notices:
        lines += [f"! {notice}", ""]
    for said in [line.text for line in report.verdict] or [report.claim]:
        lines += textwrap.wrap(said, WIDTH, initial_indent="* ", subsequent_indent="  ")
    lines += [""]
    for chapter in chapters(report):
        lines += _chapter(chapter)
    return "\n".join(lines).rstrip() + "\n"


def _chapter(chapter: Chapter) -> list[str]:
    lines = [chapter.title, "=" * len(chapter.title)]
    for paragraph in chapter.paragraphs:
        lines += [*textwrap.wrap(paragraph, WIDTH), ""]
    return [*lines, *(line for section in chapter.sections for line in _section(section))]


def _section(section: Section) -> list[str]:
    lines = [section.title, "-" * len(section.title)]
    for paragraph in section.paragraphs:
        lines += textwrap.wrap(paragraph, WIDTH)
    lines += _rows(section.rows)
    for table in section.tables:
        lines += ["", *_table(table)]
    return [*lines, ""]


def _rows(rows: tuple[Row, ...]) -> list[str]:
    width = max((len(row.label) for row in rows), default=0)
    lines = []
    for row in rows:
        n = "" if row.n is None else f"n = {row.n}"
        cells = (f"{row.value:>9}" if row.interval or row.n is not None else row.value, row.interval, n, row.method)
        lines.append(f"  {row.label:<{width}}  " + "  ".join(cell for cell in cells if cell))
        lines += textwrap.wrap(row.remark, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines


def _table(table: Table) -> list[str]:
    cells = (table.head, *table.rows)
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.head))]

    def line(row: tuple[str, ...]) -> str:
        padded = (
            cell.rjust(width) if column in table.numeric else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return ("  " + "  ".join(padded)).rstrip()

    return [table.caption, line(table.head), "  " + "  ".join("-" * width for width in widths), *map(line, table.rows)]


def to_markdown(report: AgreementReport) -> str:
    """Return the verdict, its numbers as a table, and the paragraphs of each chapter."""
    title = f"# {escape_markdown(report.study.name)}: agreement report\n"
    results = "\n".join(_markdown_chapter(chapter) for chapter in chapters(report) if chapter.paragraphs)
    return "\n".join(part for part in (title, verdict_in_markdown(report), _markdown_table(report), results) if part)


def _markdown_table(report: AgreementReport) -> str:
    """The numbers of the claim's figure."""
    if report.results is None:
        return ""
    rows = [row for row, _ in claim_numbers(report, report.results.claimed)]
    cells = [(row.label, row.value, row.interval, str(row.n), row.method or row.remark) for row in rows]
    lines = ("| | Value | Interval | n | Method |", "| --- | ---: | ---: | ---: | --- |")
    return "\n".join((*lines, *(f"| {' | '.join(map(escape_markdown, row))} |" for row in cells))) + "\n"


def _markdown_chapter(chapter: Chapter) -> str:
    return "\n\n".join((f"## {escape_markdown(chapter.title)}", *map(escape_markdown, chapter.paragraphs))) + "\n"
