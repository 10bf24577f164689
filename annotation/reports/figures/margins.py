"""Drawings of agreement by margin and by number of images, of the calibration curve and of the bootstrap."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from annotation.reports.agreement_report import AgreementReport, Results
from annotation.reports.figures.svg import INK, LINE, MODEL_A_COLOUR, MODEL_B_COLOUR, QUIET
from annotation.reports.sections.blocks import mark_step
from annotation.reports.sections.claim import metric_name

WIDTH = 5.6  # inches, as all figures
_PERCENT = PercentFormatter(xmax=1, decimals=0, symbol=" %")


def by_margin(_report: AgreementReport, found: Results) -> Figure:
    """Agreement in each bin with its interval, at the middle of the bin."""
    figure, axes = _axes(2.7)
    for row in found.margins.by_margin:
        middle, estimate = (row.low + row.high) / 2, row.agreement
        if estimate.value is None or estimate.low is None or estimate.high is None:
            continue
        axes.plot([row.low, row.high], [estimate.value] * 2, color=LINE, linewidth=4, solid_capstyle="butt", zorder=0)
        axes.plot([middle, middle], [estimate.low, estimate.high], color=INK, linewidth=1.6)
        axes.plot([middle], [estimate.value], "o", color=INK, markersize=6)
    baseline = found.baseline.agreement.value
    if baseline is not None:
        axes.axhline(baseline, color=QUIET, linewidth=1.4, linestyle="dotted", zorder=0)
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_ylabel("Agreement")
    axes.set_xlabel("Size of the margin, points of score")
    return figure


def calibration_curve(_report: AgreementReport, found: Results) -> Figure:
    """Each comparison's share of votes for A at its margin, and the fitted curve."""
    figure, axes = _axes(2.9)
    dots = [
        (row.margin, row.votes_a / (row.votes_a + row.votes_b), row.votes_a + row.votes_b)
        for row in found.comparisons
        if row.margin is not None and row.votes_a + row.votes_b
    ]
    margins, shares, votes = np.array(dots[:: mark_step(len(dots))], dtype=np.float64).reshape(-1, 3).T
    axes.scatter(margins, shares, s=(3 + 2 * np.log1p(votes)) ** 2, color=QUIET, alpha=0.45, linewidths=0)
    curve = found.margins.curve
    if curve:
        axes.plot([point.margin for point in curve], [point.chance for point in curve], color=INK, linewidth=1.8)
    axes.axvline(0, color=LINE, linewidth=1, zorder=0)
    axes.axhline(0.5, color=LINE, linewidth=1, zorder=0)
    axes.set_ylim(-0.06, 1.06)
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_ylabel("Votes for A")
    axes.set_xlabel("Margin, A minus B, points of score")
    return figure


def by_images(_report: AgreementReport, found: Results) -> Figure:
    """Agreement, and winners as with all images, against the number of images a set, with percentiles as bands."""
    figure, axes = _axes(2.7)
    rows = found.image_noise.by_images
    counts = [row.images for row in rows]
    lines = (
        ("agreement with the votes", [row.agreement for row in rows], INK, "-"),
        ("winner as with all images", [row.same_winner for row in rows], QUIET, (0, (5, 2))),
    )
    for label, estimates, colour, dashes in lines:
        values = [np.nan if one.value is None else one.value for one in estimates]
        lows = [value if one.low is None else one.low for one, value in zip(estimates, values, strict=True)]
        highs = [value if one.high is None else one.high for one, value in zip(estimates, values, strict=True)]
        axes.plot(counts, values, color=colour, linestyle=dashes, linewidth=1.8, label=label)
        axes.fill_between(counts, lows, highs, color=colour, alpha=0.16, linewidth=0)
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Images a set")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0, fontsize=10)
    return figure


def scores_by_images(report: AgreementReport, found: Results) -> Figure:
    """Each model's mean score against the number of images: percentiles over subsets, and a single set's error."""
    figure, axes = _axes(2.7)
    noise = found.image_noise
    lines = (("A", noise.scores_a, MODEL_A_COLOUR, "-"), ("B", noise.scores_b, MODEL_B_COLOUR, (0, (5, 2))))
    for letter, rows, colour, dashes in lines:
        counts = [row.images for row in rows]
        values = np.array([row.score.value for row in rows], dtype=np.float64)
        errors = np.array([row.set_error for row in rows])
        lows = [value if row.score.low is None else row.score.low for row, value in zip(rows, values, strict=True)]
        highs = [value if row.score.high is None else row.score.high for row, value in zip(rows, values, strict=True)]
        axes.fill_between(counts, values - errors, values + errors, color=colour, alpha=0.1, linewidth=0)
        axes.fill_between(counts, lows, highs, color=colour, alpha=0.3, linewidth=0)
        axes.plot(counts, values, color=colour, linestyle=dashes, linewidth=1.8, label=letter)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Images a set")
    axes.set_ylabel(metric_name(report.study.metric).partition(" (")[0])
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0, fontsize=10)
    return figure


def bootstrap(_report: AgreementReport, found: Results) -> Figure:
    """Bars of the resampled agreements, the interval shaded, the estimate as a line."""
    figure, axes = _axes(2.3)
    bars = found.sensitivity.bootstrap
    estimate = getattr(found.agreement, found.agreement.endpoint).bootstrap
    if estimate.low is not None and estimate.high is not None:
        axes.axvspan(estimate.low, estimate.high, color=LINE, alpha=0.5, linewidth=0, zorder=0)
    width = bars[0].high - bars[0].low
    axes.bar([(bar.low + bar.high) / 2 for bar in bars], [bar.resamples for bar in bars], 0.86 * width, color=QUIET)
    axes.axvline(estimate.value, color=INK, linewidth=1.8)
    decimals = 0 if bars[-1].high - bars[0].low > 0.05 else 1  # ticks differ where all resamples lie close together
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=decimals, symbol=" %"))
    axes.set_ylabel("Resamples")
    axes.set_xlabel(f"Agreement ({found.agreement.endpoint})")
    return figure


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height))
    return figure, figure.add_subplot()
