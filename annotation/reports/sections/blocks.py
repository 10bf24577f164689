"""What every format prints: rows of numbers, tables and figures, as plain text that a format then escapes."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from annotation.reports.sections.numbers import coefficient, percent, points, probability, significant
from scoring.statistics.estimate import Estimate, SignificanceTest

UNDEFINED = "undefined"
MOST_MARKS = 2_000  # of one kind in a drawing: beyond, they hide each other and swell the file


@dataclass(frozen=True, slots=True)
class Row:
    """One number: its name, value, interval in brackets, n, method, and what must be said beside it."""

    label: str
    value: str
    interval: str = ""
    n: int | None = None
    method: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `numeric` columns are aligned on the right, `winners` hold A, B or tie.

    `is_long`: one row a comparison, annotator or vote.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    winners: tuple[int, ...] = ()
    is_long: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure by name; the caption says what is drawn, n, and the method; `words` are for who cannot see it."""

    name: str
    title: str
    caption: str
    words: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report, to be read from top to bottom. is_part: it belongs to the section before it."""

    key: str
    title: str
    paragraphs: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    is_part: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether its rows are estimates and tests, and not facts in words."""
        return any(row.n is not None for row in self.rows)


def mark_step(n: int) -> int:
    """Of so many comparisons or annotators, one in how many is drawn."""
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


def significance_row(label: str, test: SignificanceTest, *, remark: str = "") -> Row:
    """A test by its p-value, its statistic in the remark."""
    value = UNDEFINED if test.p_value is None else f"p {probability(test.p_value)}"
    statistic = "" if test.statistic is None else f", statistic {significant(test.statistic)}"
    method = without_resampling(test.method) + statistic
    return Row(label, value, n=test.n, method=method, remark=test.reason if value == UNDEFINED else remark)


def cells(estimate: Estimate, text: Callable[[float], str]) -> tuple[str, str]:
    """An estimate as two cells of a table: the value with its interval in brackets, or why there is none; and n."""
    if estimate.value is None:
        return f"{UNDEFINED}: {estimate.reason}", str(estimate.n)
    if estimate.low is None or estimate.high is None:
        return text(estimate.value), str(estimate.n)
    return f"{text(estimate.value)} {_bracketed(estimate.low, estimate.high, text)}", str(estimate.n)


def without_resampling(method: str) -> str:
    """A method without the resamples and the seed, which are the same throughout a report and stated once.

    >>> without_resampling("percentile bootstrap, 2000 resamples of clusters, seed 5, 3 undefined resamples left out")
    'bootstrap, 3 undefined resamples left out'
    """
    shorter = re.sub(r", \d+ (resamples of clusters|permutations), seed \d+", "", method)
    return shorter.replace("percentile bootstrap", "bootstrap")


def _row(label: str, estimate: Estimate, text: Callable[[float], str], remark: str) -> Row:
    if estimate.value is None:
        return Row(label, UNDEFINED, n=estimate.n, remark=estimate.reason or remark)
    if estimate.low is None or estimate.high is None:
        return Row(label, text(estimate.value), n=estimate.n, remark=_joined(f"no interval: {estimate.reason}", remark))
    interval = _bracketed(estimate.low, estimate.high, text)
    method = f"{100 * estimate.level:g} %, {without_resampling(estimate.method)}"
    return Row(label, text(estimate.value), interval, estimate.n, method, _joined(estimate.reason, remark))


def _bracketed(low: float, high: float, text: Callable[[float], str]) -> str:
    """An interval without its unit, which stands with the value."""
    return f"[{text(low)}, {text(high)}]".replace(" %", "").replace(" points", "")


def _joined(*remarks: str) -> str:
    return "; ".join(remark for remark in remarks if remark)
