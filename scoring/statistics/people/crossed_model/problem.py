"""The data of a crossed model's fit: the votes as a design, with the effects that these votes can tell apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jobs.wording import counted
from scoring.statistics.people.crossed_model.design import Design
from scoring.statistics.votes.counts import Floats, Integers, cluster_numbers
from scoring.statistics.votes.votes import CATEGORIES, Votes

MARGIN, SIDE = "margin", "side"  # fixed effects
PROMPTS, CLUSTERS, TASTE, SENSITIVITY, SIDE_BIAS = "prompts", "clusters", "taste", "sensitivity", "side bias"
EFFECTS = (PROMPTS, CLUSTERS, TASTE, SENSITIVITY, SIDE_BIAS)
_CATEGORY = np.array((2, 0, 1))  # of a vote for A, for B, for neither


class NoModel(Exception):  # noqa: N818 - it names what happened
    """The votes allow no crossed model; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A design with the names of its parameters.

    in_model: (2 + r,) which standard deviations are estimated: of prompts, of clusters, of the r annotators' effects.
    names: of all parameters in the design's order. left_out: why an effect is not in the model. margins: (n,) scaled.
    margin_scale: their standard deviation in the metric's unit.
    """

    design: Design
    in_model: NDArray[np.bool_]
    names: tuple[str, ...]
    left_out: dict[str, str]
    margins: Floats
    margin_scale: float

    @property
    def has_side(self) -> bool:
        """Whether the side is a fixed effect."""
        return SIDE in self.names


def pose(votes: Votes, margin: ArrayLike, side: ArrayLike, clusters: ArrayLike | None) -> Problem:
    """Return the problem. Raises NoModel if the votes allow no model at all.

    >>> votes = Votes.of([0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1], [0, 0, 1, 0, 1, 1])
    >>> problem = pose(votes, [2.0, 1.0, -3.0], [0.5, -0.5] * 3, clusters=None)
    >>> problem.names
    ('threshold 1', 'margin', 'side', 'prompts', 'clusters', 'taste', 'sensitivity')
    >>> problem.left_out["side bias"]
    'fewer than two annotators saw both models on the left'
    """
    of_votes = np.asarray(side, dtype=np.float64)
    is_voted, comparison = np.unique(votes.comparison, return_inverse=True)
    margins = np.asarray(margin, dtype=np.float64)
    _check(votes, margins[is_voted])
    scale = float(margins[is_voted].std())
    scaled = margins[is_voted] / scale
    labels = cluster_numbers(len(margins), clusters)[is_voted]
    left_out = _left_out(votes, scaled[comparison], of_votes, labels[comparison])
    has_side = SIDE not in left_out
    columns = {MARGIN: scaled[comparison]} | ({SIDE: of_votes} if has_side else {})
    varying = {TASTE: np.ones(len(comparison)), SENSITIVITY: scaled[comparison], SIDE_BIAS: of_votes}
    kept = [name for name in varying if name not in left_out] or [TASTE]
    category = _categories(votes)
    design = Design.of(
        category,
        np.column_stack(list(columns.values())),
        (comparison, labels, votes.annotator),
        np.column_stack([varying[name] for name in kept]),
    )
    names = (*(f"threshold {k + 1}" for k in range(design.threshold_count)), *columns, PROMPTS, CLUSTERS, *kept)
    in_model = np.array([name not in left_out for name in names[design.fixed_count :]])
    return Problem(design, in_model, names, left_out, scaled, scale)


def _check(votes: Votes, margins: Floats) -> None:
    if not len(votes.choice):
        raise NoModel("no votes")
    if len(np.unique(votes.annotator)) < 2:
        raise NoModel("one annotator only, so that taste and chance cannot be told apart")
    if np.ptp(margins) <= 1e-12 * max(1.0, float(np.abs(margins).max())):
        raise NoModel("all margins are equal, so that they explain nothing")
    counts = np.bincount(votes.choice, minlength=CATEGORIES)
    if not counts[:2].all():
        raise NoModel(f"nobody voted for {'AB'[int(counts[:2].argmin())]}, so that the votes have no finite odds")


def _categories(votes: Votes) -> Integers:
    """Return votes in the order B, tie, A; without tie votes there are two categories."""
    category = _CATEGORY[votes.choice]
    return category if (category == 1).any() else category // 2


def _left_out(votes: Votes, margin: Floats, side: Floats, cluster: Integers) -> dict[str, str]:
    """Return why an effect cannot be told apart from the others with these votes, for each such effect."""
    reasons = {}
    if np.bincount(votes.comparison).max() < 2:
        reasons[PROMPTS] = "no comparison has two votes"
    if len(np.unique(cluster)) == len(np.unique(votes.comparison)):
        reasons[CLUSTERS] = "no two comparisons share a cluster"
    elif len(np.unique(cluster)) < 2:
        reasons[CLUSTERS] = "all comparisons share one cluster"
    if _with_two(votes.annotator, votes.comparison) < 2:
        reasons[TASTE] = "fewer than two annotators have two votes"
    if _with_two(votes.annotator, margin) < 2:
        reasons[SENSITIVITY] = "fewer than two annotators saw two margins"
    if np.isnan(side).any():
        reasons[SIDE] = reasons[SIDE_BIAS] = f"the sides of {counted(int(np.isnan(side).sum()), 'vote')} are unknown"
    elif np.ptp(side) == 0:
        reasons[SIDE] = reasons[SIDE_BIAS] = "the same model was always on the left"
    elif _with_two(votes.annotator, side) < 2:
        reasons[SIDE_BIAS] = "fewer than two annotators saw both models on the left"
    return reasons


def _with_two(annotator: Integers, values: NDArray[np.generic]) -> int:
    """Return how many annotators have two different values."""
    one_of = np.zeros(int(annotator.max()) + 1, dtype=values.dtype)
    one_of[annotator] = values
    return len(np.unique(annotator[values != one_of[annotator]]))
