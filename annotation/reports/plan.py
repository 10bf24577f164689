"""The plan of a study in words, tables and a figure; as text, JSON and SVG. Pure."""

import json
import math

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from annotation.reports.figures.style import INK, MODEL_COLOURS, QUIET, SMALL, STROKE, drawing_style, new_figure
from annotation.reports.figures.svg import as_file, to_svg
from annotation.reports.formats.document import as_document
from annotation.reports.printing.blocks import Table
from annotation.reports.printing.numbers import percent
from annotation.studies.planning.question import Assumptions, Design, Question
from annotation.studies.planning.sample_size import Curve, StudyPlan
from annotation.studies.planning.simulated_studies import Point
from annotation.voting.rules import GIVEN_OUT_FIRST
from jobs.wording import counted
from scoring.statistics.inference.clusters import LEAST_CLUSTERS

SAWTOOTH = (
    "Between the two the chance goes up and down like a sawtooth: one comparison more may raise the number of "
    "agreements that the test asks for, and so lower the chance."
)
NAMES = {
    "prompts": "prompts",
    "overlap": "votes for each comparison",
    "annotators": "annotators",
    "images": "images in each set",
}
_PANEL_HEIGHT, _MARGIN_HEIGHT = 1.6, 0.8  # inches


def headline(plan: StudyPlan) -> str:
    """Return the answer: the study to plan, from the simulation, or that no simulated size reaches the power."""
    goal, chosen = plan.question.goal, plan.recommended
    if chosen is None:
        last = plan.by_prompts.points[-1]
        return (
            f"No number of comparisons up to {last.x:,} was found that reaches a chance of {percent(goal.power)}: "
            f"with {last.x:,} it is {_share(last)}. {_way_out(plan.question)}"
        )
    return (
        f"Plan {counted(chosen.point.x, 'comparison')}, {counted(chosen.overlap, 'vote')} each, "
        f"{counted(chosen.annotators, 'annotator')} of {counted(chosen.comparisons_per_annotator, 'comparison')}: "
        f"in {_share(chosen.point)} of {plan.question.chance.simulations:,} simulated studies the report shows that "
        f"the metric beats {plan.question.design.rival}."
    )


def _way_out(question: Question) -> str:
    supposed = question.assumptions
    if supposed.agreement <= supposed.baseline:
        return f"A metric that agrees no more often than {question.design.rival} cannot be shown to beat it."
    return "Plan more votes for each comparison, or accept a smaller chance."


def sentences(plan: StudyPlan) -> tuple[str, ...]:
    """Return which sizes reach the goals, and how studies were simulated."""
    return (*(_reached(curve, plan.question.design) for curve in plan.curves), _simulated(plan))


def tables(plan: StudyPlan) -> tuple[Table, ...]:
    """Return a table for each curve; the row as planned is marked."""
    return tuple(_table(curve, plan.question) for curve in plan.curves)


def to_text(plan: StudyPlan) -> str:
    """Return the plan as text for a terminal."""
    texts = (headline(plan), "\n".join(sentences(plan)), "\n".join(exact_sentences(plan)))
    parts = [*texts, *(_plain(table) for table in tables(plan))]
    return "\n\n".join(parts) + "\n"


def to_json(plan: StudyPlan) -> str:
    """Return the plan as one JSON document: the question, the exact numbers with the sawtooth, the curves."""
    return json.dumps(as_document(plan), indent=1, allow_nan=False) + "\n"


