"""The crossed model of single votes: what makes them, and what a new annotator on a new prompt would do. Pure."""

import numpy as np
from numpy.typing import NDArray

from annotation.reports.data.study_data import MODEL_A, UNKNOWN
from annotation.reports.findings.analysed import Analysed
from scoring.statistics.people.crossed_model.model import CrossedModel, crossed_model


def compute(analysed: Analysed) -> CrossedModel:
    """Fit the model to all counted votes, also if the study stops early: stopping by the votes does not bias it."""
    return crossed_model(
        analysed.votes,
        analysed.margin,
        _sides(analysed),
        clusters=analysed.clusters,
        resampling=analysed.resampling,
    )


def _sides(analysed: Analysed) -> NDArray[np.float64]:
    """(v,) for each analysed vote one half if A was shown left, minus one half if B, NaN if the sides are unknown."""
    votes, annotators = analysed.data.votes, len(analysed.data.annotators)
    of_votes = votes.comparison.astype(np.int64) * annotators + votes.annotator
    order = np.argsort(of_votes)
    wanted = analysed.place[analysed.votes.comparison] * annotators + analysed.votes.annotator
    left = votes.left[order[np.searchsorted(of_votes[order], wanted)]]
    return np.where(left == UNKNOWN, np.nan, np.where(left == MODEL_A, 0.5, -0.5))
