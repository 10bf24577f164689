"""The comparisons on which the agreement rests, and their votes one by one. Pure."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annotation.reports.data.counting import Outcome, votes_one_by_one
from annotation.reports.data.study_data import StudyData
from scoring.statistics.agreement import Signs
from scoring.statistics.counts import Integers
from scoring.statistics.intervals import Floats, Resampling
from scoring.statistics.votes import Votes

_FEWEST_RESAMPLES = 100


@dataclass(frozen=True, slots=True)
class Analysed:
    """The n comparisons with votes and both scores.

    place: (n,) their indices in the study. counts: (n, 3) votes for A, for B, for neither. people, metric: (n,) winners
    as signs. margin: (n,) score of A minus score of B. clusters: (n,) labels. votes: the counted votes as they were
    received, comparisons numbered from 0 to n - 1.
    """

    place: Integers
    counts: Integers
    people: Signs
    metric: Signs
    margin: Floats
    clusters: Integers
    votes: Votes

    def __len__(self) -> int:
        return len(self.place)

    def with_first_votes(self, most: int | None) -> "Analysed":
        """With at most so many votes of each comparison, the first; None: all. The winners stay those of all votes."""
        if most is None:
            return self
        votes = self.votes.first_of_each(most)
        return replace(self, votes=votes, counts=votes.counts(len(self)))


def analysed(data: StudyData, found: Outcome) -> Analysed:
    """Those of a study that is not sealed. Raises ValueError for one that is."""
    kept, votes = found.is_analysed, votes_one_by_one(data.votes)
    number = np.cumsum(kept) - 1
    counted: NDArray[np.bool_] = kept[votes.comparison]
    return Analysed(
        place=np.flatnonzero(kept),
        counts=found.votes[kept],
        people=found.people[kept],
        metric=found.metric[kept],
        margin=found.margin[kept],
        clusters=data.comparisons.cluster[kept],
        votes=Votes(number[votes.comparison[counted]], votes.annotator[counted], votes.choice[counted]),
    )


def within_budget(resampling: Resampling, *, numbers: int, budget: int) -> Resampling:
    """As many resamples of so many numbers each as the budget of numbers allows, never fewer than a hundred.

    What cannot work on counts per comparison has a budget of its own, so that a large study's report stays quick; the
    method of each estimate says how many resamples there were.
    """
    affordable = max(_FEWEST_RESAMPLES, budget // max(1, numbers))
    return replace(resampling, resamples=min(resampling.resamples, affordable))
