"""The curves of a plan as one drawing."""

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from annotation.reports.figures.svg import INK, MODEL_A_COLOUR, QUIET, STYLE, as_file, to_svg
from annotation.reports.plan.rendering import NAMES
from annotation.studies.planning.sample_size import Curve, StudyPlan

NAME = "plan"
_WIDTH, _HEIGHT = 5.6, 7.2  # inches, as wide as the report's figures


def plan_figure(plan: StudyPlan, *, is_dark: bool = False) -> str:
    """An SVG file: power against prompts (with the exact sawtooth), annotators, and images, goals as dotted lines.

    Equal plans give equal bytes.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT))
        panels = figure.subplots(len(plan.curves), 1, sharey=True)
        for axes, curve in zip(panels, plan.curves, strict=True):
            _draw(axes, curve, plan)
        _draw_sawtooth(panels[0], plan)
        return as_file(to_svg(figure, name=NAME), is_dark=is_dark)


def caption(plan: StudyPlan) -> str:
    """What the drawing shows, n, and the method."""
    chance = plan.question.chance
    return (
        "Chance that the report says that the metric beats always naming one model, by number of prompts, annotators "
        "and images, the rest as planned (hollow mark: planned). "
        f"Dots: {chance.simulations:,} simulated studies each, seed {chance.seed}; bars: their 95 % Wilson intervals. "
        "Blue line in the first panel: the exact binomial test against a known baseline, without noise of votes. "
        "Dotted: the chance wanted."
    )


def _draw(axes: Axes, curve: Curve, plan: StudyPlan) -> None:
    sizes = [point.x for point in curve.points]
    powers, lows, highs = (
        [getattr(point.power, bound) for point in curve.points] for bound in ("value", "low", "high")
    )
    axes.axhline(plan.question.goal.power, color=QUIET, linestyle="dotted", linewidth=1.2)
    axes.plot(sizes, powers, color=INK, linewidth=1.2)
    axes.vlines(sizes, lows, highs, INK)
    fills = ["white" if size == curve.planned else INK for size in sizes]
    axes.scatter(sizes, powers, c=fills, edgecolors=INK, s=30, zorder=3)
    axes.set_xlabel(NAMES[curve.of].capitalize())
    axes.set_ylabel("Power")
    axes.set_ylim(-0.03, 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_sawtooth(axes: Axes, plan: StudyPlan) -> None:
    most = max(point.x for point in plan.curves[0].points)
    shown = [pair for pair in zip(plan.exact.sizes, plan.exact.powers, strict=True) if pair[0] <= most]
    sizes, powers = [size for size, _ in shown], [power for _, power in shown]
    axes.plot(sizes, powers, color=MODEL_A_COLOUR, linewidth=0.9, label="exact test, known winners", zorder=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0, fontsize=9)
