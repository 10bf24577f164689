"""Drawings of the votes by comparison, and of annotators' agreement with the others against their response time."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from annotation.reports.agreement_report import AgreementReport, Results
from annotation.reports.figures.svg import INK, MODEL_A_COLOUR, MODEL_B_COLOUR, TIE_COLOUR
from annotation.reports.sections.blocks import mark_step
from annotation.reports.sections.voters import timed_voters
from jobs.wording import counted

WIDTH = 5.6  # inches, as all figures
_PERCENT = PercentFormatter(xmax=1, decimals=0, symbol=" %")


def votes_by_comparison(_report: AgreementReport, found: Results) -> Figure:
    """Stacked steps, so that two thousand comparisons are three shapes and not six thousand."""
    counts = np.array([(row.votes_a, row.votes_tie, row.votes_b) for row in found.comparisons], dtype=np.float64)
    counts = counts[counts.any(axis=1)]
    shares = counts / counts.sum(axis=1, keepdims=True)
    shares = shares[np.lexsort((shares[:, 1], -shares[:, 0]))][:: mark_step(len(counts))]
    edges, tops = np.arange(len(shares) + 1), np.cumsum(shares, axis=1)
    figure = Figure(figsize=(WIDTH, 2.6))
    axes = figure.add_subplot()
    bottoms = np.column_stack([np.zeros(len(shares)), tops[:, :2]])
    looks = ((MODEL_A_COLOUR, "A", ""), (TIE_COLOUR, "tie", ".."), (MODEL_B_COLOUR, "B", "//"))
    for column, (colour, name, hatch) in enumerate(looks):
        if not shares[:, column].any():
            continue
        lower, upper = (np.append(line[:, column], line[-1:, column]) for line in (bottoms, tops))
        look: dict[str, Any] = {"facecolor": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        axes.fill_between(edges, lower, upper, step="post", label=name, **look)
    axes.set_xlim(0, len(shares))
    axes.set_ylim(0, 1)
    axes.set_xticks([])
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_xlabel(f"{counted(len(counts), 'comparison')}, by their share of votes for A")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, borderaxespad=0, fontsize=10)
    return figure


def voters(report: AgreementReport, found: Results) -> Figure:
    """One dot an annotator, or for one in so many; the axis of time is logarithmic where times differ tenfold."""
    timed = timed_voters(report, found)
    figure = Figure(figsize=(WIDTH, 2.8))
    axes = figure.add_subplot()
    times, agreements, votes = zip(*timed[:: mark_step(len(timed))], strict=True)
    axes.scatter(times, agreements, s=(4 + 1.6 * np.log1p(votes)) ** 2, color=INK, alpha=0.55, linewidths=0)
    if min(times) > 0 and max(times) > 10 * min(times):
        axes.set_xscale("log")
    axes.set_ylim(-0.05, 1.05)
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_ylabel("Agreement with the others")
    axes.set_xlabel("Median response time, seconds")
    return figure
