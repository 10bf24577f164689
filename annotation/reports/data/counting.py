"""Votes -> counts per comparison: what most statistics work on. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.reports.data.study_data import LEFT, RIGHT, StudyData, VoteArrays
from annotation.studies.manifest import Manifest
from scoring.statistics import agreement
from scoring.statistics.votes import Votes

Integers = NDArray[np.int64]
Signs = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the votes and the scores come to, for n comparisons. Only for a study that is not sealed.

    votes: (n, 3) counted votes for A, for B, for neither. margin: (n,) score of A minus score of B, NaN where missing.
    people, metric: (n,) winners +1 (A), -1 (B), 0 (tie); meaningless where has_votes or is_scored is false.
    is_analysed: (n,) both votes and scores are there, so that the comparison counts for the agreement.
    """

    votes: Integers
    margin: NDArray[np.float64]
    people: Signs
    metric: Signs
    has_votes: NDArray[np.bool_]
    is_scored: NDArray[np.bool_]

    @property
    def is_analysed(self) -> NDArray[np.bool_]:
        """(n,) whether a comparison has both a people's winner and a metric's winner, a tie included."""
        return self.has_votes & self.is_scored


def outcome(data: StudyData, *, with_excluded: bool = False) -> Outcome:
    """Winners by people and by the metric. with_excluded: as if no vote had been excluded."""
    if data.votes.choice is None or data.comparisons.score_a is None or data.comparisons.score_b is None:
        raise ValueError("a sealed study has no outcome")
    counts = votes_by_model(data.votes, n=len(data.comparisons), with_excluded=with_excluded)
    return outcome_of(counts, data.comparisons.score_a - data.comparisons.score_b)


def outcome_of(counts: Integers, margin: NDArray[np.float64]) -> Outcome:
    """Winners by people and by the metric. counts: (n, 3) votes for A, for B, for neither; margin: (n,), NaN where
    missing."""
    has_votes, is_scored = counts.sum(axis=1) > 0, ~np.isnan(margin)
    return Outcome(
        votes=counts,
        margin=margin,
        people=_winners(has_votes, agreement.people_winners(counts[has_votes])),
        metric=_winners(is_scored, agreement.metric_winners(margin[is_scored])),
        has_votes=has_votes,
        is_scored=is_scored,
    )


def votes_by_model(votes: VoteArrays, *, n: int, with_excluded: bool = False) -> Integers:
    """(n, 3) votes for A, for B and for neither."""
    if votes.choice is None:
        raise ValueError("votes by model are sealed")
    is_counted = np.ones(len(votes), dtype=bool) if with_excluded else ~votes.is_excluded
    return _counts(votes.comparison, votes.choice, n=n, counted=is_counted)


def votes_one_by_one(votes: VoteArrays, *, with_excluded: bool = False) -> Votes:
    """The counted votes in the order in which they were received."""
    if votes.choice is None:
        raise ValueError("votes by model are sealed")
    order = np.argsort(votes.arrival)
    rows = order if with_excluded else order[~votes.is_excluded[order]]
    return Votes.of(votes.comparison[rows], votes.annotator[rows], votes.choice[rows])


def votes_for_reliability(data: StudyData, *, with_excluded: bool = False) -> Integers:
    """(n, 3) votes for A, for B and for neither that say how well people agree: all, or the first of each comparison
    where the study stops early."""
    n, most = len(data.comparisons), first_votes(data.manifest)
    if most is None:
        return votes_by_model(data.votes, n=n, with_excluded=with_excluded)
    return votes_one_by_one(data.votes, with_excluded=with_excluded).first_of_each(most).counts(n)


def first_votes(manifest: Manifest) -> int | None:
    """How many votes of each comparison come before any early stop; None where the study does not stop early."""
    plan = manifest.annotation
    return plan.overlap // 2 + 1 if plan.early_stopping else None


def votes_by_side(votes: VoteArrays, *, n: int) -> Integers:
    """(n, 3) counted votes for left, for right and for neither, of those whose sides are known."""
    return _counts(votes.comparison, votes.side, n=n, counted=~votes.is_excluded & (votes.side >= 0))


def side_votes_by_annotator(votes: VoteArrays, *, annotator_count: int) -> tuple[Integers, Integers]:
    """Votes for the left side, and for either side, by annotator and by the model that stood left (A, B).

    Both (annotators, 2); ties and votes with unknown sides are left out.
    """
    if votes.left is None:
        raise ValueError("the model shown left is sealed")
    is_for_a_side = ~votes.is_excluded & np.isin(votes.side, (LEFT, RIGHT))
    shape = (annotator_count, 2)
    either, left = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    np.add.at(either, (votes.annotator[is_for_a_side], votes.left[is_for_a_side]), 1)
    is_left = is_for_a_side & (votes.side == LEFT)
    np.add.at(left, (votes.annotator[is_left], votes.left[is_left]), 1)
    return left, either


def _counts(rows: NDArray[np.int32], codes: NDArray[np.int8], *, n: int, counted: NDArray[np.bool_]) -> Integers:
    flat = rows[counted].astype(np.int64) * 3 + codes[counted]
    return np.bincount(flat, minlength=3 * n).reshape(n, 3).astype(np.int64)


def _winners(known: NDArray[np.bool_], winners: Signs) -> Signs:
    filled = np.zeros(len(known), dtype=np.int8)
    filled[known] = winners
    return filled
