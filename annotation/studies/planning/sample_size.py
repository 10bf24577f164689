"""Compute the size that a study needs: by simulation of everything between vote and report, and exactly for the test.

Pure; every draw comes from the plan's seed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.studies.planning.question import LEAST_SIMULATIONS, MOST_PROMPTS, Question, refuse_impossible
from annotation.studies.planning.simulated_studies import Point, simulated
from jobs.refusals import Refused
from scoring.statistics.studies.power import (
    AgainstBaseline,
    NeededComparisons,
    comparisons_for_width,
    expected_width,
    needed_comparisons,
    power,
)

# The points of the curves, as multiples of the planned number.
_PROMPT_FRACTIONS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
_ANNOTATOR_FRACTIONS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
_VOTE_COUNTS = (1, 3, 5, 7, 9, 11)
_IMAGE_COUNTS = (2, 3, 5, 8, 12, 20, 30, 50)
_GROWTH = 1.5  # from the largest number of prompts to the next one, until the power is reached
_FINENESS = 0.05  # the gap, as a share, between the fewest prompts that reach the power and the next fewer simulated


@dataclass(frozen=True, slots=True)
class Exact:
    """The comparisons that the exact one-sided test needs and that the width needs, without any noise of votes.

    needed, for_width: independent comparisons; None, with `reason`, if no number is enough. design_effect: how many
    times as many are needed in clusters. sizes, powers: the sawtooth around it, and planned_power, planned_width: for
    the planned prompts; all with the clusters.
    """

    needed: NeededComparisons | None
    for_width: int | None
    design_effect: float
    planned_power: float
    planned_width: float
    sizes: tuple[int, ...]
    powers: tuple[float, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Points for several numbers `of` prompts, votes, annotators or images, the others as planned. enough: see
    `_enough`."""

    of: str
    planned: int
    points: tuple[Point, ...]
    enough_for_power: int | None
    enough_for_width: int | None


@dataclass(frozen=True, slots=True)
class Recommended:
    """The fewest prompts whose simulated studies reach the wanted power, with the annotators who give their votes."""

    point: Point
    overlap: int
    annotators: int
    comparisons_per_annotator: int


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """The answer to a question. recommended: None if no simulated number of prompts reaches the power."""

    question: Question
    annotators_needed: int
    recommended: Recommended | None
    exact: Exact
    curves: tuple[Curve, ...]

    @property
    def by_prompts(self) -> Curve:
        """The curve that the recommendation comes from."""
        return self.curves[0]


def plan_study(question: Question, *, most_prompts: int = MOST_PROMPTS) -> StudyPlan:
    """Compute the exact numbers and simulate the curves; the prompts go up to `most_prompts`, or to those planned.

    Raises Refused for a question that no study can answer.
    """
    refuse_impossible(question)
    by_prompts = _prompts_curve(question, max(most_prompts, question.design.prompts))
    by_images = (_images_curve(question),) if question.design.images else ()
    return StudyPlan(
        question=question,
        annotators_needed=question.annotators_needed,
        recommended=_recommended(question, by_prompts),
        exact=_exact(question),
        curves=(by_prompts, _votes_curve(question), _annotators_curve(question), *by_images),
    )


