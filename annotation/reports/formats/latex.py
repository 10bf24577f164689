"""The report as a LaTeX document whose tables can be taken into a paper: booktabs and longtable, nothing else."""

import re

from annotation.reports.findings.results import AgreementReport
from annotation.reports.printing.blocks import Row, Section, Table
from annotation.reports.sections.contents import chapters

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "−": "$-$",
    "–": "--",
    "\u202f": r"\,",
    "\u200b": r"\allowbreak{}",
    **{sign: f"\\{sign}" for sign in "#$%&_"},
}
_PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[a4paper, margin=2cm]{geometry}
\usepackage{booktabs, longtable, array}
% Characters that the fonts lack would stop the run: a raised ? is printed, and the file still holds them.
\makeatletter
\def\UTFviii@undefined@err#1{\textsuperscript{?}}
\makeatother
\setlength{\tabcolsep}{3.5pt}
\begin{document}
\footnotesize\raggedright
"""


def to_latex(report: AgreementReport) -> str:
    """Return a document that compiles as it is; it begins with the verdict, and each section has its tables."""
    parts = [_PREAMBLE, rf"{{\Large\bfseries {escape(report.study.name)}: agreement report\par}}", ""]
    parts += [rf"\textbf{{{escape(notice)}}}\par\medskip" for notice in report.notices]
    parts += ["% The verdict.", verdict_in_latex(report)]
    for chapter in chapters(report):
        parts += ["", rf"\section*{{{escape(chapter.title)}}}"]
        parts += [escape(paragraph) + "\n" for paragraph in chapter.paragraphs]
        parts += [line for section in chapter.sections for line in _section(section)]
    return "\n".join([*parts, r"\end{document}"]) + "\n"


def verdict_in_latex(report: AgreementReport) -> str:
    """Return the lines of the verdict as a list; of a report without them the claim as a paragraph."""
    if not report.verdict:
        return escape(report.claim) + "\n"
    items = (rf"\item \textbf{{{escape(line.sentence)}}} {escape(line.numbers)}".rstrip() for line in report.verdict)
    return "\n".join((r"\begin{itemize}", *items, r"\end{itemize}")) + "\n"


def escape(text: str) -> str:
    """Return text that LaTeX prints unchanged.

    >>> escape("50 % of {a_b}")
    '50 \\\\% of \\\\{a\\\\_b\\\\}'
    """
    printable = (sign for sign in _breakable(text) if sign.isprintable() or sign in _SPECIAL)
    return "".join(_SPECIAL.get(sign, sign) for sign in printable)


def _breakable(text: str) -> str:
    """Let words that are longer than a column break every sixteen characters."""
    return re.sub(r"\S{30,}", lambda word: "\u200b".join(re.findall(r".{1,16}", word.group())), text)


def _section(section: Section) -> list[str]:
    level = "subsubsection" if section.is_part else "subsection"
    lines = ["", rf"\{level}*{{{escape(section.title)}}}"]
    lines += [escape(paragraph) + "\n" for paragraph in section.paragraphs]
    if section.is_numeric:
        lines += _longtable("p{5.2cm}rlp{5.6cm}", ("Quantity", "Value", "Interval", "n and method"), _numbers(section))
    elif section.rows:
        lines += _longtable("lp{10cm}", ("", ""), [(row.label, _with(row.value, row.remark)) for row in section.rows])
    for table in section.tables:
        lines += [escape(table.caption) + "\n", *_longtable(_columns(table), table.head, list(table.rows))]
    return lines


def _numbers(section: Section) -> list[tuple[str, ...]]:
    return [(_with(row.label, row.remark), row.value, row.interval, _size(row)) for row in section.rows]


def _size(row: Row) -> str:
    return ", ".join(part for part in ("" if row.n is None else f"n = {row.n}", row.method) if part)


def _with(text: str, remark: str) -> str:
    return f"{text} ({remark})" if remark and text else remark or text


def _columns(table: Table) -> str:
    """Align numbers on the right; break the widest text column of a wide table into lines."""
    wide = max((len(cell) for row in table.rows for cell in row), default=0) > 30
    texts = [column for column in range(len(table.head)) if column not in table.numeric]
    longest = max(texts, key=lambda column: max((len(row[column]) for row in table.rows), default=0), default=-1)
    kinds = ("r" if column in table.numeric else "l" for column in range(len(table.head)))
    return "".join("p{5.5cm}" if wide and column == longest else kind for column, kind in enumerate(kinds))


def _longtable(columns: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    heading = [_line(head), r"\midrule"] if any(head) else []
    opening = [rf"\begin{{longtable}}[l]{{{columns}}}", r"\toprule", *heading, r"\endhead", r"\bottomrule", r"\endfoot"]
    return [*opening, *map(_line, rows), r"\end{longtable}"]


def _line(cells: tuple[str, ...]) -> str:
    # {}: a cell that begins with a bracket would be taken for an option of the line break before it.
    return " & ".join(("{}" if cell.startswith(("[", "*")) else "") + escape(cell) for cell in cells) + r" \\"
