"""The counts and winners that the findings of a study start from. Pure.

Every finding is one module with `compute(analysed) -> value`, a frozen value that becomes a key of the JSON document.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from annotation.reports.data.study_data import UnsealedData, UnsealedVotes
from annotation.studies.manifest import Manifest
from scoring.statistics.agreement import agreement
from scoring.statistics.agreement.agreement import Signs
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.ranking.fixed_order import FixedOrder
from scoring.statistics.votes.counts import Floats, Integers
from scoring.statistics.votes.votes import Votes

NOTHING_ANALYSED = "no comparison has both votes and two scores"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Votes, margins and winners of n comparisons.

    votes: (n, 3) counted votes for A, for B, for neither. margin: (n,) positive if the metric names A (see
    `oriented`), NaN if missing.
    people, metric: (n,) winners +1 (A), -1 (B), 0 (tie); meaningless where has_votes or is_scored is false.
    """

    votes: Integers
    margin: Floats
    people: Signs
    metric: Signs
    has_votes: NDArray[np.bool_]
    is_scored: NDArray[np.bool_]

    @classmethod
    def of(cls, votes: Integers, margin: Floats) -> "Outcome":
        """The winners that follow from the votes and the margins."""
        has_votes, is_scored = votes.sum(axis=1) > 0, ~np.isnan(margin)
        people, metric = np.zeros(len(votes), dtype=np.int8), np.zeros(len(votes), dtype=np.int8)
        people[has_votes] = agreement.people_winners(votes[has_votes])
        metric[is_scored] = agreement.metric_winners(margin[is_scored])
        return cls(votes, margin, people, metric, has_votes, is_scored)

    @property
    def is_analysed(self) -> NDArray[np.bool_]:
        """(n,) whether a comparison has both votes and scores, so that it counts for the agreement."""
        return self.has_votes & self.is_scored


@dataclass(frozen=True)
class Analysed:
    """A study's data and the m comparisons on which the agreement rests: those with votes and both scores.

    outcome: of all n comparisons. place: (m,) indices in the study. counts: (m, 3) votes for A, for B, for neither.
    people, metric: (m,) winners as signs. margin: (m,) positive if the metric names A. clusters: (m,) labels. votes:
    the counted votes in their order, comparisons numbered from 0 to m - 1. resampling: what the manifest fixed. order:
    of several models, whose first is A in each comparison; None for two.
    """

    data: UnsealedData
    outcome: Outcome
    place: Integers
    counts: Integers
    people: Signs
    metric: Signs
    margin: Floats
    clusters: Integers
    votes: Votes
    resampling: Resampling
    order: FixedOrder | None = None

    def __len__(self) -> int:
        return len(self.place)

    @cached_property
    def first(self) -> "Analysed":
        """The same with the votes that say how well people agree: if the study stops early, the first of each
        comparison. The winners stay those of all votes."""
        most = first_votes(self.data.manifest)
        if most is None:
            return self
        votes = self.votes.first_of_each(most)
        return replace(self, votes=votes, counts=votes.counts(len(self)))

    @property
    def constant_choice(self) -> str:
        """The constant choice that was fixed before the votes, or that is the best fixed order; else empty."""
        return self.data.manifest.analysis.constant_choice or self.higher

    @property
    def higher(self) -> str:
        """A, which is the higher one of several models in the best fixed order; empty for two models."""
        return "A" if self.order else ""

    @property
    def may_tie(self) -> bool:
        """Whether a tie could be voted; imported votes may tie although the manifest does not say so."""
        return self.data.manifest.annotation.ties or bool(self.outcome.votes[:, 2].any())


def analyse(data: UnsealedData, *, order: FixedOrder | None = None, with_excluded: bool = False) -> Analysed:
    """Count the votes and find the winners. order: of several models, by whose `sides` the data are. with_excluded: as
    if no vote had been excluded."""
    votes = votes_one_by_one(data.votes, with_excluded=with_excluded)
    outcome = Outcome.of(votes.counts(len(data.comparisons)), data.margin())
    kept, plan = outcome.is_analysed, data.manifest.analysis
    number, counted = np.cumsum(kept) - 1, kept[votes.comparison]
    return Analysed(
        data=data,
        outcome=outcome,
        place=np.flatnonzero(kept),
        counts=outcome.votes[kept],
        people=outcome.people[kept],
        metric=outcome.metric[kept],
        margin=outcome.margin[kept],
        clusters=data.comparisons.cluster[kept],
        votes=Votes(
            comparison=number[votes.comparison[counted]],
            annotator=votes.annotator[counted],
            choice=votes.choice[counted],
            names=tuple(row.pseudonym for row in data.annotators),
        ),
        resampling=Resampling(level=plan.level, resamples=plan.resamples, seed=plan.seed),
        order=order,
    )


def votes_one_by_one(votes: UnsealedVotes, *, with_excluded: bool = False) -> Votes:
    """The counted votes in the order in which they were given."""
    rows = counted_rows(votes, with_excluded=with_excluded)
    return Votes.of(votes.comparison[rows], votes.annotator[rows], votes.choice[rows])


def counted_rows(votes: UnsealedVotes, *, with_excluded: bool = False) -> Integers:
    """The places of the counted votes, in the order in which they were given."""
    order = np.argsort(votes.arrival)
    return order if with_excluded else order[~votes.is_excluded[order]]


def votes_for_reliability(data: UnsealedData, *, with_excluded: bool = False) -> Votes:
    """Return the votes that say how well people agree: all, or the first of each comparison after early stopping."""
    votes, most = votes_one_by_one(data.votes, with_excluded=with_excluded), first_votes(data.manifest)
    return votes if most is None else votes.first_of_each(most)


def first_votes(manifest: Manifest) -> int | None:
    """Return the number of votes of each comparison before any early stop; None if the study does not stop early."""
    plan = manifest.annotation
    return plan.overlap // 2 + 1 if plan.early_stopping else None


def explained(estimate: Estimate, *, analysed: int) -> Estimate:
    """An agreement with the reason why it rests on no comparison, if it rests on none."""
    if estimate.is_defined:
        return estimate
    return replace(estimate, reason="no comparison that both decide" if analysed else NOTHING_ANALYSED)
