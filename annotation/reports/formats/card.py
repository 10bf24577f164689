"""The claim as a picture of 1200 x 630 pixels, the size that a link's preview has."""

import io
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from annotation.reports.figures.agreement import claim_marks
from annotation.reports.figures.style import INK, LIGHT, LINE, PERCENT, QUIET, drawable, drawing_style
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.drawn_numbers import main_numbers
from jobs.refusals import Refused

_DOTS = 100  # per inch
_SIZE = (12.0, 6.3)  # inches
_LEFT = 0.05  # of the width
_AXIS = (0.56, 0.17, 0.39, 0.38)  # left, bottom, width, height
_NAMES = (_LEFT - _AXIS[0]) / _AXIS[2]  # where the names of the numbers begin, in widths of the axis
_LINE = 0.068  # of the height
_LETTERS = 66  # of a line of the sentence
_MOST_LINES = 2  # of a sentence
_SMALL_LETTERS = 140  # of each of the two lines at the bottom


def to_card(report: AgreementReport) -> bytes:
    """Return a PNG file with the sentences on agreement and constant choice and the four large numbers.

    Raises Refused while the study is sealed.
    """
    if report.results is None:
        raise Refused("The study is sealed until it closes: a card shows results, and there are none yet.")
    buffer = io.BytesIO()
    with drawing_style(are_letters_outlines=True, figure__constrained_layout__use=False):
        _drawn(report, report.results).savefig(buffer, format="png", dpi=_DOTS, metadata={"Software": None})
    return buffer.getvalue()


def _drawn(report: AgreementReport, results: Results) -> Figure:
    figure = Figure(figsize=_SIZE, facecolor="white")
    figure.text(_LEFT, 0.915, _cut(f"{report.study.name}: agreement report", 80), fontsize=13, color=QUIET)
    top = 0.82
    for line in [line for line in report.verdict if line.kind != "votes"][:2]:
        for text in _lines(line.sentence):
            figure.text(_LEFT, top, text, fontsize=21, fontweight="bold", color=INK)
            top -= _LINE
        top -= 0.02
    _forest(figure.add_axes(_AXIS), report, results)
    said = report.notices or (report.verdict[-1].sentence,)
    look: dict[str, Any] = {"fontweight": "bold", "color": LIGHT["notice"]} if report.notices else {"color": QUIET}
    small = "\n".join(wrap(_cut(" ".join(said), 2 * _SMALL_LETTERS), _SMALL_LETTERS))
    figure.text(_LEFT, 0.03, small, fontsize=10.5, linespacing=1.4, **look)
    return figure


def _lines(sentence: str) -> list[str]:
    lines = wrap(drawable(sentence), _LETTERS)
    return lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], f"{lines[_MOST_LINES - 1]} …"]


def _cut(text: str, most: int) -> str:
    text = drawable(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _forest(axes: Axes, report: AgreementReport, results: Results) -> None:
    """Draw the four numbers: name and value on the left, the interval on one axis."""
    rows, marks = main_numbers(report, results.claimed), claim_marks(report, results)
    bounds = [bound for _, found in rows for bound in (found.value, found.low) if bound is not None]
    axes.set_xlim(min([0.0, *bounds]) - 0.02, 1.02)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    at: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    for height, ((row, found), (shape, colour)) in enumerate(zip(reversed(rows), reversed(marks), strict=True)):
        axes.text(_NAMES, height, _cut(row.label, 44), fontsize=13, color=INK, **at)
        axes.text(-0.04, height, row.value, fontsize=19, fontweight="bold", ha="right", **at)
        axes.axhline(height, color=LINE, linewidth=0.8, zorder=0)
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [height, height], color=colour, linewidth=2.5)
        if found.value is not None:
            axes.plot([found.value], [height], shape, color=colour, markersize=9)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(PERCENT)
    axes.tick_params(labelsize=11)
