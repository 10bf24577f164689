"""Simulate the studies of a design and score their intervals; in processes of its own."""

import math
import os
import sys
from collections import defaultdict
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from benchmarks.coverage.designs import DESIGNS, Design, draw_people, draw_population, draw_study
from benchmarks.coverage.truths import Truths, truths

SEED = 20240412
POPULATION_VOTES = 1_000_000
CONDITIONAL_COMPARISONS = 20_000
RESAMPLES = 2000
LEAST_INTERVALS = 50  # fewer intervals of one estimate say nothing about their coverage
BATCH = 20  # studies that a process simulates before it reports
THESE = "these annotators"


@dataclass
class Score:
    """How the intervals of one estimate did: studies with an interval, those that held the truth, misses by side."""

    population: str = ""
    method: str = ""
    studies: int = 0
    held: int = 0
    above: int = 0
    width: float = 0.0
    missing: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, other: "Score") -> None:
        """Add the studies of another batch."""
        self.population, self.method = self.population or other.population, self.method or other.method
        self.studies, self.held = self.studies + other.studies, self.held + other.held
        self.above, self.width = self.above + other.above, self.width + other.width
        for reason, count in other.missing.items():
            self.missing[reason] += count

    @property
    def coverage(self) -> float:
        """The share of intervals that held the truth."""
        return self.held / self.studies

    @property
    def verdict(self) -> str:
        """Whether it holds, is narrower than it says, or wider."""
        if self.studies < LEAST_INTERVALS:
            return "holds"
        error = 2 * math.sqrt(0.95 * 0.05 / self.studies)
        least, most = (0.95, 1.0) if "Clopper" in self.method else (0.93, 0.97)
        if self.coverage < least - error:
            return "narrow"
        return "wide" if self.coverage > most + error else "holds"


Scores = dict[str, Score]


def set_up() -> None:
    """Prepare a process."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()


def simulate(design: Design, studies: int, processes: Executor) -> Scores:
    """Simulate studies of a design in all processes, with a line of progress for each batch."""
    rng = np.random.default_rng((SEED, DESIGNS.index(design)))
    population = truths(draw_population(rng, design, POPULATION_VOTES))
    work = partial(batch, design, population)
    scores: Scores = defaultdict(Score)
    for done, found in enumerate(processes.map(work, range(0, studies, BATCH)), start=1):
        for name, score in found.items():
            scores[name].add(score)
        print(f"{design.name}: {done * BATCH} of {studies} studies", file=sys.stderr, flush=True)
    return scores


def batch(design: Design, population: Truths, first: int) -> Scores:
    """Simulate the studies numbered from `first` on, each with a seed of its own."""
    from benchmarks.coverage.studies import estimates

    scores: Scores = {}
    for number in range(first, first + BATCH):
        rng = np.random.default_rng((SEED, DESIGNS.index(design), number))
        people = draw_people(rng, design, design.annotators)
        found = estimates(draw_study(rng, design, people), design, resamples=RESAMPLES)
        varies = bool(design.taste_sd or design.sensitivity_sd or design.side_sd)
        clusters = CONDITIONAL_COMPARISONS // design.per_cluster
        own = truths(draw_study(rng, design, people, clusters=clusters)) if varies else population
        for name, estimate in found.items():
            truth = (own if estimate.population in ("", THESE) else population).get(_estimand(name))
            if truth is None:
                continue
            score = scores.setdefault(name, Score(estimate.population))
            if estimate.low is None or estimate.high is None:
                score.missing[estimate.reason or "undefined"] += 1
                continue
            score.method = score.method or estimate.method
            score.studies, score.width = score.studies + 1, score.width + estimate.high - estimate.low
            score.held, score.above = (
                score.held + (estimate.low <= truth <= estimate.high),
                score.above + (truth > estimate.high),
            )
    return scores


def _estimand(name: str) -> str:
    """The key of the truth of an estimate: the same number under another population or method has the same."""
    parts = [part for part in name.split(".") if part not in ("like_these", "annotators_like_these")]
    if parts[0] == "agreement" and parts[1] in ("strict", "dropped") and parts[-1] in ("wilson", "clopper_pearson"):
        return "agreement.headline"
    return ".".join(part for part in parts if part != "strict")
