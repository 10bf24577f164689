"""The agreement of one person with the others, and that of the metric on the same votes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.agreement.agreement import ORDER, Signs, checked_winners
from scoring.statistics.inference.estimate import THESE_ANNOTATORS, Estimate
from scoring.statistics.inference.intervals import ratio
from scoring.statistics.inference.score_interval import mean_with_score_interval
from scoring.statistics.people.two_way_jackknife import SHARE, Statistic, TwoWay
from scoring.statistics.votes.counts import Floats, Integers, checked_counts, cluster_numbers
from scoring.statistics.votes.votes import Votes

_ADVANTAGE = (-1.0, 0.5)  # least and greatest of the metric's credit minus people's in a comparison, for any votes


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
class Weighted:
    """Means with equal weight for each comparison, and for each vote."""

    by_comparison: Compared
    by_vote: Compared


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """Means with equal weight for each comparison and for each vote, and one row for each number of votes.

    The intervals of by_comparison and by_vote are for these annotators. annotators_like_these: the same means with
    intervals for annotators like these; None without single votes.
    """

    by_comparison: Compared
    by_vote: Compared
    by_count: tuple[AtVotes, ...]
    annotators_like_these: Weighted | None = None


def leave_one_out(
    counts: ArrayLike,
    metric: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    votes: Votes | None = None,
) -> LeaveOneOut:
    """Each vote, and the metric in its place, against the winner of the other votes of its comparison.

    counts: (n, 3) votes for A, for B, and tie votes. metric: (n,) signs of the metric's winner. clusters: (n,) labels
    or None. votes: the same votes one by one, for the intervals for annotators like these. Their winner is the sign of
    (A - B) among the others; a tie on one side only counts one half, on both one.
    Comparisons with fewer than two votes are left out. A metric judged against all k votes of a comparison, with people
    judged against k - 1, would look better by construction; here both have the same targets.
    Raises ValueError for counts and signs that do not fit together.
    Source: Snow et al. (2008), "Cheap and fast, but is it good?", judge annotators against the others this way.

    >>> counts = [(5, 0, 0), (4, 1, 0), (3, 2, 0), (1, 4, 0)]
    >>> result = leave_one_out(counts, [1, 1, 1, 1]).by_comparison
    >>> round(result.people.value or 0, 3), round(result.metric.value or 0, 3)
    (0.725, 0.675)
    """
    checked, its = checked_counts(counts, categories=3), checked_winners(metric, metric)[0]
    if len(checked) != len(its):
        raise ValueError(f"{len(checked)} comparisons with votes, {len(its)} with a winner of the metric")
    size = checked.sum(axis=1)
    is_paired = size >= 2
    labels = None if clusters is None else cluster_numbers(len(checked), clusters)[is_paired]
    rows = _summands(checked, its)
    found = _weighted(rows[is_paired], labels, level)
    return LeaveOneOut(
        by_comparison=found.by_comparison,
        by_vote=found.by_vote,
        by_count=tuple(_at_votes(int(k), rows[size == k]) for k in np.unique(size[is_paired])),
        annotators_like_these=None if votes is None else _like_these(found, votes, its, clusters),
    )


@dataclass(frozen=True, slots=True)
class OneAgainstOthers:
    """One annotator's mean credit against the winner of the other votes, on comparisons that others voted on too."""

    annotator: str
    votes: int
    agreement: float


def each_against_the_others(votes: Votes, *, comparison_count: int) -> tuple[OneAgainstOthers, ...]:
    """The agreement of each annotator with the winner of the other votes, in the annotators' order.

    A vote is credited as in `leave_one_out`: a tie on one side only counts one half. The only vote on a comparison does
    not count, and annotators with only such votes are left out.

    >>> votes = Votes.of([0, 0, 0], [0, 1, 2], [0, 0, 1])
    >>> [row.agreement for row in each_against_the_others(votes, comparison_count=1)]
    [0.5, 0.5, 0.0]
    """
    counts = votes.counts(comparison_count)
    own = np.array(ORDER)[votes.choice]
    targets = np.sign((counts[:, 0] - counts[:, 1])[votes.comparison] - own)
    is_shared = counts.sum(axis=1)[votes.comparison] >= 2
    credit = 1 - np.abs(own - targets)[is_shared] / 2
    who = votes.annotator[is_shared]
    cast, earned = np.bincount(who), np.bincount(who, weights=credit)
    return tuple(
        OneAgainstOthers(votes.name(int(annotator)), int(cast[annotator]), float(earned[annotator] / cast[annotator]))
        for annotator in np.unique(who)
    )


