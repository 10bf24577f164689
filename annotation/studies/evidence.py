"""The evidence of a study that stops when its claim is decided, and the decision; pure."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annotation.studies.manifest import Manifest
from scoring.statistics.agreement.agreement import Signs, earned_credit
from scoring.statistics.studies.sequential import Decision, by_turn, decide
from scoring.statistics.votes.counts import Floats

_SIGN = {"A": 1, "B": -1}


def largest_cluster(manifest: Manifest) -> int:
    """The most comparisons that share a cluster."""
    sizes = Counter(plan.cluster for plan in manifest.prompts if plan.cluster)
    return max(sizes.values(), default=1)


def rivals(manifest: Manifest) -> tuple[str, ...]:
    """The constant choices that the metric must beat: the one that the manifest names, else both."""
    return (manifest.analysis.constant_choice,) if manifest.analysis.constant_choice else ("A", "B")


@dataclass(frozen=True, slots=True)
class Entries:
    """n comparisons as the evidence sees them, each (n,).

    people, metric: winners as signs; metric is not looked at if the claim is about the models. turn: see
    `Manifest.turns`. entered: whether its cluster and all before it are complete. counts: whether it has votes that
    count, and scores; a comparison without them is no evidence either way, and its cluster keeps its place.
    """

    people: Signs
    metric: Signs
    turn: NDArray[np.int64]
    entered: NDArray[np.bool_]
    counts: NDArray[np.bool_]


def decision(manifest: Manifest, entries: Entries) -> Decision:
    """Decide the claim that the manifest names by the comparisons that entered."""
    kept, gains = entries.entered, _gains(manifest, entries.people, entries.metric)
    gains = [by_turn(entries.turn[kept], np.where(entries.counts, gain, 0.0)[kept]) for gain in gains]
    return decide(gains, most=largest_cluster(manifest), level=manifest.analysis.level)


def credits_and_sizes(
    manifest: Manifest, *, people: Signs, metric: Signs, turn: ArrayLike, entered: ArrayLike
) -> tuple[Floats, NDArray[np.int64]]:
    """The credit of the metric and the comparisons that count, in each cluster that entered, in the drawn order."""
    kept = np.asarray(entered, dtype=bool)
    earned = earned_credit(people[kept], metric[kept], ties=manifest.analysis.primary_endpoint)
    places = np.asarray(turn)[kept]
    return by_turn(places, np.nan_to_num(earned)), by_turn(places, ~np.isnan(earned)).astype(np.int64)


def _gains(manifest: Manifest, people: Signs, metric: Signs) -> list[Floats]:
    """Return, for each rival, the metric's credit minus the constant choice's in each comparison."""
    if manifest.annotation.stop_when_decided == "models":
        return [people.astype(np.float64)]
    ties = manifest.analysis.primary_endpoint
    earned = earned_credit(people, metric, ties=ties)
    constants = (np.full_like(people, _SIGN[name]) for name in rivals(manifest))
    return [np.nan_to_num(earned - earned_credit(people, constant, ties=ties)) for constant in constants]
