"""How each annotator voted: against the others, and whether somebody only clicked one side. Pure."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from annotation.reports.data.study_data import LEFT, RIGHT, StudyData
from annotation.reports.findings.analysed import Analysed
from scoring.statistics.leave_one_out import each_against_the_others
from scoring.statistics.runs import run_probability


@dataclass(frozen=True, slots=True)
class VoterAgreement:
    """An annotator's agreement with the majority of the others, a tie on one side one half, over `votes` votes."""

    annotator: str
    votes: int
    agreement: float


@dataclass(frozen=True, slots=True)
class LongestRun:
    """The longest run of votes for one side, in the order they came.

    probability: that an honest annotator with so many votes has one as long; None where there is no vote for a side.
    """

    length: int
    probability: float | None


def voter_agreements(data: StudyData, kept: Analysed) -> tuple[VoterAgreement, ...]:
    """One row an annotator who shares a comparison with others."""
    return tuple(
        VoterAgreement(data.annotators[row.annotator].pseudonym, row.votes, row.agreement)
        for row in each_against_the_others(kept.votes, comparison_count=len(kept))
    )


def longest_run(sides: NDArray[np.int8]) -> LongestRun:
    """sides: LEFT, RIGHT, TIE or unknown, in the order of the votes. A tie vote ends a run; unknown sides are no vote.

    >>> longest_run(np.array([LEFT, LEFT, RIGHT])).length
    2
    """
    known = sides[sides >= 0]
    is_for_a_side = np.isin(known, (LEFT, RIGHT))
    if not is_for_a_side.any():
        return LongestRun(0, None)
    starts = np.flatnonzero(np.append(True, np.diff(known) != 0))
    lengths = np.diff(np.append(starts, len(known)))
    length = int(lengths[is_for_a_side[starts]].max())
    return LongestRun(length, _probability(int(is_for_a_side.sum()), length))


@lru_cache(maxsize=4096)
def _probability(votes: int, length: int) -> float:
    """Exact and slow for thousands of votes; annotators mostly share both numbers."""
    return run_probability(votes, length=length)
