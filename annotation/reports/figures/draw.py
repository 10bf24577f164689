"""The report's figures, drawn by matplotlib without a display and without pyplot's global state."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from annotation.reports.agreement_report import AgreementReport, Results
from annotation.reports.figures.captions import (
    AGREEMENT,
    BOOTSTRAP,
    BOX,
    CALIBRATION,
    CLAIM,
    DENSITY,
    IMAGES,
    MARGIN,
    SCORES_BY_IMAGES,
    VOTERS,
    VOTES,
    Numbers,
    agreement_numbers,
    claim_numbers,
)
from annotation.reports.figures.margins import bootstrap, by_images, by_margin, calibration_curve, scores_by_images
from annotation.reports.figures.svg import INK, MODEL_A_COLOUR, MODEL_B_COLOUR, QUIET, STYLE, to_svg
from annotation.reports.figures.votes import voters, votes_by_comparison
from annotation.reports.sections.blocks import MOST_MARKS, Row
from annotation.reports.sections.claim import metric_name
from scoring.statistics.estimate import Estimate

WIDTH = 5.6  # inches: the eleven points of the text stay readable where a phone shows the figure whole
_COLOURS = {"A": MODEL_A_COLOUR, "B": MODEL_B_COLOUR}


Look = tuple[str, str]  # shape and colour


def draw(report: AgreementReport, name: str) -> str:
    """A figure of the report as an <svg> element; equal reports give equal bytes.

    Raises ValueError for a sealed report, KeyError for a name without a drawing.
    """
    if report.results is None:
        raise ValueError("a sealed report has no figures")
    with mpl.rc_context(STYLE):
        return to_svg(DRAWINGS[name](report, report.results), name=name)


# --- forests ------------------------------------------------------------------------------------
def _claim(report: AgreementReport, found: Results) -> Figure:
    models = found.baseline.models
    named = _COLOURS[models[0]] if len(models) == 1 else QUIET
    looks = (("o", INK), ("D", named), ("s", INK), ("^", INK))
    return _forest(claim_numbers(report, found), looks, baseline=found.baseline.agreement.value)


def _agreement(_report: AgreementReport, found: Results) -> Figure:
    numbers = agreement_numbers(found)
    shapes = {"Wilson": "o", "Clopper-Pearson": "s", "bootstrap": "^"}
    looks = tuple((shapes[row.label.rpartition(", ")[2]], INK) for row, _ in numbers)
    return _forest(numbers, looks, baseline=found.baseline.agreement.value)


def _forest(numbers: Numbers, looks: Sequence[Look], *, baseline: float | None) -> Figure:
    """Every estimate with its interval on one axis from 0 (or the lowest bound) to 1."""
    figure = Figure(figsize=(WIDTH, 0.55 + 0.46 * len(numbers)))
    axes = figure.add_subplot()
    if baseline is not None:  # line by line, so that it crosses no words
        heights = np.arange(len(numbers))
        at = np.full(len(numbers), baseline)
        axes.vlines(at, heights - 0.3, heights + 0.18, color=QUIET, linewidth=1.4, linestyle="dotted", zorder=0)
    for height, (number, look) in enumerate(zip(reversed(numbers), reversed(looks), strict=True)):
        _draw_number(axes, number, look, height)
    bounds = [bound for _, estimate in numbers for bound in (estimate.value, estimate.low) if bound is not None]
    axes.set_xlim(min([0.0, *bounds]) - 0.02, 1.02)
    axes.set_ylim(-0.5, len(numbers) - 0.3)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return figure


def _draw_number(axes: Axes, number: tuple[Row, Estimate], look: Look, height: int) -> None:
    """One line: words above, the interval as a bar, the value as a shape."""
    (row, estimate), (shape, colour) = number, look
    over_the_line: dict[str, Any] = {"transform": axes.get_yaxis_transform()}  # x in parts of the axis, y in lines
    axes.text(0, height + 0.24, row.label, fontsize=10, color=QUIET, **over_the_line)
    axes.text(1, height + 0.24, f"{row.value} {row.interval}".strip(), ha="right", fontweight="bold", **over_the_line)
    if estimate.value is None:
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [height, height], color=colour, linewidth=2)
    axes.plot([estimate.value], [height], shape, color=colour, markersize=7)


# --- scores -------------------------------------------------------------------------------------
def _scores(found: Results) -> tuple[tuple[str, NDArray[np.float64]], ...]:
    pairs = [
        (row.score_a, row.score_b) for row in found.comparisons if row.score_a is not None and row.score_b is not None
    ]
    columns = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return ("A", columns[:, 0]), ("B", columns[:, 1])


def _box(report: AgreementReport, found: Results) -> Figure:
    figure = Figure(figsize=(WIDTH, 2.3))
    axes = figure.add_subplot()
    names = {"A": report.study.model_a, "B": report.study.model_b}
    for height, (letter, scores) in enumerate(reversed(_scores(found))):
        colour = _COLOURS[letter]
        line = {"color": colour, "linewidth": 1.4}
        axes.boxplot(
            scores,
            positions=[height],
            orientation="horizontal",
            widths=0.34,
            showfliers=False,
            boxprops=line,
            whiskerprops=line,
            capprops=line,
            medianprops=line | {"linewidth": 2.6},
        )
        if len(scores) <= MOST_MARKS:
            axes.plot(scores, height - 0.34 + _spread(len(scores)), ".", color=colour, markersize=3.5, alpha=0.7)
        axes.text(0, height + 0.27, _shortened(f"{letter}  {names[letter]}"), transform=axes.get_yaxis_transform())
    axes.set_ylim(-0.6, 1.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(metric_name(report.study.metric))
    return figure


def _spread(n: int) -> NDArray[np.float64]:
    """Offsets that keep dots apart and are the same each time: the golden ratio leaves no pattern."""
    steps = np.arange(n, dtype=np.float64) * 0.6180339887 % 1
    return np.asarray(0.16 * (steps - 0.5), dtype=np.float64)


def _density(report: AgreementReport, found: Results) -> Figure:
    figure = Figure(figsize=(WIDTH, 2.7))
    axes = figure.add_subplot()
    samples = _scores(found)
    grid = _grid(np.concatenate([scores for _, scores in samples]))
    names = {"A": report.study.model_a, "B": report.study.model_b}
    for (letter, scores), dashes in zip(samples, ("-", (0, (5, 2))), strict=True):
        colour = _COLOURS[letter]
        label = _shortened(f"{letter}  {names[letter]}")
        if len(scores) < 2 or np.ptp(scores) == 0:
            axes.axvline(scores[0], color=colour, linestyle=dashes, linewidth=1.8, label=f"{label} (all equal)")
            continue
        density = stats.gaussian_kde(scores)(grid)
        axes.plot(grid, density, color=colour, linestyle=dashes, linewidth=1.8, label=label)
        axes.fill_between(grid, density, color=colour, alpha=0.12, linewidth=0)
    axes.set_ylim(bottom=0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(metric_name(report.study.metric))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0, fontsize=10)
    return figure


def _grid(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the density is drawn: a fifth of the range beyond the scores on either side."""
    margin = 0.2 * float(np.ptp(scores)) or 1.0
    return np.linspace(scores.min() - margin, scores.max() + margin, 256)


def _shortened(label: str) -> str:
    return label if len(label) <= 34 else f"{label[:33]}…"


DRAWINGS: dict[str, Callable[[AgreementReport, Results], Figure]] = {
    CLAIM: _claim,
    AGREEMENT: _agreement,
    BOX: _box,
    DENSITY: _density,
    BOOTSTRAP: bootstrap,
    MARGIN: by_margin,
    IMAGES: by_images,
    SCORES_BY_IMAGES: scores_by_images,
    CALIBRATION: calibration_curve,
    VOTES: votes_by_comparison,
    VOTERS: voters,
}
