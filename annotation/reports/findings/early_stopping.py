"""What early stopping saved. Pure."""

from dataclasses import dataclass

import numpy as np

from annotation.reports.data.counting import Outcome, first_votes
from annotation.reports.data.study_data import StudyData
from annotation.voting.stopping import is_decided


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """closed_comparisons: whose winner was certain with fewer votes than asked for. saved_votes: not cast on them.

    first_votes: reliability rests on at most so many votes of each comparison, the first; None where on all.
    """

    closed_comparisons: int
    saved_votes: int
    first_votes: int | None


def early_stopping(data: StudyData, found: Outcome) -> EarlyStopping:
    """Nothing saved where the study does not stop early."""
    most = first_votes(data.manifest)
    if most is None:
        return EarlyStopping(0, 0, None)
    overlap = data.manifest.annotation.overlap
    # An excluded vote was asked for and cast all the same.
    left = overlap - np.bincount(data.votes.comparison, minlength=len(data.comparisons))
    is_closed = np.array(
        [
            left[place] > 0 and is_decided(for_a=int(a), for_b=int(b), ties=int(ties), overlap=overlap)
            for place, (a, b, ties) in enumerate(found.votes)
        ],
        dtype=bool,
    )
    return EarlyStopping(int(is_closed.sum()), int(left[is_closed].sum()), most)
