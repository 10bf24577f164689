"""A new annotator on a new prompt: how often one vote agrees with the metric, and how often with another vote."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.agreement.agreement import ORDER, Signs, checked_winners
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import ratio
from scoring.statistics.people.two_way_jackknife import SHARE, Statistic, TwoWay
from scoring.statistics.votes.counts import Floats, Integers
from scoring.statistics.votes.votes import Votes


@dataclass(frozen=True, slots=True)
class SingleVotes:
    """metric: agreement of one vote with the metric. people: of one vote with another vote on the same comparison.

    difference: metric minus people.
    """

    metric: Estimate
    people: Estimate
    difference: Estimate


def single_votes(votes: Votes, metric: ArrayLike, *, clusters: ArrayLike | None = None, level: float) -> SingleVotes:
    """Estimate the three for a new annotator on a new prompt.

    metric: (n,) signs of the metric's winner. clusters: (n,) labels or None. A tie on one side only counts one half, on
    both sides one. Each comparison has the same weight; people's agreement rests on those with two votes. No majority
    is formed, so that nothing depends on the number of votes.

    >>> votes = Votes.of([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 0])
    >>> found = single_votes(votes, [1, -1], level=0.95)
    >>> round(found.metric.value or 0, 3), round(found.people.value or 0, 3), found.metric.reason
    (0.833, 0.667, 'only 3 annotators, and an interval for annotators like these needs 6')
    """
    its = checked_winners(metric, metric)[0]
    n = len(its)
    two_way = TwoWay(votes, lambda counts, place: _summands(counts, its[place]), clusters=clusters, comparison_count=n)
    sums, rows = two_way.whole, _summands(votes.counts(n), its)
    voted, paired = rows[rows[:, 1] > 0], rows[rows[:, 3] > 0]

    def estimate(statistic: Statistic, values: Floats, possible: tuple[float, float] = SHARE) -> Estimate:
        return two_way.mean_like_these(
            _value(statistic, sums, len(values), level), statistic, values, possible=possible
        )

    return SingleVotes(
        metric=estimate(_with_metric, voted[:, 0]),
        people=estimate(_with_another, paired[:, 2]),
        difference=estimate(_difference, paired[:, 0] - paired[:, 2], _possible_difference(votes.counts(n))),
    )


def _possible_difference(counts: Integers) -> tuple[float, float]:
    """Return the least and the greatest difference that a comparison can have.

    The metric can hardly do better than the votes that judge it: of two votes it agrees with at least one, by one half
    more than they agree with each other, of five by one fifth more, of many by one eighth. Tie votes change nothing.
    """
    sizes = counts.sum(axis=1)
    fewest = int(sizes[sizes > 1].min(initial=sizes.max(initial=2)))  # the more votes, the smaller the difference
    with_metric = np.arange(fewest + 1)
    apart = 2 * with_metric * (fewest - with_metric) / (fewest * (fewest - 1))
    return -1.0, float((with_metric / fewest - (1 - apart)).max())


def _summands(counts: Integers, metric: Signs) -> Floats:
    """Return (n, 4): the mean credit of a vote against the metric, one if there is a vote; of a pair of votes, one if
    there is a pair."""
    size = counts.sum(axis=1)
    with_metric = (counts * (1 - np.abs(np.array(ORDER) - metric[:, np.newaxis]) / 2)).sum(axis=1)
    sides, ties = counts[:, :2], counts[:, 2]
    alike = (sides * (sides - 1)).sum(axis=1) + ties * (ties - 1) + ties * sides.sum(axis=1)
    pairs = size * (size - 1)
    return np.column_stack([with_metric / np.maximum(size, 1), size > 0, alike / np.maximum(pairs, 1), pairs > 0])


def _with_metric(sums: Floats) -> Floats:
    return ratio(sums[:, 0], sums[:, 1])


def _with_another(sums: Floats) -> Floats:
    return ratio(sums[:, 2], sums[:, 3])


def _difference(sums: Floats) -> Floats:
    return _with_metric(sums) - _with_another(sums)


def _value(statistic: Statistic, sums: Floats, n: int, level: float) -> Estimate:
    value = float(statistic(sums[np.newaxis])[0])
    if np.isnan(value):
        return Estimate.undefined("no comparison has two votes" if sums[1] else "no votes", n=n, level=level)
    return Estimate(value, None, None, level, n, "none")
