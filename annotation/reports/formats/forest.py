"""The four large numbers of a report with their intervals on one axis, as places for a drawing in HTML. Pure."""

from dataclasses import dataclass

from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.blocks import UNDEFINED, Row
from annotation.reports.printing.drawn_numbers import main_numbers
from annotation.reports.printing.phrases import constant_choice
from scoring.statistics.inference.estimate import Estimate

_TICKS = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A number beside its interval. note: n and the method, or why it is undefined. mark: the class of its shape.

    at, low, high: places on the axis, such as "94.00%"; empty if there is none.
    """

    label: str
    note: str
    value: str
    interval: str
    mark: str
    at: str = ""
    low: str = ""
    width: str = ""


@dataclass(frozen=True, slots=True)
class Forest:
    """Rows on one axis. baseline: the place of the constant choice, empty if it is undefined. ticks: place, label."""

    caption: str

    rows: tuple[ForestRow, ...]
    baseline: str
    ticks: tuple[tuple[str, str], ...]


def forest(report: AgreementReport, results: Results) -> Forest:
    """Return agreement, constant choice, people and reliability."""
    shown = main_numbers(report, results.claimed)
    bounds = [bound for _, found in shown for bound in (found.value, found.low) if bound is not None]
    least = next((tick for tick in (0.0, -0.25, -0.5) if min([0.0, *bounds]) >= tick), -1.0)
    models = results.agreement.baseline.models
    constant = models[0].lower() if len(models) == 1 and not report.study.are_several else "constant"
    marks = ("metric", constant, "people", "reliability")
    rows = tuple(_row(row, found, mark, least) for (row, found), mark in zip(shown, marks, strict=True))
    named = sorted({least, *(tick for tick in _TICKS if tick > least)})
    ticks = tuple((_place(tick, least), f"{100 * tick:g} %".replace("-", "−")) for tick in named)
    baseline = results.agreement.baseline.agreement.value
    caption = (
        f"{100 * results.agreement.headline.level:g} % intervals on one axis. Dotted line: "
        f"{constant_choice(report.study)}. Krippendorff's alpha is 0 at chance and 1 if all annotators agree."
    )
    return Forest(caption, rows, "" if baseline is None else _place(baseline, least), ticks)


def _row(row: Row, found: Estimate, mark: str, least: float) -> ForestRow:
    n = f"n = {row.n}"
    if found.value is None:
        return ForestRow(row.label, f"{n}: {found.reason}", UNDEFINED, "", mark)
    at = _place(found.value, least)
    if found.low is None or found.high is None:
        return ForestRow(row.label, f"{n}, {row.remark}", row.value, "", mark, at)
    width = f"{100 * (found.high - found.low) / (1 - least):.2f}%"
    return ForestRow(
        row.label, f"{n}, {row.method}", row.value, row.interval, mark, at, _place(found.low, least), width
    )


def _place(value: float, least: float) -> str:
    return f"{100 * (value - least) / (1 - least):.2f}%"
