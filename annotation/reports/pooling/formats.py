"""A pool as text, as JSON, and as a forest plot."""

import json

from annotation.reports.figures.forest import forest
from annotation.reports.figures.style import INK, QUIET, drawing_style
from annotation.reports.figures.svg import as_file, to_svg
from annotation.reports.formats.document import as_document
from annotation.reports.pooling.studies import Pool
from annotation.reports.printing.blocks import Row, bracketed
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
    pooled: tuple[tuple[str, Estimate], ...] = ()
    if pool.pooled.mean.is_defined:
        pooled = (("All together", pool.pooled.mean), ("A further study", pool.pooled.prediction))
    rows = (*((study.name, study.agreement) for study in pool.studies), *pooled)
    numbers = tuple((Row(name, _cell(estimate)), estimate) for name, estimate in rows)
    marks = [("D", QUIET)] * len(pool.studies) + [("D", INK)] * len(pooled)
    with drawing_style():
        return as_file(to_svg(forest(numbers, marks), name="pool"))


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
