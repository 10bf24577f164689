"""Compute the size that a study needs: exactly for the test, by simulation for everything between vote and report.

A simulated study gives out its comparisons and stops early by the study's rules, aggregates votes as the report does,
and takes the report's verdict. Pure; every draw comes from the plan's seed.
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
# The points of the curves, as multiples of the planned number.
_FRACTIONS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
_IMAGE_COUNTS = (2, 3, 5, 8, 12, 20, 30, 50)


@dataclass(frozen=True, slots=True)
class Exact:
    """The comparisons that the exact one-sided test needs and that the width needs, without any noise of votes.

    needed: None, with `reason`, if no number is enough. sizes, powers: the sawtooth around it.
    planned_power, planned_width: for the planned prompts.
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
    """Averages over the simulated studies of one size.

    x: the size. votes: votes for each comparison. voted: comparisons with a vote. agreement: the observed agreement.
    width: the width of its interval. power: how often the report says that the metric beats always naming one model,
    with the interval of the simulation.
    """

    x: int
    votes: float
    voted: int
    agreement: float
    width: float
    power: Estimate


@dataclass(frozen=True, slots=True)
class Curve:
    """Points for several numbers `of` prompts, annotators or images, the others as planned. enough: see `_enough`."""

    of: str
    planned: int
    points: tuple[Point, ...]
    enough_for_power: int | None
    enough_for_width: int | None


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """The answer to a question."""

    question: Question
    annotators_needed: int
    exact: Exact
    curves: tuple[Curve, ...]


def plan_study(question: Question) -> StudyPlan:
    """Compute the exact numbers and simulate the curves. Raises Refused for a question that no study can answer."""
    refuse_impossible(question)
    curves = (_prompts_curve(question), _annotators_curve(question), _images_curve(question))
    return StudyPlan(question, question.design.annotators_needed, _exact(question), curves)


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
    sizes = _sawtooth_sizes(needed, design.prompts)
    planned = np.array([design.prompts])
    return Exact(
        needed=needed,
        for_width=for_width,
        planned_power=float(power(planned, test, agreement=assumed.agreement)[0]),
        planned_width=float(expected_width(planned, agreement=assumed.agreement, level=design.level)[0]),
        sizes=tuple(sizes.tolist()),
        powers=tuple(power(sizes, test, agreement=assumed.agreement).tolist()),
        reason=reason,
    )


def _sawtooth_sizes(needed: NeededComparisons | None, planned: int) -> NDArray[np.int64]:
    """Return every size for which the sawtooth matters, thinned if there are thousands."""
    last = max(planned, needed.safe if needed else planned)
    sizes = np.arange(2, last + last // 4 + 2)
    return sizes[:: max(1, len(sizes) // 1000)]


# --- curves -------------------------------------------------------------------------------------
def _prompts_curve(question: Question) -> Curve:
    """Vary the prompts, with as many annotators as they need unless that number is fixed."""
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
    """Return the first size from which on every simulated size reaches the goal; None if the last one does not."""
    misses = [place for place, reached in enumerate(is_reached) if not reached]
    first = misses[-1] + 1 if misses else 0
    return points[first].x if first < len(points) else None


# --- simulated studies --------------------------------------------------------------------------
def _point(question: Question, x: int, design: Design) -> Point:
    chance = question.chance
    rng = np.random.default_rng(chance.seed)  # the same at every point, so that neighbours differ by size only
    tables: Counter[Table] = Counter()
    vote_count = voted_count = 0
    most = max(1, _NUMBERS_AT_ONCE // design.prompts)
    for start in range(0, chance.simulations, most):
        shape = (min(most, chance.simulations - start), design.prompts)
        votes, right = _votes(rng, shape, design, question.assumptions)
        tables.update(_tables(rng, votes, right, question, images=design.images))
        vote_count += int(votes.sum())
        voted_count += int((votes > 0).sum())
    verdicts = [_verdict(table, design.endpoint, design.level) for table in tables.elements()]
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
    rng: np.random.Generator, shape: tuple[int, int], design: Design, assumed: Assumptions
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Simulate votes by the study's rules: return (studies, comparisons) arrays of all votes and of the right ones."""
    clarity, rules = _clarity(rng, shape, assumed), design.collecting
    if rules.looks_at_votes:
        return dry_run(rng, clarity, rules)
    votes = np.broadcast_to(dry_run(rng, clarity[:1], rules)[0], shape)
    return votes, rng.binomial(votes, clarity)


def _agreement_with(images: int, question: Question) -> float:
    """Return how often the metric names the winner with another number of images.

    The noise of a score shrinks with the root of the number of images. If the margins between prompts and the noise
    are both normal, noise of t times their spread flips arctan(t) / pi of the winners, right and wrong ones alike.
    """
    assumed = question.assumptions
    noise = math.tan(math.pi * assumed.flips) * math.sqrt(question.design.images / images)
    flips = math.atan(noise) / math.pi
    without = (assumed.agreement - assumed.flips) / (1 - 2 * assumed.flips)
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
    """Count the winners of each simulated study. Comparisons without a vote do not count, as in the report."""
    is_a = rng.random(votes.shape) < question.assumptions.baseline
    by_metric = np.where(rng.random(votes.shape) < _agreement_with(images, question), is_a, ~is_a)
    by_people = np.sign(2 * right - votes) * np.where(is_a, 1, -1)
    of_sign = [(votes > 0) & (by_people == sign) for sign in ORDER]
    cells = [[(people & (by_metric == side)).sum(axis=1) for side in (True, False)] for people in of_sign]
    return [tuple(map(tuple, table)) for table in np.moveaxis(np.array(cells), 2, 0).tolist()]


def _clarity(rng: np.random.Generator, shape: tuple[int, int], assumed: Assumptions) -> NDArray[np.float64]:
    """Draw, for each comparison of each study, how often one vote goes to the winner."""
    if not assumed.unevenness:
        return np.full(shape, assumed.person)
    mean, size = 2 * assumed.person - 1, 1 / assumed.unevenness - 1
    return np.asarray(0.5 + rng.beta(mean * size, (1 - mean) * size, size=shape) / 2, dtype=np.float64)


@lru_cache(maxsize=100_000)
def _verdict(table: Table, endpoint: TieTreatment, level: float) -> tuple[float, float, bool]:
    """Return the report's verdict: agreement and width of its interval (NaN if undefined), is the baseline beaten."""
    people = np.repeat(ORDER, [sum(row) for row in table])
    metric = np.concatenate([np.repeat((1, -1), row) for row in table])
    seen = agreement(people, metric, ties=endpoint, level=level)
    if seen.low is None and seen.is_defined:
        resampling = Resampling(level=level, resamples=_HALF_CREDIT_RESAMPLES)
        seen = bootstrap_agreement(people, metric, ties=endpoint, resampling=resampling)
    is_beaten = baseline(people, metric, ties=endpoint, level=level).is_beaten
    width = np.nan if seen.low is None or seen.high is None else seen.high - seen.low
    return np.nan if seen.value is None else seen.value, width, is_beaten
