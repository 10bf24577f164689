"""Evidence that may be looked at after every cluster: betting e-processes and confidence sequences.

Nothing here depends on when a study stops. The clusters come in an order that was drawn before the first vote; in the
order in which they become complete the easy ones come first, and both error rates fail.
Source: Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting".
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.votes.counts import Floats, Integers

_MOST_STAKE = 0.75  # of the capital that could be lost at once, so that one cluster never ruins it
_MOST_LOG_CAPITAL = 700.0  # near the largest float: the capital stays a number however long the votes go on
_GRID = 2001  # means tried for a confidence sequence: its ends are exact to 0.0005, rounded outwards
METHOD = "confidence sequence by betting, over clusters in the drawn order"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The capital of a gambler who bets, cluster by cluster, for one claim.

    e_value: after the last cluster. greatest: at any time. first_crossing: the number of clusters after which it first
    reached the threshold; None if it never did. If the claim is false, it ever reaches t with chance 1 / t at most.
    """

    e_value: float
    greatest: float
    first_crossing: int | None

    @classmethod
    def of(cls, capital: Floats, *, level: float) -> "Evidence":
        """The evidence of a capital (g,) that began at 1."""
        if not len(capital):
            return cls(1.0, 1.0, None)
        reached = np.flatnonzero(capital >= threshold(level))
        return cls(float(capital[-1]), float(capital.max()), int(reached[0]) + 1 if len(reached) else None)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a mean difference is shown to lie above zero, shown to lie below, or neither yet.

    verdict: "shown", "shown worse" or "undecided"; the one that crossed first. decided_after: the number of clusters
    after which it was decided, None if it is not.
    """

    verdict: str
    decided_after: int | None
    better: Evidence
    worse: Evidence


def threshold(level: float) -> float:
    """The capital from which on a claim is shown; a claim either way is then false with chance 1 - level at most.

    >>> round(threshold(0.95), 6)
    40.0
    """
    return 2 / (1 - level)


def decide(gains: ArrayLike, *, most: float, level: float) -> Decision:
    """Bet on a mean above zero and, with other capital, on one below.

    gains: (g,) the sum of the differences in each cluster, in the drawn order; or (r, g) those from each of r rivals.
    "Better" is shown against every rival, so its evidence is the smallest of the r. "Worse" is shown against some
    rival, so its evidence is their mean. most: the greatest size of such a sum that the plan allows, known before the
    first vote.
    Raises ValueError for a gain beyond `most`.

    >>> decide([1.0] * 8, most=1.0, level=0.95).decided_after
    8
    """
    values = np.atleast_2d(np.asarray(gains, dtype=np.float64))
    if not most > 0 or not (np.abs(values) <= most).all():
        raise ValueError(f"every cluster has a gain of at most {most} either way")
    better = Evidence.of(np.min([_capital(row / most) for row in values], axis=0), level=level)
    worse = Evidence.of(np.mean([_capital(-row / most) for row in values], axis=0), level=level)
    crossings = {"shown": better.first_crossing, "shown worse": worse.first_crossing}
    reached = {verdict: after for verdict, after in crossings.items() if after is not None}
    verdict = min(reached, key=reached.__getitem__) if reached else "undecided"
    return Decision(verdict, reached.get(verdict), better, worse)


def confidence_sequence(sums: ArrayLike, sizes: ArrayLike, *, most: int, level: float) -> Estimate:
    """The mean of credits from 0 to 1 with an interval that holds at every time at once.

    sums: (g,) credit of each cluster, in the drawn order. sizes: (g,) comparisons in each. most: the most comparisons
    that a cluster of the plan has. The interval holds every mean against which neither of two gamblers (one bets on
    more, one on less) ever had `threshold(level)` times the capital they began with.
    Raises ValueError for sums outside 0 .. size, and for sizes outside 0 .. most.

    >>> result = confidence_sequence([1.0] * 50, [1] * 50, most=1, level=0.95)
    >>> result.value, result.high, (result.low or 0) > 0.85
    (1.0, 1.0, True)
    """
    credit, size = np.asarray(sums, dtype=np.float64), np.asarray(sizes, dtype=np.int64)
    if credit.shape != size.shape or (credit < 0).any() or (credit > size).any() or (size > most).any():
        raise ValueError("each cluster has a credit from 0 to its size, and a size up to the largest of the plan")
    n = int(size.sum())
    if not n:
        return Estimate.undefined("no complete cluster has votes that count", n=0, level=level, method=METHOD)
    means = np.linspace(0.0, 1.0, _GRID)
    kept = means[_never_rejected(credit, size, means, most=most, level=level)]
    value, step = float(credit.sum() / n), 1 / (_GRID - 1)
    if not len(kept):  # no mean explains all clusters: they cannot share one
        return Estimate(value, None, None, level, n, METHOD, "no mean fits all clusters")
    low, high = max(0.0, float(kept[0]) - step), min(1.0, float(kept[-1]) + step)
    return Estimate(value, min(low, value), max(high, value), level, n, METHOD)


def complete_prefix(turn: ArrayLike, is_complete: ArrayLike) -> NDArray[np.bool_]:
    """Return the comparisons that enter: those whose cluster and every cluster before it are complete.

    turn: (n,) the place of each comparison's cluster in the drawn order. is_complete: (n,) whether it has its votes.

    >>> complete_prefix([1, 0, 0, 2], [True, True, True, False]).tolist()
    [True, True, True, False]
    """
    places, done = np.asarray(turn, dtype=np.int64), np.asarray(is_complete, dtype=bool)
    first_open = places[~done].min(initial=np.iinfo(np.int64).max)
    entered: NDArray[np.bool_] = places < first_open
    return entered


def by_turn(turn: ArrayLike, values: ArrayLike) -> Floats:
    """The sums of `values` (n,) over the comparisons of each turn, in the order of the turns that occur.

    >>> by_turn([5, 2, 5], [1.0, 2.0, 3.0]).tolist()
    [2.0, 4.0]
    """
    _turns, place = np.unique(np.asarray(turn, dtype=np.int64), return_inverse=True)
    return np.bincount(place, weights=np.asarray(values, dtype=np.float64)).astype(np.float64)


def _capital(values: Floats) -> Floats:
    """The capital after each value in -1 .. 1; each stake is mean / mean square of the values before it, from 0 up.

    That is nearly the stake of Kelly (1956), under which capital grows fastest. It is given as e^700 at most.
    """
    before = np.arange(len(values))
    mean = (np.cumsum(values) - values) / (before + 1)
    square = (0.25 + np.cumsum(values**2) - values**2) / (before + 1)
    stakes = np.clip(mean / square, 0.0, _MOST_STAKE)
    capital: Floats = np.exp(np.minimum(np.cumsum(np.log1p(stakes * values)), _MOST_LOG_CAPITAL))
    return capital


def _never_rejected(credit: Floats, size: Integers, means: Floats, *, most: int, level: float) -> NDArray[np.bool_]:
    """Return the means that neither gambler ever rejected; their stakes aim at a narrow interval at every time."""
    rate = _width_stakes(credit / np.maximum(size, 1), level)
    up, down = np.zeros_like(means), np.zeros_like(means)
    kept, limit = np.ones(len(means), dtype=bool), math.log(threshold(level))
    with np.errstate(divide="ignore"):  # a mean of 0 cannot lose upwards, nor 1 downwards: any stake will do
        most_up, most_down = _MOST_STAKE / means, _MOST_STAKE / (1 - means)
    for earned, count, stake in zip(credit, size, rate, strict=True):
        gain = (earned - means * count) / most
        up += np.log1p(np.minimum(stake, most_up) * gain)
        down += np.log1p(-np.minimum(stake, most_down) * gain)
        kept &= np.maximum(up, down) < limit
    return kept


def _width_stakes(shares: Floats, level: float) -> Floats:
    """The predictable plug-in stakes, for each cluster from the variance of the shares before it."""
    time = np.arange(1, len(shares) + 1)
    mean = (0.5 + np.cumsum(shares)) / (time + 1)
    deviations = np.cumsum((shares - mean) ** 2)
    variance = (0.25 + np.concatenate([[0.0], deviations[:-1]])) / time
    stakes: Floats = np.sqrt(2 * math.log(threshold(level)) / (variance * time * np.log1p(time)))
    return stakes
