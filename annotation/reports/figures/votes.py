"""Draw the votes: by comparison, by margin, and by annotator against the response time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from annotation.reports.figures.style import (
    INK,
    LINE,
    MODEL_COLOURS,
    MODEL_SHAPES,
    PERCENT,
    QUIET,
    SMALL,
    STROKE,
    TIE_COLOUR,
    legend_above,
    new_axes,
    says,
    unsquashed,
)
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.blocks import mark_step
from annotation.reports.printing.drawn_numbers import MOST_SHOWN, disagreements, timed_annotators
from annotation.reports.printing.numbers import percent, score
from jobs.wording import counted

Floats = NDArray[np.float64]
_MOST_COLUMNS = 120  # that a column of a journal can hold apart
_MARK, _DIGIT = 3.5, 0.62 * SMALL  # points: half of a mark with the space around it, the width of a digit
# Where a number may stand beside its mark, the best place first, in points.
_DIRECTIONS = ((1, 0.5), (1, -0.5), (-1, 0.5), (-1, -0.5), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
_PLACES = np.array([(right * away, up * away) for away in (7, 12, 18, 25) for right, up in _DIRECTIONS])
_BINS = 8  # of comparisons by margin


def by_comparison(report: AgreementReport, results: Results) -> Figure:
    """Draw the shares of each comparison as stacked steps: three shapes, however many comparisons there are."""
    counts = np.array([(row.votes_a, row.votes_tie, row.votes_b) for row in results.comparisons], dtype=np.float64)
    counts = counts[counts.any(axis=1)]
    shares = counts / counts.sum(axis=1, keepdims=True)
    shares = shares[np.lexsort((shares[:, 1], -shares[:, 0]))][:: mark_step(len(counts))]
    figure, axes = new_axes(1.7)
    tops = np.cumsum(shares, axis=1)
    a, b = report.study.sides
    colours = (INK, QUIET) if report.study.are_several else (MODEL_COLOURS["A"], MODEL_COLOURS["B"])
    looks = ((colours[0], a, ""), (TIE_COLOUR, "tie", ".."), (colours[1], b, "//"))
    for column, (colour, name, hatch) in enumerate(looks):
        if shares[:, column].any():
            look: dict[str, Any] = {"facecolor": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
            _stack(axes, tops[:, column] - shares[:, column], tops[:, column], name, look)
    axes.set_xlim(0, len(shares))
    axes.set_ylim(0, 1)
    axes.set_xticks([])
    axes.yaxis.set_major_formatter(PERCENT)
    gap = "\n" if report.study.are_several else " "  # "the higher model" needs a line of its own
    shares = f"by the share of votes{gap}for {report.study.sides_in_words[0]}"
    axes.set_xlabel(f"{counted(len(counts), 'comparison')}, {shares}")
    legend_above(axes, columns=3)
    return figure


def _stack(axes: Axes, lower: Floats, upper: Floats, name: str, look: dict[str, Any]) -> None:
    """Draw one part of every column: columns of their own, or steps without gaps if there are too many of them."""
    n = len(lower)
    if n <= _MOST_COLUMNS:  # one patch of them all: each patch of its own would repeat the hatch
        corners = np.array([(0.1, 0), (0.1, 1), (0.9, 1), (0.9, 0), (0.1, 0)])
        parts = enumerate(zip(lower, upper - lower, strict=True))
        columns = [Path(corners * (1, height) + (x, low)) for x, (low, height) in parts]
        axes.add_patch(PathPatch(Path.make_compound_path(*columns), label=name, **look))
        return
    lower, upper = (np.append(line, line[-1:]) for line in (lower, upper))
    axes.fill_between(np.arange(n + 1), lower, upper, step="post", label=name, **look)


def calibration_curve(report: AgreementReport, results: Results) -> Figure:
    """Draw the share of votes for A of each comparison at its margin, and the fitted curve."""
    figure, axes = new_axes(1.9)
    a = report.study.sides_in_words[0]
    dots = [
        (row.margin, row.votes_a / (row.votes_a + row.votes_b), row.votes_a + row.votes_b)
        for row in results.comparisons
        if row.margin is not None and row.votes_a + row.votes_b
    ]
    margins, shares, votes = np.array(dots[:: mark_step(len(dots))], dtype=np.float64).reshape(-1, 3).T
    axes.scatter(margins, shares, s=(1.5 + np.log1p(votes)) ** 2, color=QUIET, alpha=0.3, linewidths=0)
    for margin, share, n in _binned(margins, shares, votes) if dots else ():
        text = f"Mean margin {score(margin)}: {percent(share)} of the votes for {a}, {counted(n, 'comparison')}"
        axes.plot([margin], [share], "D", color=INK, markersize=3.5, gid=says(text))
    curve = results.margins.curve
    if curve:
        axes.plot([point.margin for point in curve], [point.chance for point in curve], color=INK, linewidth=STROKE)
    unsquashed(axes, np.abs(margins))
    axes.axvline(0, color=LINE, linewidth=0.8, zorder=0)
    axes.axhline(0.5, color=LINE, linewidth=0.8, zorder=0)
    axes.set_ylim(-0.06, 1.06)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylabel(f"Votes for\n{a}" if report.study.are_several else f"Votes for {a}")
    axes.set_xlabel(f"Margin, {' minus '.join(report.study.sides)}, points of score")
    return figure


def _binned(margins: Floats, shares: Floats, votes: Floats) -> list[tuple[float, float, int]]:
    """Return the mean margin, the share of votes for A and the size of groups of equally many comparisons."""
    groups = np.array_split(np.argsort(margins, kind="stable"), min(_BINS, len(margins)))
    return [
        (float(margins[group].mean()), float(np.average(shares[group], weights=votes[group])), len(group))
        for group in groups
    ]


def map_of_disagreements(report: AgreementReport, results: Results) -> Figure:
    """Draw each comparison at its margin and its lead in votes: grey if both name the same model, else hollow."""
    figure, axes = new_axes(2.4)
    both = [
        row for row in results.comparisons if row.people_winner in MODEL_SHAPES and row.metric_winner in MODEL_SHAPES
    ]
    both = both[:: mark_step(len(both))]
    same = [_place(row) for row in both if row.agrees]
    if same:
        x, y = np.array(same).T
        axes.scatter(x, y, s=9, color=QUIET, alpha=0.35, linewidths=0)
    for winner, shape in MODEL_SHAPES.items():
        colour = INK if report.study.are_several else MODEL_COLOURS[winner]
        look: dict[str, Any] = {"markersize": 4.4, "markerfacecolor": "none", "markeredgecolor": colour}
        for row in both:
            if not row.agrees and row.people_winner == winner:  # a mark of its own, which a page finds by its id
                x, y = _place(row)
                axes.plot(x, y, shape, markeredgewidth=1.1, gid=f"comparison-{row.position}", **look)
    unsquashed(axes, [abs(row.margin or 0.0) for row in both])
    axes.axvline(0, color=LINE, linewidth=0.8, zorder=0)
    axes.axhline(0, color=LINE, linewidth=0.8, zorder=0)
    axes.set_ylim(-1.15, 1.15)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylabel("Lead in votes")
    axes.set_xlabel(f"Margin, {' minus '.join(report.study.sides)}, points of score")
    shown = disagreements(results.comparisons, results.image_noise)[:MOST_SHOWN]
    _number(figure, axes, [one.row for one in shown], [_place(row) for row in both])
    return figure


def _number(figure: Figure, axes: Axes, rows: Sequence[ComparisonRow], marks: Sequence[tuple[float, float]]) -> None:
    """Write each comparison's number beside its mark, where it hides no mark and no other number and leaves no axis.

    A number that finds no room next to its mark stands farther away, at the end of a line. The size of the axes is
    that before the layout, which makes room for labels: about right is enough.
    """
    size = 72 * figure.get_size_inches() - (50, 40)
    to_share = axes.transScale + axes.transLimits
    taken = to_share.transform(marks) * size  # in points
    for row in rows:
        text, at = str(row.position), to_share.transform(_place(row)) * size
        half = np.array([_DIGIT * len(text), 1.5 * SMALL]) / 2  # of the number and the space above it
        middles = at + _PLACES
        is_outside = ((middles < half) | (middles > size - half)).any(axis=1)
        hides = (np.abs(taken - middles[:, np.newaxis]) < half + _MARK).all(axis=2).sum(axis=1)
        best = int(np.argmin(np.where(is_outside, len(taken), hides)))
        line = {"arrowstyle": "-", "color": QUIET, "linewidth": 0.5, "shrinkA": 0, "shrinkB": _MARK}
        look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SMALL, "textcoords": "offset points"}
        is_far = best >= len(_DIRECTIONS)
        axes.annotate(text, _place(row), xytext=_PLACES[best], arrowprops=line if is_far else None, **look)
        digits = [(_DIGIT * (place - (len(text) - 1) / 2), 0.0) for place in range(len(text))]
        taken = np.vstack([taken, middles[best] + digits])


def _place(row: ComparisonRow) -> tuple[float, float]:
    """Return the margin, and the share of votes for A minus that for B."""
    votes = row.votes_a + row.votes_b + row.votes_tie
    return row.margin or 0.0, (row.votes_a - row.votes_b) / votes


def by_annotator(report: AgreementReport, results: Results) -> Figure:
    """Draw a dot for each annotator, or one in k of them; the axis of time is logarithmic if times differ tenfold."""
    timed = timed_annotators(results.bias, report)
    figure, axes = new_axes(1.8)
    times, agreements, votes = zip(*timed[:: mark_step(len(timed))], strict=True)
    axes.scatter(times, agreements, s=(2 + 0.8 * np.log1p(votes)) ** 2, color=INK, alpha=0.55, linewidths=0)
    if min(times) > 0 and max(times) > 10 * min(times):
        axes.set_xscale("log")
    axes.set_ylim(-0.05, 1.05)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylabel("Agreement\nwith the others")
    axes.set_xlabel("Median response time, seconds")
    return figure
