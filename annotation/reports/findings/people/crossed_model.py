"""The crossed model of single votes: what makes them, and what a new annotator on a new prompt would do. Pure."""

from dataclasses import replace

import numpy as np
import scipy
from numpy.typing import NDArray

from annotation.reports.data.study_data import MODEL_A, UNKNOWN
from annotation.reports.findings.analysed import Analysed
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.crossed_model.model import CrossedModel, crossed_model
from scoring.statistics.people.single_votes import SingleVotes

_FAR_APART = 2.0  # standard errors


def compute(analysed: Analysed, single: SingleVotes) -> CrossedModel:
    """Fit the model to all counted votes, also if the study stops early: stopping by the votes does not bias it.

    single: the agreement of single votes without a model, against which the model's is held.
    """
    model = crossed_model(
        analysed.votes,
        analysed.margin,
        _sides(analysed),
        clusters=analysed.clusters,
        resampling=analysed.resampling,
    )
    if model.reason:
        return model
    compared = (("the metric", model.with_metric, single.metric), ("another one", model.with_another, single.people))
    apart = [_far_apart(other, ours, counted) for other, ours, counted in compared]
    return replace(model, warnings=tuple(warning for warning in (*model.warnings, *apart) if warning))


def _far_apart(other: str, model: Estimate, counted: Estimate) -> str:
    """Return a clause if the model's agreement and the one that was counted differ by two standard errors.

    The standard error is the counted one's, or the model's if that has no interval: half of it over 1.96 at 95 %.
    """
    if model.value is None or counted.value is None:
        return ""
    low, high = (counted.low, counted.high) if counted.low is not None else (model.low, model.high)
    if low is None or high is None:
        return ""
    error = (high - low) / 2 / float(scipy.stats.norm.ppf((1 + model.level) / 2))
    if abs(model.value - counted.value) <= _FAR_APART * error:
        return ""
    return (
        f"the model expects that a new annotator agrees with {other} on {100 * model.value:.1f} %, but "
        f"{100 * counted.value:.1f} % was counted, more than two standard errors away: trust what was counted"
    )


def _sides(analysed: Analysed) -> NDArray[np.float64]:
    """(v,) for each analysed vote one half if A was shown left, minus one half if B, NaN if the sides are unknown."""
    votes, annotators = analysed.data.votes, len(analysed.data.annotators)
    of_votes = votes.comparison.astype(np.int64) * annotators + votes.annotator
    order = np.argsort(of_votes)
    wanted = analysed.place[analysed.votes.comparison] * annotators + analysed.votes.annotator
    left = votes.left[order[np.searchsorted(of_votes[order], wanted)]]
    return np.where(left == UNKNOWN, np.nan, np.where(left == MODEL_A, 0.5, -0.5))
