"""The blocks that every format prints: rows of numbers, tables and figures, as plain text that a format escapes."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from annotation.reports.printing.numbers import coefficient, percent, points, probability, significant
from jobs.wording import counted, listed
from scoring.statistics.inference.estimate import Estimate, SignificanceTest

UNDEFINED = "undefined"
DESCRIPTIVE = "descriptive"  # a p-value that is not of the study's one confirmatory test
MOST_MARKS = 2_000  # of one kind in a drawing: more of them hide each other and swell the file
FigureName = Literal[
    "claim",
    "ranking",
    "pairs",
    "agreement",
    "bootstrap",
    "votes",
    "scores-paired",
    "scores-box",
    "scores-density",
    "margin",
    "calibration",
    "disagreements",
    "annotators",
    "images",
    "scores-images",
]


@dataclass(frozen=True, slots=True)
class Row:
    """One number: its name, value, interval in brackets, n, method, and a remark to be read with it."""

    label: str
    value: str
    interval: str = ""
    n: int | None = None
    method: str = ""
    remark: str = ""


Numbers = tuple[tuple[Row, Estimate], ...]  # the rows of a figure beside the estimates that it draws


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `numeric` columns are aligned on the right, `winners` hold A, B or tie.

    `is_long`: one row for each comparison, annotator or vote.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    winners: tuple[int, ...] = ()
    is_long: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure by name. caption: what is drawn, n, and the method. words: for readers who cannot see it."""

    name: FigureName
    title: str
    caption: str
    words: str


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the report, read from top to bottom. is_part: it belongs to the section before it."""

    key: str
    title: str
    paragraphs: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    is_part: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether its rows are estimates and tests, not facts in words."""
        return any(row.n is not None for row in self.rows)


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the report: plain sentences and one figure, and behind them the sections with all numbers.

    figure: the name of one of the sections' figures, shown beside the sentences; None if no section has it.
    is_appendix: sections only, for reference.
    """

    key: str
    title: str
    sections: tuple[Section, ...]
    paragraphs: tuple[str, ...] = ()
    figure: Figure | None = None
    is_appendix: bool = False

    @property
    def behind(self) -> str:
        """Return the contents of the fold in words; the chapter's own figure stands before it."""
        tables = sum(len(section.tables) + bool(section.rows) for section in self.sections)
        figures = sum(len(section.figures) for section in self.sections) - bool(self.figure)
        parts = (counted(tables, "table") if tables else "", counted(figures, "figure") if figures else "")
        said = " and ".join(part for part in parts if part)
        return f"All numbers: {said}" if said else listed([section.title for section in self.sections])


def mark_step(n: int) -> int:
    """Return k, so that one in k of n comparisons or annotators is drawn."""
    return -(-n // MOST_MARKS) or 1


def share_row(label: str, estimate: Estimate, *, remark: str = "") -> Row:
    """A share, as a percentage."""
    return _row(label, estimate, percent, remark)


def points_row(label: str, estimate: Estimate, *, remark: str = "") -> Row:
    """A difference of two shares, in percentage points."""
    return _row(label, estimate, points, remark)


def coefficient_row(label: str, estimate: Estimate, *, remark: str = "") -> Row:
    """A coefficient such as kappa, to three decimals."""
    return _row(label, estimate, coefficient, remark)


def rows_of_both(
    kind: Callable[..., Row], label: str, these: Estimate, others: Estimate | None, *, remark: str = ""
) -> tuple[Row, ...]:
    """One number with its interval for these annotators, and in a second row that for annotators like these.

    kind: share_row, points_row or coefficient_row. No second row if that interval is undefined: the section says why
    once (`why_no_others`). others: None in a report of an earlier version.
    """
    row = kind(label, these, remark=remark)
    if others is None or others.low is None:
        return (row,)
    return row, kind(f"{label}, {others.population}", replace(others, population=""))


def why_no_others(others: Iterable[Estimate]) -> tuple[str, ...]:
    """Return a sentence on the intervals for annotators like these that are undefined; empty if there is none."""
    reasons = dict.fromkeys(one.reason for one in others if one.is_defined and one.low is None)
    why = ". Or: ".join(reasons)
    return (f"Not every number has an interval for annotators like these: {why}.",) if reasons else ()


def significance_row(label: str, test: SignificanceTest, *, remark: str = "", is_confirmatory: bool = False) -> Row:
    """A test by its p-value, with its statistic beside the method.

    A study has at most one that is confirmatory; all others are descriptive, and the remark says so.
    """
    value = UNDEFINED if test.p_value is None else f"p {probability(test.p_value)}"
    statistic = "" if test.statistic is None else f", statistic {significant(test.statistic)}"
    method, kind = without_resampling(test.method) + statistic, "confirmatory" if is_confirmatory else DESCRIPTIVE
    return Row(
        label, value, n=test.n, method=method, remark=test.reason if value == UNDEFINED else _joined(kind, remark)
    )


def in_words(numbers: Numbers) -> str:
    """The numbers of a figure for readers who cannot see it."""
    return "; ".join(f"{row.label}: {row.value} {row.interval or row.remark}".strip() for row, _ in numbers)


def cells(estimate: Estimate, text: Callable[[float], str]) -> tuple[str, str]:
    """Return an estimate as two table cells: the value with its interval in brackets, or why it is undefined; and n."""
    if estimate.value is None:
        return f"{UNDEFINED}: {estimate.reason}", str(estimate.n)
    if estimate.low is None or estimate.high is None:
        return text(estimate.value), str(estimate.n)
    return f"{text(estimate.value)} {bracketed(estimate.low, estimate.high, text)}", str(estimate.n)


def without_resampling(method: str) -> str:
    """Return a method without resamples, seed and numbers of groups, which are the same throughout a report.

    >>> without_resampling("percentile bootstrap, 2000 resamples of clusters, seed 5, 3 undefined resamples left out")
    'bootstrap, 3 undefined resamples left out'
    """
    shorter = re.sub(r", \d+ (resamples of clusters|permutations), seed \d+", "", method)
    shorter = re.sub(r"jackknife of \d+ clusters and \d+ annotators", "jackknife", shorter)
    return shorter.replace("percentile bootstrap", "bootstrap")


def _row(label: str, estimate: Estimate, text: Callable[[float], str], remark: str) -> Row:
    if estimate.value is None:
        return Row(label, UNDEFINED, n=estimate.n, remark=estimate.reason or remark)
    if estimate.low is None or estimate.high is None:
        return Row(label, text(estimate.value), n=estimate.n, remark=_joined(f"no interval: {estimate.reason}", remark))
    interval = bracketed(estimate.low, estimate.high, text)
    words = (f"{100 * estimate.level:g} %", estimate.population, without_resampling(estimate.method))
    method = ", ".join(word for word in words if word)
    return Row(label, text(estimate.value), interval, estimate.n, method, _joined(estimate.reason, remark))


def bracketed(low: float, high: float, text: Callable[[float], str]) -> str:
    """Return an interval without its unit, which is printed with the value."""
    return f"[{text(low)}, {text(high)}]".replace(" %", "").replace(" points", "")


def _joined(*remarks: str) -> str:
    return "; ".join(remark for remark in remarks if remark)
