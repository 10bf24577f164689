"""Draw the scores of the two models: a box plot, a density, and both scores and winners by number of images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from annotation.reports.figures.style import (
    COLUMN,
    DASHED,
    INK,
    LINE,
    MODEL_COLOURS,
    MODEL_SHAPES,
    QUIET,
    SMALL,
    STROKE,
    TIE_COLOUR,
    is_wide,
    legend_above,
    new_axes,
    new_figure,
    percents,
    shortened,
)
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.blocks import MOST_MARKS, mark_step
from annotation.reports.printing.numbers import directed_metric, is_scs, metric_name
from scoring.statistics.inference.estimate import Estimate

Floats = NDArray[np.float64]
_RANGE_OF_SCS = (0.0, 100.0)
_WINNER_MARKS = {
    "A": (MODEL_SHAPES["A"], MODEL_COLOURS["A"]),
    "B": (MODEL_SHAPES["B"], MODEL_COLOURS["B"]),
    "tie": ("D", TIE_COLOUR),
}
_WINNER_NAMES = {"A": "more votes for A", "B": "for B", "tie": "equal"}


def box(report: AgreementReport, results: Results) -> Figure:
    """Draw a box for each model, with its mark for each set below it."""
    figure, axes = new_axes(1.55)
    for height, (letter, label, scores) in enumerate(reversed(_samples(report, results))):
        colour = MODEL_COLOURS[letter]
        line = {"color": colour, "linewidth": 1}
        axes.boxplot(
            scores,
            positions=[height],
            orientation="horizontal",
            widths=0.34,
            showfliers=False,
            boxprops=line,
            whiskerprops=line,
            capprops=line,
            medianprops=line | {"linewidth": 2},
        )
        if len(scores) <= MOST_MARKS:
            look: dict[str, Any] = {"color": colour, "markersize": 1.8, "markeredgewidth": 0, "alpha": 0.7}
            axes.plot(scores, height - 0.34 + _spread(len(scores)), MODEL_SHAPES[letter], **look)
        axes.text(0, height + 0.27, label, transform=axes.get_yaxis_transform())
    axes.set_ylim(-0.6, 1.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(_metric(report))
    return figure


def density(report: AgreementReport, results: Results) -> Figure:
    """Draw the kernel density of each model's scores; equal scores, which have none, as one line."""
    figure, axes = new_axes(1.75)
    samples = _samples(report, results)
    bounds = _bounds(report)
    grid = _grid(np.concatenate([scores for _, _, scores in samples]), bounds)
    for (letter, label, scores), dashes in zip(samples, ("-", DASHED), strict=True):
        colour = MODEL_COLOURS[letter]
        if len(scores) < 2 or np.ptp(scores) == 0:
            axes.axvline(scores[0], color=colour, linestyle=dashes, linewidth=STROKE, label=f"{label} (all equal)")
            continue
        heights = _density(scores, grid, bounds)
        axes.plot(grid, heights, color=colour, linestyle=dashes, linewidth=STROKE, label=label)
        axes.fill_between(grid, heights, color=colour, alpha=0.12, linewidth=0)
    axes.set_ylim(bottom=0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(_metric(report))
    legend_above(axes)
    return figure


def _metric(report: AgreementReport) -> str:
    return directed_metric(report.study.metric, is_lower=report.study.is_lower_more_consistent)


def _bounds(report: AgreementReport) -> tuple[float, float]:
    """Return the least and the greatest score that can be."""
    return _RANGE_OF_SCS if is_scs(report.study.metric) else (-np.inf, np.inf)


def _samples(report: AgreementReport, results: Results) -> tuple[tuple[str, str, Floats], ...]:
    """Return each model's letter, its label, and its scores on the comparisons that have both scores."""
    pairs = [
        (row.score_a, row.score_b) for row in results.comparisons if row.score_a is not None and row.score_b is not None
    ]
    columns = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    names = (("A", report.study.model_a), ("B", report.study.model_b))
    return tuple(
        (letter, shortened(f"{letter}  {name}"), columns[:, place]) for place, (letter, name) in enumerate(names)
    )


def _spread(n: int) -> Floats:
    """Return offsets that keep dots apart and are the same each time: the golden ratio leaves no pattern."""
    steps = np.arange(n, dtype=np.float64) * 0.6180339887 % 1
    return np.asarray(0.16 * (steps - 0.5), dtype=np.float64)


def _grid(scores: Floats, bounds: tuple[float, float]) -> Floats:
    """Return the places at which a density is drawn: a fifth of the range beyond the scores, if the bounds allow."""
    margin = 0.2 * float(np.ptp(scores)) or 1.0
    low, high = np.clip([scores.min() - margin, scores.max() + margin], *bounds)
    return np.linspace(low, high, 256)


def _density(scores: Floats, grid: Floats, bounds: tuple[float, float]) -> Floats:
    """Return the kernel density on the grid, reflected at the bounds so that no mass lies beyond (Silverman, 1986)."""
    estimated = scipy.stats.gaussian_kde(scores)
    mirrored = [estimated(2 * bound - grid) for bound in bounds if np.isfinite(bound)]
    return np.asarray(estimated(grid) + sum(mirrored), dtype=np.float64)


def paired(report: AgreementReport, results: Results) -> Figure:
    """Draw each comparison at the scores of its two sets, with the mark of the people's winner; if wide, as slopes too.

    The marks of one winner have one id, which names their comparisons in order, so that a page finds each mark.
    """
    figure = new_figure(COLUMN / 25.4)
    axes, *beside = figure.subplots(1, 2 if is_wide() else 1, squeeze=False)[0]
    scored = [row for row in results.comparisons if row.score_a is not None and row.score_b is not None]
    for winner, (shape, colour) in _WINNER_MARKS.items():
        of_winner = [row for row in scored if row.people_winner == winner][:: mark_step(len(scored))]
        if of_winner:
            x, y = np.array([(row.score_a, row.score_b) for row in of_winner], dtype=np.float64).T
            names = "-".join(str(row.position) for row in of_winner)
            look: dict[str, Any] = {
                "markersize": 3.2,
                "markeredgewidth": 0,
                "alpha": 0.75,
                "gid": f"comparison-{names}",
            }
            axes.plot(x, y, shape, color=colour, linestyle="none", label=_WINNER_NAMES[winner], **look)
    ends = np.array([axes.get_xlim(), axes.get_ylim()])
    room = 0.1 * float(ends.max() - ends.min())  # for the words in the corners, beside any mark
    low, high = float(ends.min()) - room, float(ends.max()) + room
    axes.plot([low, high], [low, high], color=LINE, linewidth=1, zorder=0)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    corner: dict[str, Any] = {"transform": axes.transAxes, "fontsize": SMALL, "color": QUIET}
    axes.text(0.02, 0.98, "B scores higher", va="top", **corner)
    axes.text(0.98, 0.02, "A scores higher", ha="right", **corner)
    (_, label_a, _), (_, label_b, _) = _samples(report, results)
    axes.set_xlabel(f"Score of {label_a}")
    axes.set_ylabel(f"Score of {label_b}")
    legend_above(axes, columns=3)
    for slopes in beside:
        _draw_slopes(slopes, scored, (label_a, label_b))
        slopes.set_ylim(low, high)
    return figure


def _draw_slopes(axes: Axes, scored: Sequence[ComparisonRow], labels: Sequence[str]) -> None:
    """Draw each comparison as a line from its score of A to that of B, in the colour of the people's winner."""
    for row in scored[:: mark_step(len(scored))]:
        _, colour = _WINNER_MARKS.get(row.people_winner or "", ("", LINE))
        axes.plot(
            (0, 1), np.array((row.score_a, row.score_b), dtype=np.float64), color=colour, linewidth=0.6, alpha=0.6
        )
    axes.set_xticks((0, 1), labels)
    axes.set_xlim(-0.15, 1.15)
    axes.set_ylabel("Score")


# --- by number of images ------------------------------------------------------------------------
def winners_by_images(_report: AgreementReport, results: Results) -> Figure:
    """Draw agreement, and the share of winners as with all images, against the number of images in a set."""
    figure, axes = new_axes(1.75)
    rows = results.image_noise.by_images
    counts = [row.images for row in rows]
    lines = (
        ("agreement with votes", [row.agreement for row in rows], INK, "-"),
        ("winner as with all", [row.same_winner for row in rows], QUIET, DASHED),
    )
    for label, estimates, colour, dashes in lines:
        values, lows, highs = _bands(estimates)
        axes.plot(counts, values, color=colour, linestyle=dashes, linewidth=STROKE, label=label)
        axes.fill_between(counts, lows, highs, color=colour, alpha=0.16, linewidth=0)
    percents(axes.yaxis, float(np.ptp(axes.get_ylim())))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Images a set")
    legend_above(axes)
    return figure


def scores_by_images(report: AgreementReport, results: Results) -> Figure:
    """Draw each model's mean score against the number of images, with percentiles over subsets and a set's error."""
    figure, axes = new_axes(1.75)
    noise = results.image_noise
    for letter, rows, dashes in (("A", noise.scores_a, "-"), ("B", noise.scores_b, DASHED)):
        colour, counts = MODEL_COLOURS[letter], [row.images for row in rows]
        values, lows, highs = _bands([row.score for row in rows])
        errors = np.array([row.set_error for row in rows])
        strays = np.clip([values - errors, values + errors], *_bounds(report))
        axes.fill_between(counts, *strays, color=colour, alpha=0.1, linewidth=0)
        axes.fill_between(counts, lows, highs, color=colour, alpha=0.3, linewidth=0)
        line: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": STROKE, "markersize": 3}
        axes.plot(counts, values, MODEL_SHAPES[letter], label=letter, **line)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Images a set")
    axes.set_ylabel(metric_name(report.study.metric).partition(" (")[0])
    legend_above(axes)
    return figure


def _bands(estimates: Sequence[Estimate]) -> tuple[Floats, Floats, Floats]:
    """Return values and bounds, NaN for a missing value; a missing bound lies on the value."""
    values = np.array([one.value for one in estimates], dtype=np.float64)
    lows, highs = (np.array([getattr(one, bound) for one in estimates], dtype=np.float64) for bound in ("low", "high"))
    return values, np.where(np.isnan(lows), values, lows), np.where(np.isnan(highs), values, highs)
