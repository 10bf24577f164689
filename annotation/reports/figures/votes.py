"""Draw the votes: by comparison, by margin, and by annotator against the response time."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from annotation.reports.figures.svg import INK, LINE, MODEL_COLOURS, PERCENT, QUIET, TIE_COLOUR, legend_above, new_axes
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.blocks import mark_step
from annotation.reports.sections.people.bias import timed_annotators
from jobs.wording import counted


def by_comparison(report: AgreementReport, results: Results) -> Figure:
    """Draw the shares of each comparison as stacked steps: three shapes, however many comparisons there are."""
    counts = np.array([(row.votes_a, row.votes_tie, row.votes_b) for row in results.comparisons], dtype=np.float64)
    counts = counts[counts.any(axis=1)]
    shares = counts / counts.sum(axis=1, keepdims=True)
    shares = shares[np.lexsort((shares[:, 1], -shares[:, 0]))][:: mark_step(len(counts))]
    edges, tops = np.arange(len(shares) + 1), np.cumsum(shares, axis=1)
    figure, axes = new_axes(2.6)
    bottoms = np.column_stack([np.zeros(len(shares)), tops[:, :2]])
    a, b = report.study.sides
    colours = (INK, QUIET) if report.study.are_several else (MODEL_COLOURS["A"], MODEL_COLOURS["B"])
    looks = ((colours[0], a, ""), (TIE_COLOUR, "tie", ".."), (colours[1], b, "//"))
    for column, (colour, name, hatch) in enumerate(looks):
        if not shares[:, column].any():
            continue
        lower, upper = (np.append(line[:, column], line[-1:, column]) for line in (bottoms, tops))
        look: dict[str, Any] = {"facecolor": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        axes.fill_between(edges, lower, upper, step="post", label=name, **look)
    axes.set_xlim(0, len(shares))
    axes.set_ylim(0, 1)
    axes.set_xticks([])
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_xlabel(
        f"{counted(len(counts), 'comparison')}, by their share of votes for {report.study.sides_in_words[0]}"
    )
    legend_above(axes, columns=3)
    return figure


def calibration_curve(report: AgreementReport, results: Results) -> Figure:
    """Draw the share of votes for A of each comparison at its margin, and the fitted curve."""
    figure, axes = new_axes(2.9)
    dots = [
        (row.margin, row.votes_a / (row.votes_a + row.votes_b), row.votes_a + row.votes_b)
        for row in results.comparisons
        if row.margin is not None and row.votes_a + row.votes_b
    ]
    margins, shares, votes = np.array(dots[:: mark_step(len(dots))], dtype=np.float64).reshape(-1, 3).T
    axes.scatter(margins, shares, s=(3 + 2 * np.log1p(votes)) ** 2, color=QUIET, alpha=0.45, linewidths=0)
    curve = results.margins.curve
    if curve:
        axes.plot([point.margin for point in curve], [point.chance for point in curve], color=INK, linewidth=1.8)
    axes.axvline(0, color=LINE, linewidth=1, zorder=0)
    axes.axhline(0.5, color=LINE, linewidth=1, zorder=0)
    axes.set_ylim(-0.06, 1.06)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylabel(f"Votes for {report.study.sides_in_words[0]}")
    axes.set_xlabel(f"Margin, {' minus '.join(report.study.sides)}, points of score")
    return figure


def by_annotator(report: AgreementReport, results: Results) -> Figure:
    """Draw a dot for each annotator, or one in k of them; the axis of time is logarithmic if times differ tenfold."""
    timed = timed_annotators(results.bias, report)
    figure, axes = new_axes(2.8)
    times, agreements, votes = zip(*timed[:: mark_step(len(timed))], strict=True)
    axes.scatter(times, agreements, s=(4 + 1.6 * np.log1p(votes)) ** 2, color=INK, alpha=0.55, linewidths=0)
    if min(times) > 0 and max(times) > 10 * min(times):
        axes.set_xscale("log")
    axes.set_ylim(-0.05, 1.05)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylabel("Agreement with the others")
    axes.set_xlabel("Median response time, seconds")
    return figure
