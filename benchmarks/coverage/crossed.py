"""Simulated votes that follow a crossed model, and how often the intervals of the fitted one hold its truth."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage.designs import Floats, Integers, different
from benchmarks.coverage.scores import SEED, Scores, add
from scoring.statistics.inference.estimate import ANNOTATORS_LIKE_THESE, Estimate
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.people.crossed_model.model import CrossedModel, crossed_model
from scoring.statistics.votes.votes import Votes

POPULATION = 1_000_000  # prompts, with two votes each


@dataclass(frozen=True, slots=True)
class CrossedDesign:
    """A kind of study: `clusters` of `per_cluster` prompts, `votes` on each by `annotators` people.

    Standard deviations on the logit scale: prompt, cluster, taste, side_bias; sensitivity for one point of margin. The
    margin is N(0.3, 1); shared: how much of its variance the prompts of a cluster share. tie: half the width of the
    latent values that are ties; 0: no ties.
    """

    name: str
    clusters: int
    per_cluster: int
    votes: int
    annotators: int
    slope: float = 1.2
    side: float = 0.2
    prompt: float = 0.9
    cluster: float = 0.0
    taste: float = 0.5
    sensitivity: float = 0.4
    side_bias: float = 0.4
    tie: float = 0.0
    shared: float = 0.0


DESIGNS = (
    CrossedDesign("100 x 5, 30 annotators", 100, 1, 5, 30),
    CrossedDesign("100 x 5, 10 annotators", 100, 1, 5, 10),
    CrossedDesign("100 x 5, 6 annotators", 100, 1, 5, 6),
    CrossedDesign("30 x 3, 20 annotators", 30, 1, 3, 20),
    CrossedDesign("100 x 5, 30 annotators, ties", 100, 1, 5, 30, tie=0.4),
    CrossedDesign("100 x 5, 30 equal annotators", 100, 1, 5, 30, taste=0.0, sensitivity=0.0, side_bias=0.0),
    CrossedDesign("20 clusters of 5, 30 annotators", 20, 5, 5, 30, cluster=0.7, shared=0.8),
)


@dataclass(frozen=True, slots=True)
class CrossedStudy:
    """margin, cluster: (n,). annotator, side, choice: (n, k) of each vote; choice is 0 for A, 1 for B, 2 for a tie."""

    margin: Floats
    cluster: Integers
    annotator: Integers
    side: Floats
    choice: Integers


def draw(rng: np.random.Generator, design: CrossedDesign) -> CrossedStudy:
    """Draw a study."""
    cluster = np.repeat(np.arange(design.clusters), design.per_cluster)
    annotator = different(rng, len(cluster), design.votes, design.annotators)
    return _voted(rng, design, cluster, annotator, design.annotators)


def truths(design: CrossedDesign, margins: Floats | None = None) -> dict[str, float]:
    """Return the truth of each estimate: of the variances, the slope and the intercept in the unit of these margins, by
    the design; without margins of the expected agreements, from a million prompts with two votes of new people each."""
    if margins is None:
        rng, cluster = np.random.default_rng((SEED, 1, DESIGNS.index(design))), np.arange(POPULATION)
        found = _voted(rng, design, cluster, np.arange(2 * POPULATION).reshape(-1, 2), 2 * POPULATION)
        sign = np.array((1, -1, 0))[found.choice]
        metric = np.sign(found.margin)[:, np.newaxis]
        return {
            "with_metric": float(1 - np.abs(sign - metric).mean() / 2),
            "with_another": float(1 - np.abs(sign[:, 0] - sign[:, 1]).mean() / 2),
        }
    unit = float(margins.std())
    return {
        "slope": design.slope * unit,
        "side": design.side,
        "intercept": 0.0,
        "variances.prompts": design.prompt**2,
        "variances.clusters": design.cluster**2,
        "variances.taste": design.taste**2,
        "variances.sensitivity": (design.sensitivity * unit) ** 2,
        "variances.side bias": design.side_bias**2,
    }


def batch(design: CrossedDesign, population: dict[str, float], count: int, first: int) -> Scores:
    """Simulate the studies numbered from `first` on, each with a seed of its own."""
    scores: Scores = {}
    for number in range(first, first + count):
        study = draw(np.random.default_rng((SEED, 1, DESIGNS.index(design), number)), design)
        comparison = np.repeat(np.arange(len(study.margin)), design.votes)
        votes = Votes.of(comparison, study.annotator.ravel(), study.choice.ravel())
        model = crossed_model(
            votes, study.margin, study.side.ravel(), clusters=study.cluster, resampling=Resampling(seed=SEED)
        )
        truth = population | truths(design, study.margin)
        for name, estimate in _estimates(model):
            add(scores, name, replace(estimate, population=ANNOTATORS_LIKE_THESE), truth[name])
    return scores


def _estimates(model: CrossedModel) -> Iterator[tuple[str, Estimate]]:
    for name in ("slope", "side", "intercept", "with_metric", "with_another"):
        yield name, getattr(model, name)
    for part in model.variances:
        yield f"variances.{part.name}", part.variance


def _voted(
    rng: np.random.Generator, design: CrossedDesign, cluster: Integers, annotator: Integers, people: int
) -> CrossedStudy:
    count = int(cluster.max()) + 1
    common = np.sqrt(design.shared) * rng.standard_normal(count)[cluster]
    margin = 0.3 + common + np.sqrt(1 - design.shared) * rng.standard_normal(len(cluster))
    side = np.where(rng.random(annotator.shape) < 0.5, 0.5, -0.5)

    def of_people(scale: float) -> Floats:
        effects: Floats = (scale * rng.standard_normal(people))[annotator]
        return effects

    latent = (design.slope + of_people(design.sensitivity)) * margin[:, np.newaxis]
    latent += (design.side + of_people(design.side_bias)) * side + of_people(design.taste)
    of_prompt = design.prompt * rng.standard_normal(len(cluster)) + design.cluster * rng.standard_normal(count)[cluster]
    latent += of_prompt[:, np.newaxis] + rng.logistic(size=annotator.shape)
    choice: NDArray[np.int64] = np.where(np.abs(latent) < design.tie, 2, np.where(latent > 0, 0, 1))
    return CrossedStudy(margin, cluster, annotator, side, choice)
