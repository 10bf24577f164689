"""Simulate the studies of a design and score their intervals; in processes of its own."""

import os
import sys
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

import numpy as np

from benchmarks.coverage.designs import DESIGNS, Design, draw_people, draw_population, draw_study
from benchmarks.coverage.scores import SEED, THESE, Score, Scores, add
from benchmarks.coverage.truths import Truths, truths

POPULATION_VOTES = 1_000_000
CONDITIONAL_COMPARISONS = 20_000
RESAMPLES = 2000
BATCH = 20  # studies that a process simulates before it reports


def set_up() -> None:
    """Prepare a process."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()


def simulate(design: Design, studies: int, processes: Executor) -> Scores:
    """Simulate studies of a design in all processes."""
    rng = np.random.default_rng((SEED, DESIGNS.index(design)))
    population = truths(draw_population(rng, design, POPULATION_VOTES))
    return gather(design.name, partial(batch, design, population), studies, processes)


def gather(name: str, work: Callable[[int], Scores], studies: int, processes: Executor) -> Scores:
    """Add up the scores of all batches, with a line of progress for each. work: simulates one, from its first study."""
    scores: Scores = defaultdict(Score)
    for done, found in enumerate(processes.map(work, range(0, studies, BATCH)), start=1):
        for key, score in found.items():
            scores[key].add(score)
        print(f"{name}: {done * BATCH} of {studies} studies", file=sys.stderr, flush=True)
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
            if truth is not None:
                add(scores, name, estimate, truth)
    return scores


def _estimand(name: str) -> str:
    """The key of the truth of an estimate: the same number under another population or method has the same."""
    parts = [part for part in name.split(".") if part not in ("like_these", "annotators_like_these")]
    if parts[0] == "agreement" and parts[1] in ("strict", "dropped") and parts[-1] in ("wilson", "clopper_pearson"):
        return "agreement.headline"
    return ".".join(part for part in parts if part != "strict")
