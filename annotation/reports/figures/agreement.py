"""Draw how often the metric and the votes agree: by treatment of ties, by margin, and over bootstrap resamples."""

from matplotlib.figure import Figure

from annotation.reports.figures.forest import Mark, forest
from annotation.reports.figures.style import (
    INK,
    LINE,
    MODEL_COLOURS,
    MODEL_SHAPES,
    PERCENT,
    QUIET,
    STROKE,
    new_axes,
    percents,
    says,
)
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.drawn_numbers import agreement_numbers, claim_numbers
from annotation.reports.printing.sentences import within
from jobs.wording import counted
from scoring.statistics.agreement.calibration import MarginBin

_WIDEST = 8  # letters of a bin's line, above which five of them touch each other in 85 mm


def claim(report: AgreementReport, results: Results) -> Figure:
    """Draw the numbers of the claim."""
    *first, last = claim_marks(report, results)
    of_single = ((">", INK), ("<", INK)) if results.single_votes else ()
    baseline = results.agreement.baseline.agreement.value
    return forest(claim_numbers(report, results.claimed), (*first, *of_single, last), baseline=baseline)


def claim_marks(report: AgreementReport, results: Results) -> tuple[Mark, Mark, Mark, Mark]:
    """Return the marks of the four large numbers: agreement, constant choice, one annotator, reliability."""
    models = results.agreement.baseline.models
    is_of_one = len(models) == 1 and not report.study.are_several
    of_baseline = (MODEL_SHAPES[models[0]], MODEL_COLOURS[models[0]]) if is_of_one else ("P", QUIET)
    return ("D", INK), of_baseline, ("^", INK), ("v", INK)


def by_treatment_of_ties(_report: AgreementReport, results: Results) -> Figure:
    """Draw agreement under the three treatments of ties, a shape for each kind of interval."""
    numbers = agreement_numbers(results.agreement)
    shapes = {"Wilson": "D", "score interval": "D", "Clopper-Pearson": "v", "bootstrap": "^"}
    marks = tuple((shapes[row.label.rpartition(", ")[2]], INK) for row, _ in numbers)
    return forest(numbers, marks, baseline=results.agreement.baseline.agreement.value)


def by_margin(_report: AgreementReport, results: Results) -> Figure:
    """Draw agreement in each bin of margins with its interval. The bins stand at equal distances, named below."""
    figure, axes = new_axes(1.75)
    bins = results.margins.by_margin
    for place, row in enumerate(bins):
        estimate = row.agreement
        if estimate.value is None or estimate.low is None or estimate.high is None:
            continue
        axes.plot([place, place], [estimate.low, estimate.high], color=INK, linewidth=STROKE)
        text = f"Margin {_span(row)}: they agree on {within(estimate)} of "
        text += counted(estimate.n, "comparison")
        axes.plot([place], [estimate.value], "D", color=INK, markersize=4, gid=says(text))
    baseline = results.agreement.baseline.agreement.value
    if baseline is not None:
        axes.axhline(baseline, color=QUIET, linewidth=1, linestyle="dotted", zorder=0)
    axes.set_ylim(-0.06, 1.06)  # a mark at 0 or 100 % is whole
    axes.set_xlim(-0.6, len(bins) - 0.4)
    labels = [_span(row).replace(" ", "\n", 1) for row in bins]
    if max(len(line) for label in labels for line in label.split("\n")) > _WIDEST:
        labels = [label.replace(" ", "\n") for label in labels]
    axes.set_xticks(range(len(bins)), labels)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylabel("Agreement")
    axes.set_xlabel("Size of the margin, points of score")
    return figure


def _span(row: MarginBin) -> str:
    """Return the margins of a bin in words; one if they are equal when they are printed."""
    low, high = _short(row.low), _short(row.high)
    return low if low == high else f"{low} to {high}"


def _short(margin: float) -> str:
    """Return a margin to two significant digits, or to all before the decimal point."""
    return f"{margin:.0f}" if margin >= 10 else f"{margin:.2g}"


def bootstrap(_report: AgreementReport, results: Results) -> Figure:
    """Draw the resampled agreements as bars, the interval as a shade, the estimate as a line."""
    figure, axes = new_axes(1.5)
    bars = results.sensitivity.bootstrap
    estimate = results.agreement.bootstrap
    if estimate.low is not None and estimate.high is not None:
        axes.axvspan(estimate.low, estimate.high, color=LINE, alpha=0.5, linewidth=0, zorder=0)
    width = bars[0].high - bars[0].low
    axes.bar([(bar.low + bar.high) / 2 for bar in bars], [bar.resamples for bar in bars], 0.86 * width, color=QUIET)
    if estimate.value is not None:
        axes.axvline(estimate.value, color=INK, linewidth=STROKE)
    percents(axes.xaxis, bars[-1].high - bars[0].low)
    axes.set_ylabel("Resamples")
    axes.set_xlabel(f"Agreement ({results.agreement.endpoint})")
    return figure
