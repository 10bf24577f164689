"""The effect of the side, and the agreement of each annotator with the others. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.reports.data.study_data import LEFT, RIGHT, UnsealedVotes
from annotation.reports.findings.analysed import Analysed
from annotation.reports.findings.study.quality import SIDES_UNKNOWN
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.bias import PositionBias, position_bias
from scoring.statistics.people.leave_one_out import OneAgainstOthers, each_against_the_others
from scoring.statistics.people.reliability import krippendorff_alpha
from scoring.statistics.votes.counts import Integers


@dataclass(frozen=True, slots=True)
class Bias:
    """position: None if no side is known. side_coding_alpha: Krippendorff's nominal alpha of left, right and tie.

    It is a check for bias, about 0 if the sides are drawn for each vote, and never reliability: it does not say how
    well people agree on models. annotators: one row for each annotator who shares a comparison with others; by the
    first votes of each comparison if the study stops early.
    """

    position: PositionBias | None
    side_coding_alpha: Estimate
    reason: str
    annotators: tuple[OneAgainstOthers, ...]


def compute(analysed: Analysed) -> Bias:
    """Return the tests of the votes for the left side, and each annotator's agreement with the others."""
    data, resampling = analysed.data, analysed.resampling
    annotators = each_against_the_others(analysed.first.votes, comparison_count=len(analysed))
    left, either = _side_votes(data.votes, annotator_count=len(data.annotators))
    if not either.any():
        undefined = Estimate.undefined(SIDES_UNKNOWN, n=0, level=resampling.level)
        return Bias(None, undefined, SIDES_UNKNOWN, annotators)
    by_side = _votes_by_side(data.votes, n=len(data.comparisons))
    alpha = krippendorff_alpha(by_side, clusters=data.comparisons.cluster, resampling=resampling)
    return Bias(position_bias(left, either, resampling=resampling), alpha, "", annotators)


def _votes_by_side(votes: UnsealedVotes, *, n: int) -> Integers:
    """(n, 3) counted votes for left, for right and for neither, of those whose sides are known."""
    return _tally(votes.comparison, votes.side, ~votes.is_excluded & (votes.side >= 0), shape=(n, 3))


def _side_votes(votes: UnsealedVotes, *, annotator_count: int) -> tuple[Integers, Integers]:
    """Votes for the left side, and for either side, by annotator and by the model that was on the left (A, B).

    Both (annotators, 2); ties and votes with unknown sides are left out.
    """
    is_for_a_side, shape = ~votes.is_excluded & np.isin(votes.side, (LEFT, RIGHT)), (annotator_count, 2)
    left = _tally(votes.annotator, votes.left, is_for_a_side & (votes.side == LEFT), shape=shape)
    return left, _tally(votes.annotator, votes.left, is_for_a_side, shape=shape)


def _tally(
    rows: NDArray[np.int32], columns: NDArray[np.int8], counted: NDArray[np.bool_], *, shape: tuple[int, int]
) -> Integers:
    """Return the number of counted votes of each row and column."""
    cells = rows[counted].astype(np.int64) * shape[1] + columns[counted]
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)