def affordable_prompts(question: Question, *, most: int, numbers: int) -> int:
    """Return the most prompts to try, up to `most`, if a point of the curve may draw so many random numbers.

    If allocation looks at votes, or annotators leave, the annotators grow with the prompts. Raises Refused if the
    planned prompts alone are too many.
    """
    simulations, prompts = question.chance.simulations, question.design.prompts
    turns = 1 if question.collects_alike else question.annotators
    if (affordable := numbers // (prompts * turns)) < simulations:
        fewer = f"ask for at most {affordable:,} simulations, or " if affordable >= LEAST_SIMULATIONS else ""
        raise Refused(f"This takes too long for a page: {fewer}run the command plan_study.")
    if question.collects_alike:
        return min(most, int(numbers / simulations))
    return min(most, int((numbers / simulations * prompts / question.annotators) ** 0.5))


def recommended_size(question: Question, *, most_prompts: int = MOST_PROMPTS) -> Recommended | None:
    """Return the recommendation alone, as `plan_study` finds it; None if no number of prompts reaches the power.

    Raises Refused for a question that no study can answer.
    """
    refuse_impossible(question)
    return _recommended(question, _prompts_curve(question, most_prompts))


def _recommended(question: Question, by_prompts: Curve) -> Recommended | None:
    enough = by_prompts.enough_for_power
    if enough is None:
        return None
    chosen = _of_size(question, prompts=enough)
    point = next(point for point in by_prompts.points if point.x == enough)
    return Recommended(point, chosen.design.overlap, chosen.annotators, chosen.design.quota)


# --- exact --------------------------------------------------------------------------------------
def _exact(question: Question) -> Exact:
    design, assumed, goal = question.design, question.assumptions, question.goal
    test = AgainstBaseline(assumed.baseline, goal.significance_level)
    needed, reason = None, ""
    try:
        needed = needed_comparisons(test, agreement=assumed.agreement, target=goal.power)
    except ValueError as error:
        reason = str(error)
    try:
        for_width = comparisons_for_width(goal.width, agreement=assumed.agreement, level=design.level)
    except ValueError as error:
        for_width, reason = None, "; ".join(filter(None, (reason, str(error))))
    sizes = _sawtooth_sizes(needed, question)
    planned = np.array([question.independent(design.prompts)])
    return Exact(
        needed=needed,
        for_width=for_width,
        design_effect=question.design_effect,
        planned_power=float(power(planned, test, agreement=assumed.agreement)[0]),
        planned_width=float(expected_width(planned, agreement=assumed.agreement, level=design.level)[0]),
        sizes=tuple(np.ceil(sizes * question.design_effect).astype(int).tolist()),
        powers=tuple(power(sizes, test, agreement=assumed.agreement).tolist()),
        reason=reason,
    )


def _sawtooth_sizes(needed: NeededComparisons | None, question: Question) -> NDArray[np.int64]:
    """Return every independent number for which the sawtooth matters, thinned if there are thousands."""
    planned = question.independent(question.design.prompts)
    last = max(planned, needed.safe if needed else planned)
    sizes = np.arange(2, last + last // 4 + 2)
    return sizes[:: max(1, len(sizes) // 1000)]


# --- curves -------------------------------------------------------------------------------------
def _prompts_curve(question: Question, most: int) -> Curve:
    """Vary the prompts until the power is reached, with as many annotators as they need unless that number is fixed.

    Then halve the gap before the fewest prompts that are enough, so that the plan asks for few more than needed.
    """
    planned = question.design.prompts
    points: dict[int, Point] = {}

    def simulate(size: int) -> None:
        points[size] = simulated(_of_size(question, prompts=size), x=size, images=question.design.images)

    for fraction in _PROMPT_FRACTIONS:
        simulate(min(most, max(2, round(planned * fraction))))
    most = most if question.assumptions.agreement > question.assumptions.baseline else max(points)  # else in vain
    while _curve("prompts", planned, question, points.values()).enough_for_power is None and max(points) < most:
        simulate(min(most, round(max(points) * _GROWTH)))
    while size := _between(_curve("prompts", planned, question, points.values())):
        simulate(size)
    return _curve("prompts", planned, question, points.values())


def _between(curve: Curve) -> int | None:
    """Return the middle of the gap before the fewest that are enough for the power; None if the gap is small."""
    enough = curve.enough_for_power
    fewer = [point.x for point in curve.points if enough is not None and point.x < enough]
    if enough is None or not fewer or enough - fewer[-1] <= max(1, _FINENESS * enough):
        return None
    return (enough + fewer[-1]) // 2


def _votes_curve(question: Question) -> Curve:
    """Vary the votes for each comparison, with as many annotators as they need unless that number is fixed."""
    return _by_design("overlap", question.design.overlap, question, _VOTE_COUNTS)


def _annotators_curve(question: Question) -> Curve:
    planned = question.annotators
    top = max(planned, question.annotators_needed)
    return _by_design("annotators", planned, question, (max(1, round(top * part)) for part in _ANNOTATOR_FRACTIONS))


def _images_curve(question: Question) -> Curve:
    sizes = {*_IMAGE_COUNTS, question.design.images}
    points = [simulated(question, x=size, images=size) for size in sizes]
    return _curve("images", question.design.images, question, points)


def _by_design(of: str, planned: int, question: Question, sizes: Iterable[int]) -> Curve:
    """Vary one number of the design, which the curve is named after."""
    points = [
        simulated(_of_size(question, **{of: size}), x=size, images=question.design.images) for size in {*sizes, planned}
    ]
    return _curve(of, planned, question, points)


def _of_size(question: Question, **sizes: Any) -> Question:
    return replace(question, design=replace(question.design, **sizes))


def _curve(of: str, planned: int, question: Question, unordered: Iterable[Point]) -> Curve:
    points = tuple(sorted(unordered, key=lambda point: point.x))
    goal = question.goal
    return Curve(
        of=of,
        planned=planned,
        points=points,
        enough_for_power=_enough(points, lambda point: (point.power.value or 0) >= goal.power),
        enough_for_width=_enough(points, lambda point: point.width <= goal.width),
    )


def _enough(points: Sequence[Point], is_reached: Callable[[Point], bool]) -> int | None:
    """Return the first size from which on every simulated size reaches the goal; None if the last one does not."""
    misses = [place for place, point in enumerate(points) if not is_reached(point)]
    first = misses[-1] + 1 if misses else 0
    return points[first].x if first < len(points) else None
