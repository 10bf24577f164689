"""The report as HTML: the context of a page, and one self-contained file without any outside address."""

import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from annotation.reports.figures.draw import draw
from annotation.reports.figures.svg import speaking
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.forest import forest
from annotation.reports.formats.verdict import copies
from annotation.reports.printing.blocks import Chapter, Figure, Table
from annotation.reports.printing.drawn_numbers import MOST_SHOWN, disagreements
from annotation.reports.printing.numbers import count
from annotation.reports.sections.contents import chapters
from annotation.reports.sections.disagreements import in_words

STYLESHEETS = ("tokens.css", "pages.css", "reports/report.css", "reports/verdict.css", "reports/chapters.css")
MOST_BYTES = 15_000_000  # of the one file
MOST_ROWS = 500  # of a table in the file: more is read in the explorer or by a program
ROWS_ON_PAGE = 100  # of a table on the web, where the explorer is: folded rows delay the first paint, too
MOST_LETTERS = 500  # of a cell
MOST_SPEAKING = 150  # marks of the map of disagreements that show their comparison in words
_FILE = "reports/file.html"
_FONT = re.compile(r'url\("\.\./(fonts/[^"]+)"\)')
_WORDS_BYTES = 2_000  # of the text that introduces the contact sheets
_MOST_IN_HEAD, _MOST_IN_FOOT = 120, 220  # letters: one line, two lines


def page_context(
    report: AgreementReport, *, drawing: Callable[[Figure], SafeString], most_rows: int = ROWS_ON_PAGE
) -> dict[str, Any]:
    """Return the context of reports/body.html.

    drawing: returns a figure's markup, an address or the SVG itself. most_rows: of a table.
    """

    def drawn(figure: Figure) -> dict[str, Any]:
        return {"figure": figure, "drawing": drawing(figure)}

    def printed(chapter: Chapter) -> dict[str, Any]:
        shown = chapter.figure
        behind = [
            {
                "section": section,
                "tables": [_cut(table, most_rows) for table in section.tables],
                "figures": [drawn(figure) for figure in section.figures if figure != shown],
            }
            for section in chapter.sections
        ]
        return {"chapter": chapter, "figure": drawn(shown) if shown else None, "parts": behind}

    return {
        "report": report,
        "chapters": [printed(chapter) for chapter in chapters(report)],
        "examples": examples(report),
        "forest": forest(report, report.results) if report.results else None,
        "copies": copies(report),
    }


def examples(report: AgreementReport, *, most: int = MOST_SHOWN) -> list[dict[str, Any]]:
    """Return the surest disagreements: the number of the comparison, and what is said of it."""
    if report.results is None:
        return []
    found = disagreements(report.results.comparisons, report.results.image_noise)[:most]
    return [_said(one.row, report, seed_errors=one.seed_errors) for one in found]


def points(report: AgreementReport, *, most: int) -> list[dict[str, Any]]:
    """Return the comparisons that figures link to: the surest disagreements, then the others in their order.

    Of several models only the disagreements: no figure shows both scores of each comparison.
    """
    found = examples(report, most=most)
    if report.results is None or report.study.are_several:
        return found
    numbers = {one["number"] for one in found}
    others = (row for row in report.results.comparisons if row.metric_winner and row.position not in numbers)
    return found + [_said(row, report) for row in islice(others, most - len(found))]


def _said(row: ComparisonRow, report: AgreementReport, *, seed_errors: float | None = None) -> dict[str, Any]:
    return {"number": row.position, "said": in_words(row, report.study, seed_errors=seed_errors)}


def _cut(table: Table, most_rows: int) -> Table:
    """Shorten a table for a page; its caption says how many rows are shown, and which files hold them all."""
    rows = tuple(tuple(map(_shortened, row)) for row in table.rows[:most_rows])
    if len(table.rows) <= most_rows:
        return replace(table, rows=rows)
    said = f"{table.caption}: the first {count(most_rows)} of {count(len(table.rows))}; the JSON and CSV hold them all"
    return replace(table, caption=said, rows=rows)


def _shortened(cell: str) -> str:
    return cell if len(cell) <= MOST_LETTERS else f"{cell[: MOST_LETTERS - 1]}…"


def to_html(report: AgreementReport, *, sheets: Callable[[int], Any] | None = None, paper: str = "A4") -> str:
    """Return one file that holds everything it shows: styles, figures, tables, and contact sheets if there are any.

    sheets: returns contact sheets of at most the given number of bytes; with them the file takes at most MOST_BYTES.
    paper: the size of its pages in print.
    """

    def inline(figure: Figure) -> SafeString:
        svg = draw(report, figure.name)
        if figure.name == "disagreements":
            svg = _speaking_map(svg, report)
        role = "group" if "<title>" in svg else "img"  # an image has nothing that the keyboard reaches
        label = f'<svg role="{role}" aria-label="{escape(f"{figure.title}: {figure.words}")}"'
        return mark_safe(svg.replace("<svg", label, 1))  # noqa: S308 - escaped by matplotlib and below

    rules = (*map(_stylesheet, STYLESHEETS), page_style(report, paper=paper))
    css = mark_safe("\n".join(rules))  # noqa: S308 - our own files, and a name whose signs are escaped
    context = page_context(report, drawing=inline, most_rows=MOST_ROWS) | {"css": css}
    bare = render_to_string(_FILE, context)
    if sheets is None:
        return bare
    made = sheets(MOST_BYTES - len(bare.encode()) - _WORDS_BYTES)
    by_number = {one.row.position: one.sheets for one in made.comparisons}
    shown = [example | {"sheets": by_number.get(example["number"], ())} for example in context["examples"]]
    return render_to_string(_FILE, context | {"contact_sheets": made, "examples": shown})


def _speaking_map(svg: str, report: AgreementReport) -> str:
    """Return the map of disagreements whose marks say which comparison they are."""
    for one in points(report, most=MOST_SPEAKING):
        mark = f"disagreements-comparison-{one['number']}"
        svg = svg.replace(f'<g id="{mark}">', speaking(mark, escape(one["said"])))
    return svg


def _stylesheet(name: str) -> str:
    """Return a style sheet with its typefaces inside."""
    css = _static(name).decode()
    return _FONT.sub(lambda found: f'url("data:font/woff2;base64,{b64encode(_static(found[1])).decode()}")', css)


def _static(name: str) -> bytes:
    path = finders.find(name)
    if path is None:
        raise FileNotFoundError(f"the static file {name} is missing")
    return Path(path).read_bytes()


# --- the style of a printed page ----------------------------------------------------------------
def page_style(report: AgreementReport, *, paper: str = "A4") -> str:
    """Return the rule @page of a report. paper: a size that CSS knows, "A4" or "letter"."""
    head = _quoted(_first_letters(f"{report.study.name}: agreement report", _MOST_IN_HEAD))
    notices = _quoted(_first_letters(" ".join(report.notices), _MOST_IN_FOOT))
    small = "font: 7.5pt Inter, sans-serif; color: #444444;"
    return (
        f"@page {{ size: {paper}; margin: 18mm 16mm; @top-left {{ content: {head}; {small} }} "
        f"@bottom-left {{ content: {notices}; width: 85%; {small} }} "
        f'@bottom-right {{ content: counter(page) " of " counter(pages); white-space: nowrap; {small} }} }}'
    )


def _quoted(text: str) -> str:
    """Return text as a string of CSS: each sign that is no letter or digit as its number."""
    return '"' + "".join(sign if sign.isalnum() or sign == " " else f"\\{ord(sign):x} " for sign in text) + '"'


def _first_letters(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
