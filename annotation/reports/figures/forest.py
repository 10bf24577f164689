"""Draw numbers with their intervals below each other, on one axis of percentages."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from annotation.reports.figures.style import PERCENT, QUIET, SMALL, new_figure
from annotation.reports.printing.blocks import Numbers, Row
from scoring.statistics.inference.estimate import Estimate

Mark = tuple[str, str]  # shape and colour
_ROW = 0.32  # inches
_AXIS = 0.34  # inches


def forest(numbers: Numbers, marks: Sequence[Mark], *, baseline: float | None = None) -> Figure:
    """Draw each estimate with its interval on one axis from 0 (or the lowest bound) to 100 %, and its value beside it.

    baseline: a dotted line, to be compared with each number.
    """
    figure = new_figure(_AXIS + _ROW * len(numbers))
    axes = figure.add_subplot()
    if baseline is not None:  # one piece for each number, so that it crosses no words
        heights = np.arange(len(numbers))
        at = np.full(len(numbers), baseline)
        axes.vlines(at, heights - 0.3, heights + 0.16, color=QUIET, linewidth=1, linestyle="dotted", zorder=0)
    for height, (number, mark) in enumerate(zip(reversed(numbers), reversed(marks), strict=True)):
        _draw(axes, number, mark, height)
    bounds = [bound for _, estimate in numbers for bound in (estimate.value, estimate.low) if bound is not None]
    axes.set_xlim(min([0.0, *bounds]) - 0.02, 1.02)
    axes.set_ylim(-0.5, len(numbers) - 0.25)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(PERCENT)
    return figure


def _draw(axes: Axes, number: tuple[Row, Estimate], mark: Mark, height: int) -> None:
    """Draw one estimate: its name above, the interval as a bar, the value as a shape and in figures beside the axis."""
    (row, estimate), (shape, colour) = number, mark
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform()}  # x as a share of the axis, y in estimates
    axes.text(0, height + 0.3, row.label, fontsize=SMALL, color=QUIET, va="baseline", **beside)
    axes.text(1.03, height, f"{row.value} {row.interval}".strip(), va="center", fontweight="bold", **beside)
    if estimate.value is None:
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [height, height], color=colour, linewidth=1.4)
    axes.plot([estimate.value], [height], shape, color=colour, markersize=4.5)
