"""A pool as text, as JSON, and as a forest plot."""

import json
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from annotation.reports.figures.svg import INK, PERCENT, QUIET, STYLE, WIDTH, as_file, to_svg
from annotation.reports.formats.document import as_document
from annotation.reports.pooling.studies import Pool
from annotation.reports.printing.blocks import bracketed
from annotation.reports.printing.numbers import TIE_RULES, interval, metric_name, percent
from jobs.wording import counted
from scoring.statistics.inference.estimate import Estimate


def to_text(pool: Pool) -> str:
    """Return the pool in sentences and one line for each study."""
    groups = len({study.group for study in pool.studies})
    lines = [
        f"{counted(len(pool.studies), 'study', 'studies')} together, {metric_name(pool.metric)}, "
        f"{TIE_RULES[pool.endpoint]}.",
        _mean(pool),
        _prediction(pool),
    ]
    if groups < len(pool.studies):
        lines.append(f"Studies that share prompts or annotators count as one: {groups} independent groups.")
    rows = [
        (row.name, row.bundle, counted(row.comparisons, "comparison"), f"group {row.group}", _cell(row.agreement))
        for row in pool.studies
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, "", *table, *(["", *pool.notices] if pool.notices else [])]) + "\n"


def to_json(pool: Pool) -> str:
    """Return the pool as one JSON document."""
    return json.dumps(as_document(pool), indent=1, allow_nan=False) + "\n"


def forest_plot(pool: Pool) -> str:
    """Return an SVG file: each study with its interval, then the mean, then a further study."""
    rows = [(study.name, study.agreement) for study in pool.studies]
    if pool.pooled.mean.is_defined:
        rows += [("All together", pool.pooled.mean), ("A further study", pool.pooled.prediction)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.7 + 0.46 * len(rows)))
        axes = figure.add_subplot()
        for height, (name, estimate) in enumerate(reversed(rows)):
            is_pooled = height < len(rows) - len(pool.studies)
            _draw(axes, name, estimate, height, is_pooled=is_pooled)
        bounds = [bound for _, estimate in rows for bound in (estimate.value, estimate.low) if bound is not None]
        axes.set_xlim(min(bounds, default=0.0) - 0.03, 1.02)
        axes.set_ylim(-0.6, len(rows) - 0.3)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(PERCENT)
        return as_file(to_svg(figure, name="pool"))


def _draw(axes: Axes, name: str, estimate: Estimate, height: int, *, is_pooled: bool) -> None:
    above: dict[str, Any] = {"transform": axes.get_yaxis_transform()}
    axes.text(0, height + 0.2, name, fontsize=10, color=INK if is_pooled else QUIET, **above)
    axes.text(1, height + 0.2, _cell(estimate), ha="right", fontsize=10, **above)
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [height, height], color=INK, linewidth=3 if is_pooled else 1.6)
    if estimate.value is not None:
        axes.plot([estimate.value], [height], "D", color=INK, markersize=7 if is_pooled else 5)


def _mean(pool: Pool) -> str:
    mean = pool.pooled.mean
    if mean.value is None:
        return f"No mean: {mean.reason}."
    spread = f"standard deviation between studies {pool.pooled.tau:.3f} on the logit scale"
    return f"Mean agreement {percent(mean.value)}, {interval(mean)}; {spread}."


def _prediction(pool: Pool) -> str:
    further = pool.pooled.prediction
    if further.value is None or further.low is None or further.high is None:
        return f"No interval for a further study: {further.reason}."
    return f"A further study of this kind: {interval(further)}."


def _cell(estimate: Estimate) -> str:
    if estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return percent(estimate.value)
    return f"{percent(estimate.value)} {bracketed(estimate.low, estimate.high, percent)}"
