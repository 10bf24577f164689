"""Designs of simulated studies: draw comparisons, annotators and votes whose truth is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Design:
    """A kind of study: `clusters` of `per_cluster` comparisons, `votes` on each by `annotators` people.

    People prefer A in a comparison by z ~ N(lean, 1) on the logit scale, times how sensitive they are; the metric's
    margin is z plus an error. Comparisons of a cluster share both. taste_sd, sensitivity_sd, side_sd: how much
    annotators differ in their preference for A, in their sensitivity, and in their preference for the left.
    """

    name: str
    clusters: int
    per_cluster: int
    votes: int
    annotators: int
    lean: float = 0.5
    spread: float = 2.5
    error_sd: float = 2.0
    taste_sd: float = 0.0
    sensitivity_sd: float = 0.0
    side_sd: float = 0.0

    @property
    def comparisons(self) -> int:
        """Comparisons of one study."""
        return self.clusters * self.per_cluster


VARYING = {"taste_sd": 0.8, "sensitivity_sd": 0.5, "side_sd": 0.8}
DESIGNS = (
    Design("100 x 5", 100, 1, 5, 40),
    Design("30 x 3", 30, 1, 3, 20),
    Design("30 x 3, one model wins 92 %", 30, 1, 3, 20, lean=3.5),
    Design("20 clusters of 5", 20, 5, 5, 40),
    Design("6 clusters of 5", 6, 5, 5, 40),
    *(Design(f"100 x 5, {count} varying annotators", 100, 1, 5, count, **VARYING) for count in (30, 10, 6)),
)


@dataclass(frozen=True, slots=True)
class People:
    """The annotators of a study, or as many as there are votes: (j,) each."""

    taste: Floats
    sensitivity: Floats
    side: Floats


@dataclass(frozen=True, slots=True)
class Drawn:
    """n comparisons with k votes each. margin: (n,) of the metric. cluster: (n,). Of each vote, (n, k): annotator,
    is_for_a, is_left_a."""

    margin: Floats
    cluster: Integers
    annotator: Integers
    is_for_a: NDArray[np.bool_]
    is_left_a: NDArray[np.bool_]


def draw_people(rng: np.random.Generator, design: Design, count: int) -> People:
    """Draw annotators."""
    taste, side = design.taste_sd * rng.standard_normal(count), design.side_sd * rng.standard_normal(count)
    return People(taste, np.exp(design.sensitivity_sd * rng.standard_normal(count)), side)


def draw_study(rng: np.random.Generator, design: Design, people: People, *, clusters: int | None = None) -> Drawn:
    """Draw comparisons and the votes of these people on them, each by different people."""
    count = clusters or design.clusters
    wanted = design.lean + design.spread * rng.standard_normal(count)
    margin = wanted + design.error_sd * rng.standard_normal(count)
    cluster = np.repeat(np.arange(count), design.per_cluster)
    annotator = different(rng, len(cluster), design.votes, len(people.taste))
    is_left_a = rng.random(annotator.shape) < 0.5
    logit = people.sensitivity[annotator] * wanted[cluster][:, np.newaxis] + people.taste[annotator]
    logit += people.side[annotator] * np.where(is_left_a, 0.5, -0.5)
    is_for_a = rng.random(annotator.shape) < expit(logit)
    return Drawn(margin[cluster], cluster, annotator, is_for_a, is_left_a)


def draw_population(rng: np.random.Generator, design: Design, votes: int) -> Drawn:
    """Draw comparisons on which every vote is another annotator's."""
    count = votes // (design.votes * design.per_cluster)
    people = draw_people(rng, design, 50_000)  # so many that the same two hardly ever meet twice
    return draw_study(rng, design, people, clusters=count)


def different(rng: np.random.Generator, rows: int, columns: int, count: int) -> Integers:
    """(rows, columns) numbers below count, in each row different ones."""
    if count > 20 * columns:
        drawn = rng.integers(0, count, (rows, columns))
        ordered = np.sort(drawn, axis=1)
        again = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
        while again.any():
            drawn[again] = rng.integers(0, count, (int(again.sum()), columns))
            ordered = np.sort(drawn, axis=1)
            again = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
        return drawn
    return np.argsort(rng.random((rows, count)), axis=1)[:, :columns]
