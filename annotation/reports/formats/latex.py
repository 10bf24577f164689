"""The report as a LaTeX document: booktabs, figures, and methods that cite references.bib; it compiles as it is."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

from annotation.reports.figures.draw import drawn, results_to_draw
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.latex_escape import escape, unbroken
from annotation.reports.formats.verdict import verdict_in_latex
from annotation.reports.printing.blocks import Chapter, Figure, Row, Section, Table
from annotation.reports.printing.references import authors_and_year, bibliography, cited_keys, pieces, reference
from annotation.reports.progress import Progress, silent
from annotation.reports.sections.contents import chapters, claim_figure, figures_of
from jobs.whole_files import write_all_or_refuse

FIGURES = "figures"  # the folder beside the document
_MOST_ROWS = 25  # of a table that stays on one page
_LETTER, _BETWEEN, _WIDTH = 4.1, 7.0, 480.0  # in points: a letter of a table, the space of a column, a page
_LEAST_LETTERS, _MOST_LETTERS = 9, 60  # of a column whose head, or whose cells, break into lines
_PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
% Without these fonts TeX draws its own as bitmaps.
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[a4paper, margin=2cm]{geometry}
\usepackage{booktabs, longtable, array, float, graphicx}
\usepackage[font=footnotesize, labelfont=bf, justification=raggedright, singlelinecheck=false]{caption}
\usepackage[round]{natbib}
\let\cite\citep
% Characters that the fonts lack would stop the run: a raised ? is printed, and the file still holds them.
\makeatletter
\def\UTFviii@undefined@err#1{\textsuperscript{?}}
\makeatother
\setlength{\tabcolsep}{3.5pt}
% A title stays with the first lines of what follows.
\newcommand{\withroom}{\par\ifdim\pagetotal>\dimexpr\pagegoal-9\baselineskip\relax\newpage\fi}
\newcolumntype{P}[1]{>{\raggedright\arraybackslash}p{#1}}
\begin{document}
\footnotesize\raggedright
"""


def to_latex(report: AgreementReport) -> str:
    """Return a document that compiles as it is; it begins with the verdict, and each section has its tables.

    It shows the figures whose files are in the folder FIGURES beside it, and leaves out the others.
    """
    parts = [_PREAMBLE, rf"{{\Large\bfseries {escape(report.study.name)}: agreement report\par}}\medskip", ""]
    parts += [rf"\textbf{{{escape(notice)}}}\par\medskip" for notice in report.notices]
    parts += ["% The verdict.", verdict_in_latex(report)]
    parts += _figure(claim_figure(report, report.results)) if report.results else []
    for chapter in chapters(report):
        parts += ["", *_chapter(chapter)]
    return "\n".join([*parts, r"\end{document}"]) + "\n"


def write_latex(report: AgreementReport, folder: Path, *, progress: Progress = silent) -> list[Path]:
    """Write report.tex, the figures that it shows as PDF, and references.bib, all or none; return the paths.

    Raises Refused while the study is sealed.
    """
    results, figures = results_to_draw(report), list(figures_of(report))
    files = {folder / "report.tex": to_latex(report).encode(), folder / "references.bib": bibliography().encode()}
    for done, figure in enumerate(figures):
        progress(done / len(figures), "figures")
        files[folder / FIGURES / f"{figure.name}.pdf"] = drawn(report, results, figure.name, "pdf")
    return write_all_or_refuse(files)


def _chapter(chapter: Chapter) -> list[str]:
    lines = [r"\withroom", rf"\section*{{{escape(chapter.title)}}}"]
    if chapter.key == "methods":
        return [*lines, *map(_with_citations, chapter.paragraphs), *_bibliography(cited_keys(chapter.paragraphs))]
    lines += [escape(paragraph) + "\n" for paragraph in chapter.paragraphs]
    lines += _figure(chapter.figure) if chapter.figure else []
    for section in chapter.sections:
        lines += _section(section)
        lines += [line for figure in section.figures if figure != chapter.figure for line in _figure(figure)]
    return lines


def _figure(figure: Figure) -> list[str]:
    file = f"{FIGURES}/{figure.name}.pdf"
    return [
        rf"\IfFileExists{{{file}}}{{%",
        r"\begin{figure}[H]",  # floats among long tables make pages too high
        rf"\includegraphics{{{file}}}",
        rf"\caption{{{escape(figure.title)}. {escape(figure.caption)}}}",
        rf"\label{{fig:{figure.name}}}",
        r"\end{figure}}{}",
        "",
    ]


# --- methods ------------------------------------------------------------------------------------
def _with_citations(paragraph: str) -> str:
    parts = (escape(part) if isinstance(part, str) else rf"\cite{{{','.join(part)}}}" for part in pieces(paragraph))
    return "".join(parts) + "\n"


def _bibliography(keys: Sequence[str]) -> list[str]:
    """Return the references as the document's own list, so that no second program has to run."""
    entries = [line for key in keys for line in (_entry(key), escape(reference(key)))]
    return ["% The keys are those of references.bib.", r"\begin{thebibliography}{}", *entries, r"\end{thebibliography}"]


def _entry(key: str) -> str:
    authors, year = map(escape, authors_and_year(key))
    return rf"\bibitem[{{{authors}}}({year})]{{{key}}}"


