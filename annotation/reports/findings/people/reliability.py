"""The agreement of annotators with each other, and the votes saved by early stopping. Pure."""

from dataclasses import dataclass

import numpy as np

from annotation.reports.findings.analysed import Analysed, first_votes, votes_for_reliability
from annotation.voting.rules import is_decided
from scoring.statistics.people.reliability import Reliability, reliability


def compute(analysed: Analysed) -> Reliability:
    """Return the reliability of all comparisons with votes; of the first votes only, if the study stops early."""
    clusters, votes = analysed.data.comparisons.cluster, votes_for_reliability(analysed.data)
    return reliability(
        votes.counts(len(clusters)),
        ties_allowed=analysed.may_tie,
        clusters=clusters,
        resampling=analysed.resampling,
        votes=votes,
    )


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """closed_comparisons: those whose winner was certain with fewer votes than asked for. saved_votes: not cast on
    them. first_votes: reliability rests on at most this many votes of each comparison, the first ones; None: on all."""

    closed_comparisons: int
    saved_votes: int
    first_votes: int | None


def early_stopping(analysed: Analysed) -> EarlyStopping:
    """Count the votes that were saved; none if the study does not stop early."""
    data = analysed.data
    most, overlap = first_votes(data.manifest), data.manifest.annotation.overlap
    if most is None:
        return EarlyStopping(0, 0, None)
    # An excluded vote was cast, so it was not saved.
    left = overlap - np.bincount(data.votes.comparison, minlength=len(data.comparisons))
    is_closed = np.array(
        [
            left[place] > 0 and is_decided(for_a=a, for_b=b, ties=ties, overlap=overlap)
            for place, (a, b, ties) in enumerate(analysed.outcome.votes.tolist())
        ],
        dtype=bool,
    )
    return EarlyStopping(int(is_closed.sum()), int(left[is_closed].sum()), most)
