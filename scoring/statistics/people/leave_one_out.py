"""How often one person agrees with the others, and how often the metric does on the same votes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.agreement import Signs, checked_winners
from scoring.statistics.counts import Integers, checked_counts
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import Floats, Resampling, cluster_numbers, percentile_estimate, resampled_totals
from scoring.statistics.votes import Votes

_CHOICES = (1, -1, 0)  # what a vote in each column of the counts says


@dataclass(frozen=True, slots=True)
class Compared:
    """People and the metric against the same targets; difference: metric minus people, paired."""

    people: Estimate
    metric: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class AtVotes:
    """The two means over the comparisons that have a given number of votes."""

    votes: int
    comparisons: int
    people: float
    metric: float


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """Means with equal weight for each comparison and for each vote, and one row for each number of votes."""

    by_comparison: Compared
    by_vote: Compared
    by_count: tuple[AtVotes, ...]


def leave_one_out(
    counts: ArrayLike, metric: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling
) -> LeaveOneOut:
    """Each vote, and the metric in its place, against the majority of the other votes of its comparison.

    counts: (n, 3) votes for A, for B, and tie votes. metric: (n,) signs of the metric's winner. clusters: (n,) labels
    or None. The majority is the sign of (A - B) among the others; a tie on one side only counts one half, on both one.
    Comparisons with fewer than two votes are left out. A metric judged against all k votes of a comparison, with people
    judged against k - 1, would look better by construction; here both have the same targets.
    Raises ValueError for counts and signs that do not fit together.
    Source: Snow et al. (2008), "Cheap and fast, but is it good?", judge annotators against the others this way.

    >>> votes = [(5, 0, 0), (4, 1, 0), (3, 2, 0), (1, 4, 0)]
    >>> result = leave_one_out(votes, [1, 1, 1, 1], resampling=Resampling(resamples=100)).by_comparison
    >>> round(result.people.value or 0, 3), round(result.metric.value or 0, 3)
    (0.725, 0.675)
    """
    votes, its = checked_counts(counts, categories=3), checked_winners(metric, metric)[0]
    if len(votes) != len(its):
        raise ValueError(f"{len(votes)} comparisons with votes, {len(its)} with a winner of the metric")
    is_paired = votes.sum(axis=1) >= 2
    labels = None if clusters is None else cluster_numbers(len(votes), clusters)[is_paired]
    votes, its = votes[is_paired], its[is_paired]
    people_credit, metric_credit = _credits(votes, its)
    size = votes.sum(axis=1)
    shares = np.column_stack([people_credit / size, metric_credit / size, np.ones(len(size))])
    pooled = np.column_stack([people_credit, metric_credit, size])
    return LeaveOneOut(
        by_comparison=_compared(shares, labels, resampling),
        by_vote=_compared(pooled, labels, resampling),
        by_count=tuple(_at_votes(int(k), shares[size == k]) for k in np.unique(size)),
    )


@dataclass(frozen=True, slots=True)
class OneAgainstOthers:
    """One annotator's mean credit against the majority of the others, over comparisons that others voted on too."""

    annotator: str
    votes: int
    agreement: float


def each_against_the_others(votes: Votes, *, comparison_count: int) -> tuple[OneAgainstOthers, ...]:
    """The agreement of each annotator with the majority of the others, in the annotators' order.

    A vote is credited as in `leave_one_out`: a tie on one side only counts one half. The only vote on a comparison does
    not count, and annotators with only such votes are left out.

    >>> votes = Votes.of([0, 0, 0], [0, 1, 2], [0, 0, 1])
    >>> [row.agreement for row in each_against_the_others(votes, comparison_count=1)]
    [0.5, 0.5, 0.0]
    """
    counts = votes.counts(comparison_count)
    own = np.array(_CHOICES)[votes.choice]
    targets = np.sign((counts[:, 0] - counts[:, 1])[votes.comparison] - own)
    is_shared = counts.sum(axis=1)[votes.comparison] >= 2
    credit = 1 - np.abs(own - targets)[is_shared] / 2
    who = votes.annotator[is_shared]
    cast, earned = np.bincount(who), np.bincount(who, weights=credit)
    return tuple(
        OneAgainstOthers(votes.name(int(annotator)), int(cast[annotator]), float(earned[annotator] / cast[annotator]))
        for annotator in np.unique(who)
    )


def _credits(votes: Integers, metric: Signs) -> tuple[Floats, Floats]:
    """Credit summed over the votes of each comparison: (n,) of people, (n,) of the metric."""
    choices = np.array(_CHOICES)
    margin = votes[:, 0] - votes[:, 1]
    targets = np.sign(margin[:, np.newaxis] - choices)  # without one vote of each choice
    return _credit(votes, choices[np.newaxis, :], targets), _credit(votes, metric[:, np.newaxis], targets)


def _credit(votes: Integers, answers: Integers | Signs, targets: Integers) -> Floats:
    apart = np.abs(answers - targets)  # 0 the same, 1 a tie on one side, 2 the opposite
    summed: Floats = (votes * (1 - apart / 2)).sum(axis=1)
    return summed


def _compared(summands: Floats, clusters: ArrayLike | None, resampling: Resampling) -> Compared:
    """summands: (n, 3) credit of people, credit of the metric, weight."""
    n = len(summands)
    if not n:
        nothing = Estimate.undefined(
            "no comparison has two votes", n=0, level=resampling.level, method="percentile bootstrap"
        )
        return Compared(nothing, nothing, nothing)
    means, observed = (
        totals[..., :2] / totals[..., 2:]
        for totals in (resampled_totals(summands, clusters=clusters, resampling=resampling), summands.sum(axis=0))
    )
    resampled = [means[:, 0], means[:, 1], means[:, 1] - means[:, 0]]
    values = [observed[0], observed[1], observed[1] - observed[0]]
    return Compared(
        *(
            percentile_estimate(float(value), column, n=n, resampling=resampling)
            for value, column in zip(values, resampled, strict=True)
        )
    )


def _at_votes(votes: int, shares: Floats) -> AtVotes:
    people, metric, _ = shares.mean(axis=0)
    return AtVotes(votes=votes, comparisons=len(shares), people=float(people), metric=float(metric))
