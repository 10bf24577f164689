"""A plan in words and tables, as text and JSON. Pure."""

import json

from annotation.reports.formats.document import as_document
from annotation.reports.sections.blocks import Table
from annotation.reports.sections.numbers import percent
from annotation.studies.planning.question import Design, Question
from annotation.studies.planning.sample_size import Curve, Exact, Point, StudyPlan
from annotation.voting.rules import GIVEN_OUT_FIRST
from jobs.wording import counted

SAWTOOTH = (
    "Between the two the chance goes up and down like a sawtooth: one comparison more may raise the number of "
    "agreements that the test asks for, and so lower the chance. Plan the safe number."
)
NAMES = {
    "prompts": "prompts",
    "annotators": "annotators",
    "images": "images in each set",
}


def sentences(plan: StudyPlan) -> tuple[str, ...]:
    """The answer, from the exact test to what the votes in between cost."""
    return (*_exact_sentences(plan.question, plan.exact), _simulated(plan), *map(_reached, plan.curves))


def tables(plan: StudyPlan) -> tuple[Table, ...]:
    """One table a curve; the row as planned is marked."""
    return tuple(_table(curve, plan.question) for curve in plan.curves)


def to_text(plan: StudyPlan) -> str:
    """For a terminal."""
    parts = ["\n".join(sentences(plan)), *(_plain(table) for table in tables(plan))]
    return "\n\n".join(parts) + "\n"


def to_json(plan: StudyPlan) -> str:
    """The plan as one JSON document: the question, the exact numbers with the sawtooth, the curves."""
    return json.dumps(as_document(plan), indent=1, allow_nan=False) + "\n"


def _exact_sentences(question: Question, exact: Exact) -> tuple[str, ...]:
    supposed, goal, design = question.assumptions, question.goal, question.design
    agrees, beats = percent(supposed.agreement), percent(supposed.baseline)
    found = [f"No number of comparisons was found: {exact.reason}."] if exact.reason else []
    if exact.needed:
        found += [
            f"Exact binomial test, one-sided at {goal.significance_level:g}: {exact.needed.first:,} comparisons are "
            f"the first number to show with a chance of {percent(goal.power)} that a metric which agrees on {agrees} "
            f"beats a baseline of {beats} (from {exact.needed.rejects_from:,} agreements on); from "
            f"{exact.needed.safe:,} on the chance never falls below that again.",
            SAWTOOTH,
        ]
    if exact.for_width:
        found.append(
            f"An interval (Wilson, {percent(design.level)}) that is on average no wider than {goal.width:g} needs "
            f"{exact.for_width:,} comparison{'' if exact.for_width == 1 else 's'}."
        )
    found.append(
        f"With the {design.prompts:,} prompts planned the chance is {percent(exact.planned_power)} and the interval "
        f"{exact.planned_width:.3f} wide, if the winner of every comparison were known without error."
    )
    return tuple(found)


def _simulated(plan: StudyPlan) -> str:
    design, supposed, chance = plan.question.design, plan.question.assumptions, plan.question.chance
    point = as_planned(plan.curves[0])
    return (
        f"It is not: {chance.simulations:,} studies were simulated (seed {chance.seed}), "
        f"{counted(design.overlap, 'vote')} for each comparison{_stopped(design, point)} by "
        f"{_annotators(design.annotators_planned)} ({plan.annotators_needed:,} "
        f"{'is' if plan.annotators_needed == 1 else 'are'} needed for every vote), who "
        f"{'is' if design.annotators_planned == 1 else 'are'} given first the "
        f"{GIVEN_OUT_FIRST[design.allocation]}; a vote goes to the winner in {percent(supposed.person)}, none to a "
        f"tie. Majorities then err, so that the agreement seen is {percent(point.agreement)} on average, and the "
        f"report, which takes the baseline from the same votes (exact McNemar at {1 - design.level:.2g}, two-sided), "
        f"says in {_share(point)} of the studies that the metric beats it."
    )


def _annotators(count: int) -> str:
    return f"{count:,} annotator" if count == 1 else f"{count:,} annotators"


def _stopped(design: Design, point: Point) -> str:
    return f", or fewer once its winner is certain (on average {point.votes:.1f})," if design.early_stopping else ""


def _reached(curve: Curve) -> str:
    name = NAMES[curve.of]
    goals = (("the power", curve.enough_for_power), ("the width", curve.enough_for_width))
    last = curve.points[-1].x
    words = [f"{goal} {f'from {size:,}' if size else f'not up to {last:,}'}" for goal, size in goals]
    return f"Of the simulated numbers of {name}, the rest as planned, these reach the goal: {'; '.join(words)}."


def as_planned(curve: Curve) -> Point:
    """The point of the size that is planned."""
    return next(point for point in curve.points if point.x == curve.planned)


def _table(curve: Curve, question: Question) -> Table:
    head = (NAMES[curve.of].capitalize(), "Votes each", "With votes", "Agreement seen", "Interval's width", "Power")
    rows = tuple(
        (
            f"{point.x:,}{' (planned)' if point.x == curve.planned else ''}",
            f"{point.votes:.1f}",
            f"{point.voted:,}",
            percent(point.agreement),
            f"{point.width:.3f}",
            _share(point),
        )
        for point in curve.points
    )
    caption = (
        f"By number of {NAMES[curve.of]}, the rest as planned; {question.chance.simulations:,} simulated studies each"
    )
    return Table(caption, head, rows, numeric=tuple(range(6)))


def _share(point: Point) -> str:
    """The power with the interval that the simulation leaves."""
    power = point.power
    assert power.value is not None and power.low is not None and power.high is not None  # noqa: S101, PT018
    return f"{percent(power.value)} [{100 * power.low:.0f}, {100 * power.high:.0f}]"


def _plain(table: Table) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(table.head, *table.rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in (table.head, *table.rows)
    ]
    return "\n".join((table.caption, *lines))
