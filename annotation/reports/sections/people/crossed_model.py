"""The crossed model of single votes. Pure."""

from annotation.reports.findings.study.study_facts import Facts, StudyFacts
from annotation.reports.printing.blocks import (
    UNDEFINED,
    Row,
    Section,
    Table,
    cells,
    coefficient_row,
    share_row,
)
from annotation.reports.printing.numbers import coefficient, percent, points, significant
from scoring.statistics.people.crossed_model.model import CrossedModel
from scoring.statistics.people.crossed_model.problem import (
    CLUSTERS,
    MARGIN,
    PROMPTS,
    SENSITIVITY,
    SIDE,
    SIDE_BIAS,
    TASTE,
)

_TITLE = "What makes a vote"
_NAMES = {
    MARGIN: "The metric's margin",
    PROMPTS: "Prompts, beside the margin",
    CLUSTERS: "Clusters of prompts, beside the margin",
    TASTE: "Annotators' taste for one model",
    SENSITIVITY: "Annotators' sensitivity to the margin",
    SIDE: "The side, with annotators' side bias",
    SIDE_BIAS: "Annotators' side bias",
    "chance": "Chance",
}


def section(model: CrossedModel, facts: Facts) -> Section:
    """Effects, shares of variance, expected agreements, and the precision of studies of other sizes."""
    a, _ = facts.study.sides_in_words
    text = (
        f"The crossed model takes the votes one by one. The log odds of a vote for {a} depend on the margin, on the "
        "side, and on prompts and annotators, who are drawn at random and independent of each other. It is a "
        "cumulative logit model if ties were voted, fitted by a Laplace approximation and corrected by the next "
        "term of its expansion. It says what a new annotator on a new prompt would do, and why."
    )
    if model.reason:
        return Section("crossed-model", _TITLE, (text, f"{UNDEFINED.capitalize()}: {model.reason}."))
    texts = (text, *(f"Warning: {warning}." for warning in model.warnings))
    return Section("crossed-model", _TITLE, texts, _rows(model, a), (_parts(model, facts.study), *_planned(model)))


def _rows(model: CrossedModel, a: str) -> tuple[Row, ...]:
    scale = significant(model.margin_scale or 0)
    return (
        coefficient_row(
            f"Log-odds of a vote for {a} for one standard deviation of the margin",
            model.slope,
            remark=f"the standard deviation is {scale} points of score",
        ),
        coefficient_row("Log-odds of a vote for the model on the left", model.side),
        coefficient_row(
            f"Log-odds of a vote for {a} at equal scores", model.intercept, remark="half-way between thresholds"
        ),
        *(
            coefficient_row(f"Threshold {k + 1}", one)
            for k, one in enumerate(model.thresholds)
            if len(model.thresholds) > 1
        ),
        share_row("Expected agreement of a new annotator with the metric, on a new prompt", model.with_metric),
        share_row("Expected agreement of a new annotator with another one, on a new prompt", model.with_another),
    )


def _parts(model: CrossedModel, study: StudyFacts) -> Table:
    """The variances of the effects, and the share that each has of the variance of a vote."""
    variances = {part.name: part.variance for part in model.variances}
    shares = {part.name: percent(part.share) for part in model.shares}
    rows = []
    names = _NAMES | ({TASTE: "Annotators' taste for the higher model"} if study.are_several else {})
    for name, words in names.items():
        variance, n = cells(variances[name], coefficient) if name in variances else ("", "")
        method = variances[name].method if name in variances and variances[name].low is not None else ""
        is_left_out = name in variances and variances[name].value is None
        rows.append((words, variance, n, method, "" if is_left_out else shares.get(name, "")))
    caption = "Variances on the scale of log odds, and shares of the variance of a vote"
    return Table(caption, ("Part", "Variance", "n", "Interval", "Share"), tuple(rows), (1, 2, 4))


def _planned(model: CrossedModel) -> tuple[Table, ...]:
    """Expected standard errors, one row for each number of prompts, one column for each number of annotators."""
    annotators = sorted({row.annotators for row in model.planned})
    errors = {(row.prompts, row.annotators): points(row.standard_error) for row in model.planned}
    rows = tuple(
        (str(prompts), *(errors[prompts, one] for one in annotators))
        for prompts in sorted({row.prompts for row in model.planned})
    )
    if not rows:
        return ()
    votes = significant(model.planned[0].votes)
    votes += " vote" if votes == "1" else " votes"
    caption = (
        "For planning: expected standard error of the agreement of single votes with the metric, by prompts (rows) and "
        f"annotators (columns), with {votes} on each prompt as in this study, if these variances are true"
    )
    head = ("Prompts", *(f"{one} annotators" for one in annotators))
    return (Table(caption, head, rows, tuple(range(len(head)))),)
