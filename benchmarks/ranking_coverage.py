"""How often the intervals and rank sets of the ranking by people hold the truth, in simulated studies with ties.

    python -m benchmarks.ranking_coverage                 400 studies of each design
    python -m benchmarks.ranking_coverage --studies 1000

Every prompt has each pair of models compared by some of the annotators. A vote compares the models' qualities, which
vary over prompts and over annotators' tastes, plus logistic noise; near zero it is a tie. The truth is the fit to a
million votes, each on its own prompt by its own annotator. Seeds are fixed.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from scoring.statistics.ranking.davidson import Layout, fit
from scoring.statistics.ranking.model_votes import ModelVotes
from scoring.statistics.ranking.people_ranking import people_ranking
from scoring.statistics.votes.counts import Floats, Integers

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Design:
    """quality: of each model. votes: on each comparison. prompt_sd, taste_sd: of a model's quality over prompts, and
    over annotators. side: added for the model shown left. threshold: below which a difference is a tie."""

    name: str
    quality: tuple[float, ...] = (0.6, 0.4, 0.1, 0.1, -0.4, -0.8)
    prompts: int = 60
    votes: int = 3
    annotators: int = 10
    prompt_sd: float = 0.6
    taste_sd: float = 0.3
    side: float = 0.2
    threshold: float = 0.5


DESIGNS = (
    Design("6 models x 60 prompts x 3 votes, 10 annotators"),
    Design("the same, annotators of one taste", taste_sd=0.0),
    Design("the same, prompts alike", prompt_sd=0.0),
    Design("the same, 30 annotators", annotators=30),
)


def simulated_votes(design: Design, seed: int) -> ModelVotes:
    """Draw one study."""
    rng, k = np.random.default_rng(seed), len(design.quality)
    pairs = np.column_stack(np.triu_indices(k, 1))
    prompt, pair = (part.ravel() for part in np.indices((design.prompts, len(pairs))))
    comparison = np.repeat(np.arange(len(prompt)), design.votes)
    drawn = np.argsort(rng.random((len(prompt), design.annotators)), axis=1)[:, : design.votes].ravel()
    models = _sides(rng, pairs[pair[comparison]])
    tastes = rng.normal(0, design.taste_sd, (design.annotators, k))[drawn]
    qualities = design.quality + rng.normal(0, design.prompt_sd, (design.prompts, k))[prompt[comparison]] + tastes
    choice = _choices(rng, design, models, qualities)
    units = np.column_stack([comparison, drawn])
    return ModelVotes.of(units, models, choice, model_count=k, prompt=prompt[comparison])


def true_strengths(design: Design) -> Floats:
    """(K,) log strengths of an endless study."""
    rng, k, lone = np.random.default_rng(0), len(design.quality), np.arange(MILLION)
    pairs = np.column_stack(np.triu_indices(k, 1))
    models = _sides(rng, pairs[rng.integers(0, len(pairs), MILLION)])
    spread = (design.prompt_sd**2 + design.taste_sd**2) ** 0.5
    choice = _choices(rng, design, models, design.quality + rng.normal(0, spread, (MILLION, k)))
    votes = ModelVotes(lone, lone, lone, models[:, 0], models[:, 1], choice, k)
    layout = Layout.of(votes, side_effect=True)
    return np.asarray(layout.basis @ fit(layout)[: k - 1])


def holds(design: Design, truth: Floats, seed: int) -> tuple[list[bool], list[bool], bool]:
    """Whether each strength, each difference, and all rank sets at once hold the truth in one study."""
    found = people_ranking(simulated_votes(design, seed), side_effect=True)
    first, second = np.triu_indices(len(truth), 1)
    expected = (truth, truth[first] - truth[second])
    within = [
        [(one.low or 0) <= true <= (one.high or 0) for one, true in zip(estimates, values.tolist(), strict=True)]
        for estimates, values in zip((found.strengths, found.differences), expected, strict=True)
    ]
    # Models of equal quality share ranks: a set may hold any of them.
    quality = np.array(design.quality)
    least = 1 + (quality > quality[:, np.newaxis]).sum(axis=1)
    most = len(quality) - (quality < quality[:, np.newaxis]).sum(axis=1)
    ranks = (np.array(found.ranks.best) <= least).all() and (np.array(found.ranks.worst) >= most).all()
    return within[0], within[1], bool(ranks)


def _sides(rng: np.random.Generator, models: Integers) -> Integers:
    """Swap the sides of about half of the (v, 2) models."""
    return np.where(rng.random((len(models), 1)) < 0.5, models, models[:, ::-1])


def _choices(rng: np.random.Generator, design: Design, models: Integers, qualities: Floats) -> Integers:
    """(v,) the choices between (v, 2) models with (v, K) qualities."""
    left, right = (np.take_along_axis(qualities, models[:, [side]], axis=1)[:, 0] for side in (0, 1))
    felt = left - right + design.side + rng.logistic(size=len(models))
    return np.where(np.abs(felt) < design.threshold, 0, np.sign(felt)).astype(np.int64)


def main() -> None:
    """Simulate every design, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    for design in DESIGNS:
        truth = true_strengths(design)
        strengths, differences, ranks = zip(*(holds(design, truth, seed) for seed in range(studies)), strict=True)
        covered = [f"{np.mean(part):.3f}" for part in (strengths, differences, ranks)]
        print(f"{design.name}: strengths {covered[0]}, differences {covered[1]}, all rank sets at once {covered[2]}")


if __name__ == "__main__":
    main()