def _summands(counts: Integers, metric: Signs) -> Floats:
    """Return what comparisons add to the sums (n, 6): credit of people, of the metric, and weight; by comparison, then
    by vote. Zeros without two votes."""
    choices, size = np.array(ORDER), counts.sum(axis=1)
    targets = np.sign((counts[:, 0] - counts[:, 1])[:, np.newaxis] - choices)  # without one vote of each choice
    summed = np.column_stack([_credit(counts, choices, targets), _credit(counts, metric[:, np.newaxis], targets), size])
    summed[size < 2] = 0
    return np.hstack([summed / np.maximum(size, 1)[:, np.newaxis], summed])


def _credit(votes: Integers, answers: Integers | Signs, targets: Integers) -> Floats:
    apart = np.abs(answers - targets)  # 0 the same, 1 a tie on one side, 2 the opposite
    summed: Floats = (votes * (1 - apart / 2)).sum(axis=1)
    return summed


def _means(first: int) -> tuple[Statistic, Statistic, Statistic]:
    """Return the means of people and of the metric, and their difference, from the three sums beginning at `first`."""

    def people(sums: Floats) -> Floats:
        return ratio(sums[:, first], sums[:, first + 2])

    def metric(sums: Floats) -> Floats:
        return ratio(sums[:, first + 1], sums[:, first + 2])

    return people, metric, lambda sums: metric(sums) - people(sums)


_BY_COMPARISON, _BY_VOTE = _means(0), _means(3)


def _weighted(rows: Floats, clusters: ArrayLike | None, level: float) -> Weighted:
    """The means of rows with two votes, with intervals for these annotators."""

    def compared(weights: Floats) -> Compared:
        return Compared(*(_mean(column, weights, bounds, clusters, level) for column, bounds in _columns(rows)))

    return Weighted(compared(np.ones(len(rows))), compared(rows[:, 5]))


def _columns(rows: Floats) -> tuple[tuple[Floats, tuple[float, float]], ...]:
    """Credit of people, of the metric, and the difference in each comparison, with their bounds."""
    return (rows[:, 0], SHARE), (rows[:, 1], SHARE), (rows[:, 1] - rows[:, 0], _ADVANTAGE)


def _mean(
    values: Floats, weights: Floats, possible: tuple[float, float], clusters: ArrayLike | None, level: float
) -> Estimate:
    if not len(values):
        nothing = Estimate.undefined("no comparison has two votes", n=0, level=level, method="score interval")
        return replace(nothing, population=THESE_ANNOTATORS)
    found = mean_with_score_interval(values, possible=possible, weights=weights, clusters=clusters, level=level)
    return replace(found, population=THESE_ANNOTATORS)


def _like_these(found: Weighted, votes: Votes, metric: Signs, clusters: ArrayLike | None) -> Weighted:
    """Return the means with intervals for annotators like these."""
    two_way = TwoWay(
        votes,
        lambda counts, place: _summands(counts, metric[place]),
        clusters=clusters,
        comparison_count=len(metric),
    )
    rows = _summands(votes.counts(len(metric)), metric)
    rows = rows[rows[:, 5] > 0]

    def compared(means: Compared, statistics: tuple[Statistic, Statistic, Statistic], weights: Floats) -> Compared:
        estimates = (means.people, means.metric, means.difference)
        return Compared(
            *(
                two_way.mean_like_these(estimate, statistic, column, possible=bounds, weights=weights)
                for estimate, statistic, (column, bounds) in zip(estimates, statistics, _columns(rows), strict=True)
            )
        )

    return Weighted(
        compared(found.by_comparison, _BY_COMPARISON, np.ones(len(rows))),
        compared(found.by_vote, _BY_VOTE, rows[:, 5]),
    )


def _at_votes(votes: int, shares: Floats) -> AtVotes:
    people, metric, *_ = shares.mean(axis=0)
    return AtVotes(votes=votes, comparisons=len(shares), people=float(people), metric=float(metric))
