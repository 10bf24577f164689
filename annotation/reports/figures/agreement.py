"""Draw how often the metric and the votes agree: by treatment of ties, by margin, and over bootstrap resamples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from annotation.reports.figures.svg import INK, LINE, MODEL_COLOURS, MODEL_SHAPES, PERCENT, QUIET, WIDTH, new_axes
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.blocks import Numbers, Row
from annotation.reports.sections import claim as claims
from annotation.reports.sections.agreement.agreement import agreement_numbers
from scoring.statistics.inference.estimate import Estimate

Mark = tuple[str, str]  # shape and colour


def claim(report: AgreementReport, results: Results) -> Figure:
    """Draw the numbers of the claim card."""
    baseline = results.agreement.baseline
    models = baseline.models
    is_of_one = len(models) == 1 and not report.study.are_several
    of_baseline = (MODEL_SHAPES[models[0]], MODEL_COLOURS[models[0]]) if is_of_one else ("P", QUIET)
    of_single = ((">", INK), ("<", INK)) if results.single_votes else ()
    marks = (("D", INK), of_baseline, ("^", INK), *of_single, ("v", INK))
    return _forest(claims.numbers(report, results), marks, baseline=baseline.agreement.value)


def by_treatment_of_ties(_report: AgreementReport, results: Results) -> Figure:
    """Draw agreement under the three treatments of ties, a shape for each kind of interval."""
    numbers = agreement_numbers(results.agreement)
    shapes = {"Wilson": "D", "score interval": "D", "Clopper-Pearson": "v", "bootstrap": "^"}
    marks = tuple((shapes[row.label.rpartition(", ")[2]], INK) for row, _ in numbers)
    return _forest(numbers, marks, baseline=results.agreement.baseline.agreement.value)


def _forest(numbers: Numbers, marks: Sequence[Mark], *, baseline: float | None) -> Figure:
    """Draw each estimate with its interval on one axis from 0 (or the lowest bound) to 1."""
    figure = Figure(figsize=(WIDTH, 0.55 + 0.46 * len(numbers)))
    axes = figure.add_subplot()
    if baseline is not None:  # one piece for each number, so that it crosses no words
        heights = np.arange(len(numbers))
        at = np.full(len(numbers), baseline)
        axes.vlines(at, heights - 0.3, heights + 0.18, color=QUIET, linewidth=1.4, linestyle="dotted", zorder=0)
    for height, (number, mark) in enumerate(zip(reversed(numbers), reversed(marks), strict=True)):
        _draw_number(axes, number, mark, height)
    bounds = [bound for _, estimate in numbers for bound in (estimate.value, estimate.low) if bound is not None]
    axes.set_xlim(min([0.0, *bounds]) - 0.02, 1.02)
    axes.set_ylim(-0.5, len(numbers) - 0.3)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return figure


def _draw_number(axes: Axes, number: tuple[Row, Estimate], mark: Mark, height: int) -> None:
    """Draw one estimate: words above, the interval as a bar, the value as a shape."""
    (row, estimate), (shape, colour) = number, mark
    above: dict[str, Any] = {"transform": axes.get_yaxis_transform()}  # x as a share of the axis, y in estimates
    axes.text(0, height + 0.24, row.label, fontsize=10, color=QUIET, **above)
    axes.text(1, height + 0.24, f"{row.value} {row.interval}".strip(), ha="right", fontweight="bold", **above)
    if estimate.value is None:
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [height, height], color=colour, linewidth=2)
    axes.plot([estimate.value], [height], shape, color=colour, markersize=7)


def by_margin(_report: AgreementReport, results: Results) -> Figure:
    """Draw agreement in each bin of margins with its interval, at the middle of the bin."""
    figure, axes = new_axes(2.7)
    for row in results.margins.by_margin:
        middle, estimate = (row.low + row.high) / 2, row.agreement
        if estimate.value is None or estimate.low is None or estimate.high is None:
            continue
        axes.plot([row.low, row.high], [estimate.value] * 2, color=LINE, linewidth=4, solid_capstyle="butt", zorder=0)
        axes.plot([middle, middle], [estimate.low, estimate.high], color=INK, linewidth=1.6)
        axes.plot([middle], [estimate.value], "D", color=INK, markersize=5)
    baseline = results.agreement.baseline.agreement.value
    if baseline is not None:
        axes.axhline(baseline, color=QUIET, linewidth=1.4, linestyle="dotted", zorder=0)
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylabel("Agreement")
    axes.set_xlabel("Size of the margin, points of score")
    return figure


def bootstrap(_report: AgreementReport, results: Results) -> Figure:
    """Draw the resampled agreements as bars, the interval as a shade, the estimate as a line."""
    figure, axes = new_axes(2.3)
    bars = results.sensitivity.bootstrap
    estimate = results.agreement.bootstrap
    if estimate.low is not None and estimate.high is not None:
        axes.axvspan(estimate.low, estimate.high, color=LINE, alpha=0.5, linewidth=0, zorder=0)
    width = bars[0].high - bars[0].low
    axes.bar([(bar.low + bar.high) / 2 for bar in bars], [bar.resamples for bar in bars], 0.86 * width, color=QUIET)
    if estimate.value is not None:
        axes.axvline(estimate.value, color=INK, linewidth=1.8)
    decimals = 0 if bars[-1].high - bars[0].low > 0.05 else 1  # ticks differ also if all resamples lie close together
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=decimals, symbol=" %"))
    axes.set_ylabel("Resamples")
    axes.set_xlabel(f"Agreement ({results.agreement.endpoint})")
    return figure
