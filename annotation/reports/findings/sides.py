"""The two sides of each comparison in a study of several models. Pure.

There A is the model that comes first in the best fixed order of the models, called the higher one, and B the other,
called the lower one. So a constant choice of A is that order, and what speaks of A and B means the same in every pair.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.reports.data.study_data import MODEL_A, MODEL_B, Similarities, UnsealedData
from annotation.reports.findings.analysed import Outcome, votes_one_by_one
from scoring.statistics.ranking.fixed_order import FixedOrder, best_fixed_order

Booleans = NDArray[np.bool_]
_TWINS = (("images_a", "images_b"), ("score_a", "score_b"), ("model_a", "model_b"))


def fixed_order(data: UnsealedData) -> FixedOrder | None:
    """Return the best fixed order of several models by the winners of the votes; None for two.

    It rests on the comparisons that count for the agreement, or on all with votes if no metric was scored.
    """
    k, rows = len(data.manifest.models), data.comparisons
    if k == 2:
        return None
    counts = votes_one_by_one(data.votes).counts(len(rows))
    outcome = Outcome.of(counts, rows.score_a - rows.score_b)
    kept = outcome.is_analysed if outcome.is_analysed.any() else outcome.has_votes
    wins, votes = np.zeros((k, k), dtype=np.int64), np.zeros((k, k), dtype=np.int64)
    for of, other, sign, column in ((rows.model_a, rows.model_b, 1, 0), (rows.model_b, rows.model_a, -1, 1)):
        np.add.at(wins, (of[kept], other[kept]), outcome.people[kept] == sign)
        np.add.at(votes, (of[kept], other[kept]), counts[kept, column])
    return best_fixed_order(wins, votes)


def by_order(data: UnsealedData, order: FixedOrder) -> UnsealedData:
    """Return the data with the model that comes first in the order as A of each comparison."""
    rows, votes = data.comparisons, data.votes
    swapped = order.place[rows.model_a] > order.place[rows.model_b]
    of_vote = swapped[votes.comparison]
    twins: dict[str, Any] = {
        name: np.where(swapped, getattr(rows, other), getattr(rows, name))
        for pair in _TWINS
        for name, other in (pair, pair[::-1])
    }
    return replace(
        data,
        comparisons=replace(rows, **twins),
        votes=replace(votes, choice=_other(votes.choice, of_vote), left=_other(votes.left, of_vote)),
        margins={name: np.where(swapped, -margin, margin) for name, margin in data.margins.items()},
        similarities=_swapped(data.similarities, swapped),
        other_similarities={name: _swapped(one, swapped) for name, one in data.other_similarities.items()},
        matrices={name: _swapped(one, swapped) for name, one in data.matrices.items()},
    )


def _other(models: NDArray[np.int8], swapped: Booleans) -> NDArray[np.int8]:
    """Exchange A and B in swapped rows; ties and unknown models stay."""
    is_model = (models == MODEL_A) | (models == MODEL_B)
    return np.where(swapped & is_model, MODEL_A + MODEL_B - models, models).astype(np.int8)


def _swapped(alike: Similarities, swapped: Booleans) -> Similarities:
    if not len(alike.comparison):
        return alike
    rows = swapped[alike.comparison][:, np.newaxis, np.newaxis]
    return replace(alike, a=np.where(rows, alike.b, alike.a), b=np.where(rows, alike.a, alike.b))
