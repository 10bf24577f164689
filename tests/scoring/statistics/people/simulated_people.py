"""Studies by annotators of varying skill and bias, with the true values of what is estimated from them."""

from dataclasses import dataclass

import numpy as np

from scoring.statistics.agreement.agreement import Signs
from scoring.statistics.votes.counts import Floats, Integers
from scoring.statistics.votes.votes import Votes

OVERLAP = 5
WRONG = 0.15  # share of prompts on which the metric names the model that is worse


@dataclass(frozen=True)
class Study:
    """Votes on n comparisons, and the signs of the metric."""

    votes: Votes
    metric: Signs


def simulated_study(*, seed: int, annotators: int, n: int = 100) -> Study:
    """A vote is for A with the log-odds skill * (A's advantage) + bias; skill and bias vary between annotators."""
    rng = np.random.default_rng(seed)
    advantage, metric = _prompts(rng, n)
    skill, bias = _people(rng, annotators)
    who = np.argsort(rng.random((n, annotators)), axis=1)[:, :OVERLAP]
    choices = _choices(rng, advantage[:, np.newaxis], skill[who], bias[who])
    return Study(Votes.of(np.repeat(np.arange(n), OVERLAP), who.ravel(), choices.ravel()), metric)


def two_fresh_votes(*, seed: int, n: int) -> tuple[float, float]:
    """Return, over n fresh prompts with two fresh annotators each, how often a vote agrees with the metric, and how
    often the two votes agree."""
    rng = np.random.default_rng(seed)
    advantage, metric = _prompts(rng, n)
    first, second = (_choices(rng, advantage, *_people(rng, n)) for _ in range(2))
    return float(np.mean((first == 0) == (metric > 0))), float(np.mean(first == second))


def _prompts(rng: np.random.Generator, n: int) -> tuple[Floats, Signs]:
    advantage = 0.3 + 1.2 * rng.standard_normal(n)
    turned = np.where(rng.random(n) < WRONG, -1, 1)
    return advantage, (np.sign(advantage) * turned).astype(np.int8)


def _people(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    return np.exp(0.5 * rng.standard_normal(n)), 0.7 * rng.standard_normal(n)


def _choices(rng: np.random.Generator, advantage: Floats, skill: Floats, bias: Floats) -> Integers:
    leaning = skill * advantage + bias
    return (leaning + rng.logistic(size=leaning.shape) < 0).astype(np.int64)
