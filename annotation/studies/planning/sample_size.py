"""How large a study must be: exactly for the test, by simulation for all that comes between a vote and the report.

A simulated study hands out its comparisons and stops early by its own rules, aggregates votes as the report does, and
asks what the report would say. Pure; every draw comes from the plan's seed.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from annotation.studies.planning.question import MOST_PROMPTS, Assumptions, Design, Question, refuse_impossible
from annotation.voting.simulation.dry_run import dry_run
from scoring.statistics.agreement import ORDER, TieTreatment, agreement, bootstrap_agreement
from scoring.statistics.chance import baseline
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import Resampling, wilson
from scoring.statistics.power import (
    AgainstBaseline,
    NeededComparisons,
    comparisons_for_width,
    expected_width,
    needed_comparisons,
    power,
)

_NUMBERS_AT_ONCE = 1_000_000
_HALF_CREDIT_RESAMPLES = 200
# Where the curves are drawn, as multiples of what is planned.
_FRACTIONS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
_IMAGE_COUNTS = (2, 3, 5, 8, 12, 20, 30, 50)


@dataclass(frozen=True, slots=True)
class Exact:
    """Without any noise of votes: the comparisons that the exact one-sided test needs, and those that the width needs.

    needed: None, with `reason`, where no number is enough. sizes, powers: the sawtooth around them.
    planned_power, planned_width: of the prompts planned.
    """

    needed: NeededComparisons | None
    for_width: int | None
    planned_power: float
    planned_width: float
    sizes: tuple[int, ...]
    powers: tuple[float, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Point:
    """Simulated studies of one size.

    x: the size. votes: for each comparison, on average. voted: comparisons with a vote, on average. agreement: seen, on
    average.
    power: how often the report says that the metric beats always naming one model, with the interval of the simulation.
    width: of the interval of the agreement, on average.
    """

    x: int
    votes: float
    voted: int
    agreement: float
    width: float
    power: Estimate


@dataclass(frozen=True, slots=True)
class Curve:
    """What changes with one of prompts, annotators, images, the rest as planned; enough: see `_enough`."""

    of: str
    planned: int
    points: tuple[Point, ...]
    enough_for_power: int | None
    enough_for_width: int | None


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """The answer."""

    question: Question
    annotators_needed: int
    exact: Exact
    curves: tuple[Curve, ...]


def plan_study(question: Question) -> StudyPlan:
    """The exact numbers and the simulated curves. Raises Refused, in one sentence, for a question without an answer."""
    refuse_impossible(question)
    curves = (_prompts_curve(question), _annotators_curve(question), _images_curve(question))
    return StudyPlan(question, question.design.annotators_needed, _exact(question), curves)


# --- exact --------------------------------------------------------------------------------------
def _exact(question: Question) -> Exact:
    design, supposed, goal = question.design, question.assumptions, question.goal
    test = AgainstBaseline(supposed.baseline, goal.significance_level)
    needed, reason = None, ""
    try:
        needed = needed_comparisons(test, agreement=supposed.agreement, target=goal.power)
    except ValueError as error:
        reason = str(error)
    try:
        for_width = comparisons_for_width(goal.width, agreement=supposed.agreement, level=design.level)
    except ValueError as error:
        for_width, reason = None, "; ".join(filter(None, (reason, str(error))))
    sizes = _teeth(needed, design.prompts)
    planned = np.array([design.prompts])
    return Exact(
        needed=needed,
        for_width=for_width,
        planned_power=float(power(planned, test, agreement=supposed.agreement)[0]),
        planned_width=float(expected_width(planned, agreement=supposed.agreement, level=design.level)[0]),
        sizes=tuple(sizes.tolist()),
        powers=tuple(power(sizes, test, agreement=supposed.agreement).tolist()),
        reason=reason,
    )


def _teeth(needed: NeededComparisons | None, planned: int) -> NDArray[np.int64]:
    """Every size where the sawtooth matters, thinned where there are thousands."""
    last = max(planned, needed.safe if needed else planned)
    sizes = np.arange(2, last + last // 4 + 2)
    return sizes[:: max(1, len(sizes) // 1000)]


# --- curves -------------------------------------------------------------------------------------
def _prompts_curve(question: Question) -> Curve:
    """More prompts, with as many annotators as they need, unless their number is fixed."""
    planned = question.design.prompts
    sizes = sorted({min(MOST_PROMPTS, max(2, round(planned * fraction))) for fraction in _FRACTIONS})
    return _curve("prompts", planned, question, [(n, replace(question.design, prompts=n)) for n in sizes])


def _annotators_curve(question: Question) -> Curve:
    design = question.design
    planned = design.annotators_planned
    top = max(planned, design.annotators_needed)
    sizes = sorted({max(1, round(top * fraction)) for fraction in (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)} | {planned})
    return _curve("annotators", planned, question, [(n, replace(design, annotators=n)) for n in sizes])


def _images_curve(question: Question) -> Curve:
    design = question.design
    sizes = sorted({*_IMAGE_COUNTS, design.images})
    return _curve("images", design.images, question, [(n, replace(design, images=n)) for n in sizes])


def _curve(of: str, planned: int, question: Question, designs: Sequence[tuple[int, Design]]) -> Curve:
    points = tuple(_point(question, x, design) for x, design in designs)
    return Curve(
        of=of,
        planned=planned,
        points=points,
        enough_for_power=_enough(points, [(point.power.value or 0) >= question.goal.power for point in points]),
        enough_for_width=_enough(points, [point.width <= question.goal.width for point in points]),
    )


def _enough(points: Sequence[Point], is_reached: Sequence[bool]) -> int | None:
    """The first size from which on every simulated size reaches the goal; None where the last does not."""
    short = [place for place, reached in enumerate(is_reached) if not reached]
    first = short[-1] + 1 if short else 0
    return points[first].x if first < len(points) else None


# --- simulated studies --------------------------------------------------------------------------
def _point(question: Question, x: int, design: Design) -> Point:
    chance = question.chance
    rng = np.random.default_rng(chance.seed)  # the same at every point, so that neighbours differ by size only
    found: Counter[Table] = Counter()
    vote_count = voted_count = 0
    most = max(1, _NUMBERS_AT_ONCE // design.prompts)
    for start in range(0, chance.simulations, most):
        shape = (min(most, chance.simulations - start), design.prompts)
        votes, right = _votes(rng, shape, design, question.assumptions)
        found.update(_tables(rng, votes, right, question, images=design.images))
        vote_count += int(votes.sum())
        voted_count += int((votes > 0).sum())
    verdicts = [_verdict(table, design.endpoint, design.level) for table in found.elements()]
    agreements, widths, is_beaten = (np.array(column) for column in zip(*verdicts, strict=True))
    return Point(
        x=x,
        votes=vote_count / (chance.simulations * design.prompts),
        voted=round(voted_count / chance.simulations),
        agreement=float(np.nanmean(agreements)) if np.isfinite(agreements).any() else 0.0,
        width=float(np.nanmean(widths)) if np.isfinite(widths).any() else 1.0,
        power=wilson(int(is_beaten.sum()), len(verdicts)),
    )


def _votes(
    rng: np.random.Generator, shape: tuple[int, int], design: Design, supposed: Assumptions
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(studies, comparisons) votes, and those for the winner, as the study's own rules collect them."""
    clarity, rules = _clarity(rng, shape, supposed), design.collecting
    if rules.looks_at_votes:
        return dry_run(rng, clarity, rules)
    votes = np.broadcast_to(dry_run(rng, clarity[:1], rules)[0], shape)
    return votes, rng.binomial(votes, clarity)


