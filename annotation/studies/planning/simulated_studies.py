"""Simulate whole studies: votes are collected by the study's rules, counted and judged as the report does. Pure.

Every draw comes from the plan's seed.
"""

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from annotation.studies.planning.question import Assumptions, Question, turned_by_noise
from annotation.voting.simulation.dry_run import dry_run
from scoring.statistics.agreement.agreement import ORDER, TieTreatment
from scoring.statistics.agreement.credit_tests import mcnemar_exact
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import wilson
from scoring.statistics.inference.score_interval import mean_credit

_NUMBERS_AT_ONCE = 1_000_000


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


def simulated(question: Question, *, x: int, images: int) -> Point:
    """Simulate the studies of a question and return their averages as the point at x.

    images: in each set; `question.design.images` is the number for which the agreement and the flips are assumed.
    """
    design, chance = question.design, question.chance
    rng = np.random.default_rng(chance.seed)  # the same at every point, so that neighbours differ by size only
    tables: Counter[Table] = Counter()
    vote_count = voted_count = 0
    most = max(1, _NUMBERS_AT_ONCE // design.prompts)
    for start in range(0, chance.simulations, most):
        shape = (min(most, chance.simulations - start), design.prompts)
        votes, lead = _votes(rng, shape, question)
        tables.update(_tables(rng, votes, lead, question, images=images))
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
        power=wilson(int(is_beaten.sum()) if question.has_verdict else 0, len(verdicts)),
    )


def _votes(
    rng: np.random.Generator, shape: tuple[int, int], question: Question
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Simulate votes by the study's rules: return (studies, comparisons) all votes, and the winner's minus the other's.

    If every study collects alike, one run gives the numbers of votes, which are then drawn for all studies at once.
    """
    rules, habits = question.collecting, question.assumptions.habits
    clarity = _clarity(rng, shape, question.assumptions)
    if not question.collects_alike:
        return dry_run(rng, clarity, rules, habits)
    votes = np.broadcast_to(dry_run(rng, clarity[:1], rules, habits)[0], shape)
    decided = rng.binomial(votes, 1 - habits.tie_share) if habits.tie_share else votes
    return votes, 2 * rng.binomial(decided, habits.seen(clarity)) - decided


def _agreement_with(images: int, question: Question) -> float:
    """Return how often the metric names the winner with another number of images.

    The noise of a score shrinks with the root of the number of images, and changes right and wrong winners alike.
    Noise of t times the spread of the margins changes arctan(t) / pi of the winners.
    """
    assumed = question.assumptions
    if images == question.design.images:  # also 0, for a study without images
        return assumed.agreement
    planned = turned_by_noise(assumed.flips)
    noise = math.tan(math.pi * planned) * math.sqrt(question.design.images / images)
    turned = math.atan(noise) / math.pi
    without = (assumed.agreement - planned) / (1 - 2 * planned)
    return without * (1 - turned) + (1 - without) * turned


Table = tuple[tuple[int, int], ...]  # comparisons by people (A, B, tie) and metric (A, B)


def _tables(
    rng: np.random.Generator,
    votes: NDArray[np.int64],
    lead: NDArray[np.int64],
    question: Question,
    *,
    images: int,
) -> list[Table]:
    """Count the winners of each simulated study. Comparisons without a vote do not count, as in the report.

    Of comparisons in clusters as many count as would tell the same if they were independent; all get their votes.
    """
    counted = np.linspace(0, votes.shape[1] - 1, question.independent(votes.shape[1])).round().astype(int)
    votes, lead = votes[:, counted], lead[:, counted]
    is_a = rng.random(votes.shape) < question.assumptions.baseline
    by_metric = np.where(rng.random(votes.shape) < _agreement_with(images, question), is_a, ~is_a)
    by_people = np.sign(lead) * np.where(is_a, 1, -1)
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
    """Return the agreement, the width of its interval (NaN if undefined), and whether it beats the constant choice."""
    agreed, ties = table[0][0] + table[1][1], sum(table[2])
    seen = _interval(agreed, ties, table[0][1] + table[1][0], endpoint, level)
    width = np.nan if seen.low is None or seen.high is None else seen.high - seen.low
    return np.nan if seen.value is None else seen.value, width, _is_beaten(table, level)


@lru_cache(maxsize=100_000)
def _interval(agreed: int, ties: int, wrong: int, endpoint: TieTreatment, level: float) -> Estimate:
    """Return the agreement of so many comparisons, as the report computes it from each of them."""
    credit_of_a_tie = {"strict": [0.0], "half": [0.5], "dropped": []}[endpoint]
    return mean_credit([1.0] * agreed + credit_of_a_tie * ties + [0.0] * wrong, level=level)


def _is_beaten(table: Table, level: float) -> bool:
    """Return whether the metric beats always naming the model that wins more, or both if they win equally often.

    The metric differs from a constant choice where it names the other model. People's ties earn both the same.
    """
    (a_by_a, a_by_b), (b_by_a, b_by_b), _ties = table
    a_leads = a_by_a + a_by_b - b_by_a - b_by_b
    rivals = [(b_by_b, a_by_b)] * (a_leads >= 0) + [(a_by_a, b_by_a)] * (a_leads <= 0)
    tests = [(gained > lost, mcnemar_exact(gained, lost).p_value) for gained, lost in rivals]
    return all(is_better and p_value is not None and p_value < 1 - level for is_better, p_value in tests)
