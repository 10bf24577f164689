"""The smallest margin at which the metric should name a winner: accuracy with calibrated ties."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.statistics.agreement.agreement import METRIC_TIE, Signs, checked_winners, metric_winners
from scoring.statistics.agreement.folds import cluster_folds
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.score_interval import mean_credit
from scoring.statistics.votes.counts import Floats, Integers

NO_TIED_COMPARISON = "the votes leave no comparison tied, so this is the strict agreement"


@dataclass(frozen=True, slots=True)
class TieThreshold:
    """threshold: the smallest of the best ones on all comparisons; in_sample: its accuracy there, biased upward.

    held_out: accuracy with each fold's comparisons judged by the threshold of the other folds, all folds pooled.
    note: a remark if no comparison is tied by the votes.
    """

    threshold: float | None
    in_sample: float | None
    held_out: Estimate
    note: str = ""


def accuracy_with_ties(people: ArrayLike, margins: ArrayLike, *, threshold: float) -> float | None:
    """(C + T_hm) / (C + D + T_h + T_m + T_hm), with margins up to the threshold counted as ties of the metric.

    people: (n,) signs. margins: (n,). C, D: both decide and agree or not; T_hm: both tie; T_h, T_m: one of them ties.
    None without comparisons.
    Source: Deutsch, Foster and Freitag (2023), "Ties Matter: Meta-Evaluating Modern Metrics with Pairwise Accuracy and
    Tie Calibration".

    >>> people, margins = [0, 0, -1, 0, -1, -1], [2, 6, -8, 4, -6, -2]
    >>> [6 * (accuracy_with_ties(people, margins, threshold=size) or 0) for size in (0, 2, 4, 6, 8)]
    [3.0, 3.0, 4.0, 4.0, 3.0]
    """
    theirs, sizes = _checked(people, margins)
    return float(_is_right(theirs, sizes, threshold).mean()) if len(theirs) else None


def calibrate_ties(
    people: ArrayLike, margins: ArrayLike, *, clusters: ArrayLike | None = None, seed: int, level: float = 0.95
) -> TieThreshold:
    """The best threshold among 0 and every |margin|, and its cross-validated accuracy by ten folds of clusters.

    people: (n,) signs. margins: (n,). clusters: (n,) labels or None. Undefined for fewer than two clusters.

    >>> calibrate_ties([0, 0, -1, 0, -1, -1], [2, 6, -8, 4, -6, -2], seed=1).threshold
    4.0
    """
    theirs, sizes = _checked(people, margins)
    folds = cluster_folds(len(theirs), clusters=clusters, seed=seed)
    if len(np.unique(folds)) < 2:
        reason = "one cluster of comparisons cannot be held out" if len(folds) else "no comparison"
        held_out = Estimate.undefined(reason, n=len(folds), level=level, method="Wilson")
    else:
        held_out = mean_credit(_held_out_right(theirs, sizes, folds), clusters=clusters, level=level)
    threshold = _best_threshold(theirs, sizes) if len(theirs) else None
    return TieThreshold(
        threshold=threshold,
        in_sample=None if threshold is None else accuracy_with_ties(theirs, sizes, threshold=threshold),
        held_out=held_out,
        note=NO_TIED_COMPARISON if len(theirs) and theirs.all() else "",
    )


def _checked(people: ArrayLike, margins: ArrayLike) -> tuple[Signs, Floats]:
    theirs, _ = checked_winners(people, metric_winners(margins))
    return theirs, np.asarray(margins, dtype=np.float64)


def _is_right(people: Signs, margins: Floats, threshold: float) -> NDArray[np.bool_]:
    named = np.where(np.abs(margins) <= max(threshold, METRIC_TIE), 0, np.sign(margins))
    return np.asarray(named == people)


def _held_out_right(people: Signs, margins: Floats, folds: Integers) -> NDArray[np.bool_]:
    """Whether each comparison is right by the best threshold of the other folds."""
    right = np.zeros(len(people), dtype=bool)
    for fold in np.unique(folds):
        inside = folds == fold
        threshold = _best_threshold(people[~inside], margins[~inside])
        right[inside] = _is_right(people[inside], margins[inside], threshold)
    return right


def _best_threshold(people: Signs, margins: Floats) -> float:
    """Try all thresholds at once: raising the threshold past a margin replaces that winner by a tie."""
    order = np.argsort(np.abs(margins), kind="stable")
    sizes = np.abs(margins)[order]
    gain = (people == 0)[order].astype(np.int64) - (np.sign(margins) == people)[order]
    tied_at_zero = int(np.searchsorted(sizes, METRIC_TIE, side="right"))
    right = np.cumsum(gain)
    is_candidate = np.append(np.diff(sizes) > 0, True)
    is_candidate[:tied_at_zero] = False
    at_zero = right[tied_at_zero - 1] if tied_at_zero else 0
    candidates = np.append(0.0, sizes[is_candidate])
    return float(candidates[np.argmax(np.append(at_zero, right[is_candidate]))])