def _agreement_with(images: int, question: Question) -> float:
    """How often the metric names the winner with another number of images.

    The noise of a score shrinks with the root of the number of images. Where margins between prompts and noise are
    both normal, noise of t times their spread flips arctan(t) / pi of the winners; flips hit right and wrong alike.
    """
    supposed = question.assumptions
    noise = math.tan(math.pi * supposed.flips) * math.sqrt(question.design.images / images)
    flips = math.atan(noise) / math.pi
    without = (supposed.agreement - supposed.flips) / (1 - 2 * supposed.flips)
    return without * (1 - flips) + (1 - without) * flips


Table = tuple[tuple[int, int], ...]  # comparisons by people (A, B, tie) and metric (A, B)


def _tables(
    rng: np.random.Generator,
    votes: NDArray[np.int64],
    right: NDArray[np.int64],
    question: Question,
    *,
    images: int,
) -> list[Table]:
    """The winners of each simulated study, counted; comparisons without a vote are none of the report's."""
    is_a = rng.random(votes.shape) < question.assumptions.baseline
    its = np.where(rng.random(votes.shape) < _agreement_with(images, question), is_a, ~is_a)
    theirs = np.sign(2 * right - votes) * np.where(is_a, 1, -1)
    of_sign = [(votes > 0) & (theirs == sign) for sign in ORDER]
    cells = [[(people & (its == side)).sum(axis=1) for side in (True, False)] for people in of_sign]
    return [tuple(map(tuple, table)) for table in np.moveaxis(np.array(cells), 2, 0).tolist()]


def _clarity(rng: np.random.Generator, shape: tuple[int, int], supposed: Assumptions) -> NDArray[np.float64]:
    """How often one vote goes to the winner of each comparison of each study."""
    if not supposed.unevenness:
        return np.full(shape, supposed.person)
    mean, size = 2 * supposed.person - 1, 1 / supposed.unevenness - 1
    return np.asarray(0.5 + rng.beta(mean * size, (1 - mean) * size, size=shape) / 2, dtype=np.float64)


@lru_cache(maxsize=100_000)
def _verdict(table: Table, endpoint: TieTreatment, level: float) -> tuple[float, float, bool]:
    """What the report would say of a study: agreement, the width of its interval (NaN where undefined), beaten."""
    people = np.repeat(ORDER, [sum(row) for row in table])
    metric = np.concatenate([np.repeat((1, -1), row) for row in table])
    seen = agreement(people, metric, ties=endpoint, level=level)
    if seen.low is None and seen.is_defined:
        resampling = Resampling(level=level, resamples=_HALF_CREDIT_RESAMPLES)
        seen = bootstrap_agreement(people, metric, ties=endpoint, resampling=resampling)
    is_beaten = baseline(people, metric, ties=endpoint, level=level).is_beaten
    width = np.nan if seen.low is None or seen.high is None else seen.high - seen.low
    return np.nan if seen.value is None else seen.value, width, is_beaten