def exact_sentences(plan: StudyPlan) -> tuple[str, ...]:
    """Return the explanation: what the exact test needs, and the interval, without the noise of votes."""
    question, exact = plan.question, plan.exact
    supposed, goal, design = question.assumptions, question.goal, question.design
    agrees, beats = percent(supposed.agreement), percent(supposed.baseline)
    said = [f"No number of comparisons was found: {exact.reason}."] if exact.reason else []
    if exact.needed:
        said += [
            "Were the winner of every comparison known without error, and how often the constant choice is right, "
            f"fewer would do. Exact binomial test, one-sided at {goal.significance_level:g}: {exact.needed.first:,} "
            f"comparisons are the first number to show with a chance of {percent(goal.power)} that a metric which "
            f"agrees on {agrees} beats a constant choice that is right in {beats} (from "
            f"{exact.needed.rejects_from:,} agreements on); from {exact.needed.safe:,} on the chance never falls below "
            "that again.",
            SAWTOOTH,
        ]
    if exact.needed and exact.design_effect > 1:
        said.append(
            f"These are independent comparisons. In clusters of {design.cluster_size:g} with a correlation of "
            f"{supposed.cluster_correlation:g}, {exact.design_effect:.2f} times as many are needed (design effect): "
            f"{math.ceil(exact.needed.safe * exact.design_effect):,}."
        )
    if exact.for_width:
        said.append(
            f"An interval (Wilson, {percent(design.level)}) that is on average no wider than {goal.width:g} needs "
            f"{exact.for_width:,} comparison{'' if exact.for_width == 1 else 's'}."
        )
    said.append(
        f"With the {_prompts(design)} of the design this chance is {percent(exact.planned_power)} and the "
        f"interval {exact.planned_width:.3f} wide."
    )
    return tuple(said)


def _simulated(plan: StudyPlan) -> str:
    question, chance = plan.question, plan.question.chance
    design, supposed, point = question.design, question.assumptions, as_planned(plan.by_prompts)
    is_one = question.annotators == 1
    return (
        f"Whole studies were simulated ({chance.simulations:,} of each size, seed {chance.seed}). In the design, with "
        f"{_prompts(design)}, there are {counted(design.overlap, 'vote')} for each comparison"
        f"{_stopped(design, point)} by {counted(question.annotators, 'annotator')} ({plan.annotators_needed:,} "
        f"{'is' if plan.annotators_needed == 1 else 'are'} needed for every vote), who {'is' if is_one else 'are'} "
        f"given first the {GIVEN_OUT_FIRST[design.allocation]}; {_votes(supposed)}. Winners by votes then err, so that "
        f"the agreement seen is {percent(point.agreement)} on average, and the report, which takes "
        f"{_constant(design)} from the same votes and tests at {1 - design.level:.2g}, two-sided, says in "
        f"{_share(point)} of the studies that the metric beats it.{_clusters(question)}{_of_several(design)}"
    )


def _constant(design: Design) -> str:
    return "the constant choice" if design.models == 2 else design.rival


def _of_several(design: Design) -> str:
    """Return how the simulation of several models differs from that of two; empty for two."""
    if design.models == 2:
        return ""
    uncertain = (
        " The allocation of uncertain pairs first is simulated as fewest votes first, which gives each comparison "
        "equally many votes: the report's ranking uses the first votes of each comparison only."
        if design.are_uncertain_pairs_first
        else ""
    )
    return (
        f" The study has {design.models} models: all pairs are simulated as one, the comparisons of a prompt as "
        f"a cluster, and the ranking is not simulated.{uncertain}"
    )


def _votes(supposed: Assumptions) -> str:
    """The assumptions about votes and annotators."""
    said = [f"a vote goes to the winner in {percent(supposed.person)}"]
    if supposed.tie_share:
        said = [f"{percent(supposed.tie_share)} of the votes are ties, and {said[0]} of the others"]
    if supposed.learning:
        said.append(f"at the end of a session, and {percent(supposed.learning)} less clearly at its beginning")
    if supposed.dropout:
        said.append(f"{percent(supposed.dropout)} of the annotators leave early")
    return ", ".join(said)


def _clusters(question: Question) -> str:
    if question.design_effect == 1:
        return ""
    return (
        f" Comparisons share clusters of {question.design.cluster_size:g}: {question.design.prompts:,} tell as much as "
        f"{question.independent(question.design.prompts):,} independent ones, and so many were simulated; below "
        f"{LEAST_CLUSTERS} clusters there is no verdict."
    )


def _name(of: str, design: Design) -> str:
    """Return what a curve varies; with several models each prompt has several comparisons."""
    return "comparisons" if of == "prompts" and design.models > 2 else NAMES[of]


def _prompts(design: Design) -> str:
    return counted(design.prompts, _name("prompts", design).removesuffix("s"))


def _stopped(design: Design, point: Point) -> str:
    return f", or fewer once its winner is certain (on average {point.votes:.1f})," if design.early_stopping else ""


