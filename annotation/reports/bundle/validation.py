"""Validate the data of a bundle: an altered bundle may have new hashes that hold. Pure.

A fault raises ValueError before anything is computed from the data.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.models import Annotator, Study
from annotation.reports.data.study_data import (
    LEFT,
    MODEL_A,
    MODEL_B,
    OTHER,
    RIGHT,
    SAME,
    TIE,
    UNDECIDED,
    UNKNOWN,
    ScoredComparisons,
    Similarities,
    UnsealedData,
    UnsealedVotes,
)
from annotation.studies.manifest import Manifest
from scoring.metric_spec import LARGEST_SCORE

MAX_POSITION = 2**31


def validate(data: UnsealedData) -> None:
    """Raise ValueError, naming the part, for data that no study can have."""
    comparisons, people = len(data.comparisons), len(data.annotators)
    _require(data.state in Study.State.values, "the study's state")
    _require(not data.metrics or data.metric in data.metrics, "the metric's name")
    _require(data.late_count >= 0 and data.superseded_count >= 0, "counts of votes")
    _require(len({row.pseudonym for row in data.annotators}) == people, "the annotators' pseudonyms")
    known = {"", *(row.pseudonym for row in data.annotators)}
    _require(all(row.pseudonym in known for row in data.leaks), "the annotators whom a metric comes from")
    _require(all(row.kind in Annotator.Kind.values for row in data.annotators), "an annotator's kind")
    _require(all(row.state in Annotator.State.values for row in data.annotators), "an annotator's state")
    _require(all(0 <= stone.votes < MAX_POSITION for stone in data.tombstones), "a tombstone's votes")
    _validate_comparisons(data.comparisons, data.manifest)
    _validate_votes(data.votes, comparisons=comparisons, people=people)
    _validate_checks(data, people)
    for metric, margins in data.margins.items():
        _require(margins.shape == (comparisons,) and _are_scores(margins / 2), f"the scores by {metric[:100]}")
    for alike in (data.similarities, *data.other_similarities.values(), *data.matrices.values()):
        _validate_similarities(alike, comparisons)


def _require(holds: Any, part: str) -> None:
    if not holds:
        raise ValueError(f"no study can have such values: {part}")


def _validate_comparisons(table: ScoredComparisons, manifest: Manifest) -> None:
    n, planned = len(table.prompt), manifest.comparison_count
    _require(n <= planned, "the number of comparisons")
    _require_columns(table, n, ("position", "cluster", "images_a", "images_b", "planned_images", "is_scored"))
    _require_columns(table, n, ("score_a", "score_b", "model_a", "model_b"))
    for models in (table.model_a, table.model_b):
        _require(_are_within(models, 0, len(manifest.models) - 1), "the models of a comparison")
    _require(bool((table.model_a < table.model_b).all()), "the models of a comparison")
    _require(_are_within(table.position, 0, planned - 1), "the comparisons' positions")
    _require(bool((np.diff(table.position) > 0).all()), "the comparisons' order")
    _require(_are_within(table.cluster, 0, MAX_POSITION), "the comparisons' clusters")
    for counts in (table.images_a, table.images_b, table.planned_images):
        _require(_are_within(counts, 0, MAX_POSITION), "the numbers of images")
    for scores in (table.score_a, table.score_b):
        _require(_are_scores(scores), "a score")
    has_scores = ~(np.isnan(table.score_a) | np.isnan(table.score_b))
    _require(bool((has_scores == table.is_scored).all()), "which comparisons have scores")


def _validate_votes(table: UnsealedVotes, *, comparisons: int, people: int) -> None:
    v = len(table.comparison)
    names = ("annotator", "side", "choice", "left", "response_ms", "arrival", "is_excluded")
    _require_columns(table, v, names)
    _require(_are_within(table.comparison, 0, comparisons - 1), "a vote's comparison")
    _require(_are_within(table.annotator, 0, people - 1), "a vote's annotator")
    pairs = table.comparison.astype(np.int64) * max(people, 1) + table.annotator
    _require(bool((np.diff(pairs) > 0).all()), "the order of the votes")
    _require(_are_among(table.side, (LEFT, RIGHT, TIE, UNKNOWN)), "a vote's side")
    _require(_are_among(table.choice, (MODEL_A, MODEL_B, TIE)), "a vote's choice")
    _require(_are_among(table.left, (MODEL_A, MODEL_B, UNKNOWN)), "the model on a vote's left side")
    _require(_are_within(table.response_ms, UNKNOWN, MAX_POSITION), "a response time")
    _require(bool((np.sort(table.arrival) == np.arange(v)).all()), "the order in which votes came")
    _require(len(table.exclusions) == int(table.is_excluded.sum()), "the excluded votes")
    for row in table.exclusions:
        _require(0 <= row.comparison < comparisons and 0 <= row.annotator < people, "an excluded vote")


def _validate_checks(data: UnsealedData, people: int) -> None:
    for row in data.checks.known:
        _require(0 <= row.annotator < people and row.replaced >= 0 and row.images >= 0, "an attention check")
    for repeat in data.checks.repeats:
        _require(0 <= repeat.annotator < people and repeat.outcome in (SAME, OTHER, UNDECIDED), "a repeat")
        _require(UNKNOWN <= repeat.comparison < len(data.comparisons), "a repeat")


def _validate_similarities(alike: Similarities, comparisons: int) -> None:
    m = len(alike.comparison)
    _require(_are_within(alike.comparison, 0, comparisons - 1), "the similarities of images")
    _require(len(np.unique(alike.comparison)) == m and alike.a.shape == alike.b.shape, "the similarities of images")
    _require(alike.a.shape[0] == m and alike.a.shape[1] == alike.a.shape[2], "the similarities of images")
    finite = bool(np.isfinite(alike.a).all() and np.isfinite(alike.b).all())
    _require(finite and (not m or alike.a.shape[1] > 1), "the similarities of images")


def _require_columns(table: Any, n: int, names: Iterable[str]) -> None:
    for name in names:
        column = getattr(table, name)
        _require(column.shape == (n,), f"the column {name}")


def _are_scores(column: NDArray[Any]) -> bool:
    """Return whether each value is a score or missing."""
    return bool((np.isnan(column) | (np.abs(column) <= LARGEST_SCORE)).all())


def _are_within(column: NDArray[Any], least: int, most: int) -> bool:
    return not len(column) or (least <= int(column.min()) and int(column.max()) <= most)


def _are_among(column: NDArray[Any], known: Iterable[int]) -> bool:
    return bool(np.isin(column, list(known)).all())