# --- sections -----------------------------------------------------------------------------------
def _section(section: Section) -> list[str]:
    level = "subsubsection" if section.is_part else "subsection"
    lines = ["", r"\withroom", rf"\{level}*{{{escape(section.title)}}}"]
    lines += [escape(paragraph) + "\n" for paragraph in section.paragraphs]
    if section.is_numeric:
        head = _line(("Quantity", "Value", "Interval", "n and method"))
        lines += _tabular("P{5.2cm}rlP{5.6cm}", head, _numbers(section), is_long=True)
    elif section.rows:
        facts = [(row.label, _with(row.value, row.remark)) for row in section.rows]
        lines += _tabular("lP{10cm}", "", facts, is_long=True)
    for place, table in enumerate(section.tables, start=1):
        lines += _table(table, label=f"tab:{section.key}-{place}")
    return lines


def _numbers(section: Section) -> list[tuple[str, ...]]:
    return [(_with(row.label, row.remark), row.value, row.interval, _size(row)) for row in section.rows]


def _size(row: Row) -> str:
    return ", ".join(part for part in ("" if row.n is None else f"n = {row.n}", row.method) if part)


def _with(text: str, remark: str) -> str:
    return f"{text} ({remark})" if remark and text else remark or text


def _table(table: Table, *, label: str) -> list[str]:
    """Return a table with its caption; if it is wider than the page, its heads break, and then its widest columns."""
    kinds = ["r" if column in table.numeric else "l" for column in range(len(table.head))]
    wide = _letters(table)
    letters = _narrowed(_narrowed(wide, _text_widths(table)), dict.fromkeys(range(len(wide)), _LEAST_LETTERS))
    kinds = [
        kind if narrow == whole else f"P{{{_LETTER * narrow:.0f}pt}}"
        for kind, narrow, whole in zip(kinds, letters, wide, strict=True)
    ]
    head = " & ".join(map(_head, table.head, letters, kinds)) + r" \\"
    caption = rf"\caption{{{escape(table.caption)}}}\label{{{label}}}"
    return _tabular("".join(kinds), head, table.rows, caption=caption, is_long=table.is_long)


def _text_widths(table: Table) -> dict[int, int]:
    """Return the letters that each column without numbers needs at least: those of its longest word."""
    columns = (column for column in range(len(table.head)) if column not in table.numeric)
    return {
        column: max((unbroken(word) for row in table.rows for word in row[column].split()), default=_LEAST_LETTERS)
        for column in columns
    }


def _narrowed(letters: Sequence[int], least: dict[int, int]) -> list[int]:
    """Return the widths after the widest columns were narrowed, one letter at a time, until all fit on the page.

    least: the letters of each column that may break.
    """
    narrow = list(letters)
    while _missing(narrow) > 0:
        breaking = [column for column, width in least.items() if narrow[column] > width]
        if not breaking:
            break
        widest = max(breaking, key=narrow.__getitem__)
        narrow[widest] = min(narrow[widest] - 1, max(_MOST_LETTERS, least[widest]))
    return narrow


def _missing(letters: Sequence[int]) -> int:
    """Return how many letters do not fit beside each other on a page."""
    return ceil((sum(_LETTER * count + _BETWEEN for count in letters) - _WIDTH) / _LETTER)


def _letters(table: Table) -> list[int]:
    """Return the width of each column in letters: of its cells and its head, which breaks into words if it must."""
    longest = [max((len(row[column]) for row in table.rows), default=0) for column in range(len(table.head))]
    whole = [max(cell, len(name)) for cell, name in zip(longest, table.head, strict=True)]
    if _missing(whole) <= 0:
        return whole
    words = (max(_LEAST_LETTERS, *map(unbroken, name.split())) if name else 0 for name in table.head)
    return [max(cell, min(len(name), head)) for cell, name, head in zip(longest, table.head, words, strict=True)]


def _head(name: str, letters: int, kind: str) -> str:
    if len(name) <= letters or kind.startswith("P"):
        return escape(name)
    side = "raggedleft" if kind == "r" else "raggedright"
    return rf"\parbox[b]{{{_LETTER * letters:.0f}pt}}{{\{side} {escape(name)}}}"


def _tabular(
    columns: str, head: str, rows: Sequence[tuple[str, ...]], *, caption: str = "", is_long: bool = False
) -> list[str]:
    """Return a table in one piece, or one that breaks over pages if it is long."""
    heading = [r"\toprule", *([head, r"\midrule"] if head else [])]
    above = [caption] if caption else []
    if is_long or len(rows) > _MOST_ROWS:
        # A label must not stand in the head of each page.
        first = [caption + r"\\", *heading, r"\endfirsthead"] if caption else []
        opening = [rf"\begin{{longtable}}[l]{{{columns}}}", *first, *heading, r"\endhead", r"\bottomrule", r"\endfoot"]
        # Every longtable takes a number, also one without a caption.
        closing = [r"\end{longtable}", *([] if caption else [r"\addtocounter{table}{-1}"])]
        return [*opening, *map(_line, rows), *closing]
    opening = [r"\begin{table}[H]\footnotesize", *above, rf"\begin{{tabular}}{{{columns}}}", *heading]
    return [*opening, *map(_line, rows), r"\bottomrule", r"\end{tabular}", r"\end{table}"]


def _line(cells: tuple[str, ...]) -> str:
    # {}: a cell that begins with a bracket would be taken for an option of the line break before it.
    return " & ".join(("{}" if cell.startswith(("[", "*")) else "") + escape(cell) for cell in cells) + r" \\"