def _reached(curve: Curve, design: Design) -> str:
    name = _name(curve.of, design)
    goals = (("the power", curve.enough_for_power), ("the width", curve.enough_for_width))
    last = curve.points[-1].x
    words = [f"{goal} {f'from {size:,} on' if size else f'with none up to {last:,}'}" for goal, size in goals]
    return f"By number of {name}, the rest as planned, the goals are reached: {'; '.join(words)}."


def as_planned(curve: Curve) -> Point:
    """Return the point of the planned size."""
    return next(point for point in curve.points if point.x == curve.planned)


def _table(curve: Curve, question: Question) -> Table:
    name = _name(curve.of, question.design)
    head = (name.capitalize(), "Votes each", "With votes", "Agreement seen", "Interval's width", "Power")
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
    caption = f"By number of {name}, the rest as planned; {question.chance.simulations:,} simulated studies each"
    return Table(caption, head, rows, numeric=tuple(range(6)))


def _share(point: Point) -> str:
    """Return the power with the interval of the simulation."""
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


# --- figure -------------------------------------------------------------------------------------
def plan_figure(plan: StudyPlan, *, is_dark: bool = False, has_all: bool = True) -> str:
    """Return an SVG file of power against prompts (with the exact sawtooth), and if it has all, the other curves.

    Dotted lines show the goals. Equal plans give equal bytes.
    """
    curves = plan.curves if has_all else (plan.by_prompts,)
    with drawing_style():
        figure = new_figure(_PANEL_HEIGHT * len(curves) + (0 if has_all else _MARGIN_HEIGHT))
        panels = figure.subplots(len(curves), 1, sharey=True, squeeze=False)[:, 0]
        for axes, curve in zip(panels, curves, strict=True):
            _draw(axes, curve, plan)
        _draw_sawtooth(panels[0], plan)
        return as_file(to_svg(figure, name="plan"), is_dark=is_dark)


def short_caption(plan: StudyPlan) -> str:
    """Return the caption of the figure that has the first curve alone."""
    chance, design = plan.question.chance, plan.question.design
    return (
        f"Chance that the report says that the metric beats {design.rival}, by number of {_name('prompts', design)}. "
        f"Dots: {chance.simulations:,} simulated studies each, with 95 % intervals; diamond: as planned; dotted: the "
        "chance wanted; blue: the exact test, without noise of votes."
    )


def caption(plan: StudyPlan) -> str:
    """Return the caption of the figure: what is drawn, the number of simulated studies, and the method."""
    chance, design = plan.question.chance, plan.question.design
    varied = "votes, annotators and images" if design.images else "votes and annotators"
    return (
        f"Chance that the report says that the metric beats {design.rival}, by number of {_name('prompts', design)}, "
        f"{varied}, the rest as planned (diamond: planned). "
        f"Dots: {chance.simulations:,} simulated studies each, seed {chance.seed}; bars: their 95 % Wilson intervals. "
        "Blue line in the first panel: the exact binomial test against a known constant choice, without noise of "
        "votes. Dotted: the chance wanted."
    )


def _draw(axes: Axes, curve: Curve, plan: StudyPlan) -> None:
    sizes = [point.x for point in curve.points]
    powers, lows, highs = (
        [getattr(point.power, bound) for point in curve.points] for bound in ("value", "low", "high")
    )
    axes.axhline(plan.question.goal.power, color=QUIET, linestyle="dotted", linewidth=1)
    axes.plot(sizes, powers, color=INK, linewidth=STROKE)
    axes.vlines(sizes, lows, highs, INK, linewidth=1)
    for size, share in zip(sizes, powers, strict=True):  # a hollow mark would be filled on a dark page
        is_planned = size == curve.planned
        axes.scatter(size, share, color=INK, marker="D" if is_planned else "o", s=22 if is_planned else 11)
    axes.set_xlabel(_name(curve.of, plan.question.design).capitalize())
    axes.set_ylabel("Power")
    axes.set_ylim(-0.03, 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_sawtooth(axes: Axes, plan: StudyPlan) -> None:
    largest = max(point.x for point in plan.curves[0].points)
    shown = [pair for pair in zip(plan.exact.sizes, plan.exact.powers, strict=True) if pair[0] <= largest]
    sizes, powers = [size for size, _ in shown], [power for _, power in shown]
    axes.plot(sizes, powers, color=MODEL_COLOURS["A"], linewidth=0.7, label="exact test, known winners", zorder=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0, fontsize=SMALL)
