"""The agreement with people as a function of the metric's margin. Pure."""

from annotation.reports.findings.agreement.agreement import Confusion
from annotation.reports.findings.agreement.margins import Margins
from annotation.reports.findings.study.study_facts import Facts, StudyFacts
from annotation.reports.printing.blocks import (
    UNDEFINED,
    Figure,
    Row,
    Section,
    Table,
    bracketed,
    coefficient_row,
    mark_step,
    share_row,
)
from annotation.reports.printing.numbers import coefficient, percent, score
from annotation.reports.printing.phrases import constant_choice
from scoring.statistics.inference.estimate import Estimate


def section(values: tuple[Margins, Confusion], facts: Facts) -> Section:
    """Votes as a function of the margin, agreement by its size, and the tie threshold."""
    margins, confusion = values
    fit = margins.calibration
    penalised = " The margins separate the votes: Firth's penalised fit." if fit.is_penalised else ""
    text = (
        "A metric that knows how sure it is has larger margins where the votes confirm it. Logistic regression of "
        f"the votes on the margin, one row for each comparison, errors clustered by base prompt.{penalised} Ties: the "
        "margin up to which naming no winner is most accurate (Deutsch, Foster and Freitag, 2023)."
    )
    table = Table(
        "Agreement by size of the margin, strict, Wilson's interval",
        ("From", "To", "Comparisons", "Agreement", "Interval"),
        tuple(
            (score(row.low), score(row.high), str(row.agreement.n), *_share(row.agreement)) for row in margins.by_margin
        ),
        (0, 1, 2, 3, 4),
    )
    rows, tables = _rows(margins, confusion, facts.study), (table,) if table.rows else ()
    return Section("calibration", "Margin and agreement", (text,), rows, tables, _figures(margins, facts.study))


def _rows(margins: Margins, confusion: Confusion, study: StudyFacts) -> tuple[Row, ...]:
    fit, ties, n = margins.calibration, margins.ties, margins.calibration.slope.n
    a, _ = study.sides_in_words
    rows = [
        coefficient_row(f"Log-odds of a vote for {a} at equal scores", fit.intercept),
        coefficient_row(f"Log-odds of a vote for {a} per point of margin", fit.slope),
        _brier_row("Brier score of the fit, cross-fitted by cluster", fit.brier, n, fit.reason),
        _brier_row("Brier score of always saying the overall share", fit.reference, n, fit.reason),
        coefficient_row(
            "AUC of the margin's size for agreement", margins.auc, remark="one half: a larger margin is no surer"
        ),
        share_row(
            "Accuracy with calibrated ties, held out", ties.held_out, remark=ties.note or _never_deciding(confusion)
        ),
    ]
    if ties.threshold is not None and ties.in_sample is not None:
        remark = f"accuracy with it on the same comparisons {percent(ties.in_sample)}, too good by construction"
        best = score(ties.threshold)
        rows.append(Row("Best tie threshold, points of score", best, n=ties.held_out.n, remark=remark))
    return tuple(rows)


def _never_deciding(confusion: Confusion) -> str:
    """The accuracy of never naming a winner, to be read beside an accuracy with ties."""
    by_people = [sum(row) for row in confusion.counts]
    tied = dict(zip(confusion.labels, by_people, strict=True))["tie"]
    return f"never naming a winner reaches {percent(tied / sum(by_people))}" if tied else ""


def _brier_row(label: str, value: float | None, n: int, reason: str) -> Row:
    return Row(label, UNDEFINED, n=n, remark=reason) if value is None else Row(label, coefficient(value), n=n)


def _share(estimate: Estimate) -> tuple[str, str]:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return UNDEFINED, ""
    return percent(estimate.value), bracketed(estimate.low, estimate.high, percent)


def _figures(margins: Margins, study: StudyFacts) -> tuple[Figure, ...]:
    if not margins.by_margin:
        return ()
    n = sum(row.agreement.n for row in margins.by_margin)
    by_margin = (
        f"Strict agreement in up to five bins of the margin's size with about equally many comparisons, n = {n}; bars "
        f"are Wilson's {100 * margins.auc.level:g} % intervals. The dotted line is {constant_choice(study)}."
    )
    words = "; ".join(f"{score(row.low)} to {score(row.high)}: {_share(row.agreement)[0]}" for row in margins.by_margin)
    step = mark_step(n)
    each = "a dot a comparison" if step == 1 else f"a dot for one comparison in {step}"
    curve = (
        f"Share of votes for {study.sides_in_words[0]} against the margin, ties left out: {each}, n = {n}; larger dots "
        "stand for more votes. Diamonds: groups of equally many comparisons. The axis is stretched near zero if a few "
        "margins are far larger."
    )
    if margins.curve:
        slope = margins.calibration.slope
        curve += f" Line: logistic regression, slope {coefficient(slope.value or 0.0)} a point ({slope.method})."
        said = f"from {percent(margins.curve[0].chance)} at {score(margins.curve[0].margin)} to "
        said += f"{percent(margins.curve[-1].chance)} at {score(margins.curve[-1].margin)}"
    else:
        curve += f" No line: {margins.calibration.reason}."
        said = f"no fit: {margins.calibration.reason}"
    return (
        Figure("margin", "Agreement by margin", by_margin, words),
        Figure("calibration", "Votes and margin", curve, said),
    )
