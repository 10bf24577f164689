"""The definitions of the coefficients of reliability, as functions of sums over comparisons.

q is the number of categories that could be voted. The public functions are in `reliability`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scoring.statistics.inference.intervals import ratio
from scoring.statistics.votes.counts import Floats, Integers

Distance = Literal["nominal", "ordinal", "interval", "ratio"]


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over comparisons; every field may have a leading axis of resamples, or of parts left out.

    coincidences: (..., q, q) of the pairable votes. shares: (..., q) vote shares summed. rated, paired: comparisons
    with one vote, with two. agreement: shares of agreeing pairs summed. pairs, agreeing: counted pairs.
    """

    coincidences: Floats
    shares: Floats
    rated: Floats
    paired: Floats
    agreement: Floats
    pairs: Floats
    agreeing: Floats

    @classmethod
    def of(cls, votes: Integers) -> "Sums":
        """The sums of all comparisons. votes: (n, q) counts."""
        return cls.from_totals(summands(votes).sum(axis=0), votes.shape[1])

    @classmethod
    def from_totals(cls, totals: Floats, q: int) -> "Sums":
        """The inverse of `summands` after adding up: (..., q * q + q + 5)."""
        square, rest = totals[..., : q * q], totals[..., q * q + q :]
        return cls(
            square.reshape(*totals.shape[:-1], q, q),
            totals[..., q * q : q * q + q],
            *(rest[..., i] for i in range(rest.shape[-1])),
        )


Coefficient = Callable[[Sums], Floats]


def summands(votes: Integers) -> Floats:
    """Return what each comparison adds to the sums: (n, q * q + q + 5), in the order of the fields of `Sums`.

    votes: (n, q) counts; a comparison without votes adds zeros.

    >>> summands(np.array([(2, 1)]))[0, -2:].tolist()  # six ordered pairs, two of them agree
    [6.0, 2.0]
    """
    (n, q), counted = votes.shape, votes.astype(np.float64)
    size = counted.sum(axis=1, keepdims=True)
    is_paired = (size >= 2).astype(np.float64)
    others = np.maximum(size - 1, 1)
    ordered_pairs = counted[:, :, np.newaxis] * (counted[:, np.newaxis, :] - np.eye(q))
    coincidences = ordered_pairs.reshape(n, q * q) / others * is_paired
    agreeing = (counted * (counted - 1)).sum(axis=1, keepdims=True)
    pairs = size * (size - 1)
    agreement = agreeing / np.maximum(pairs, 1)
    shares = counted / np.maximum(size, 1)
    return np.hstack([coincidences, shares, size > 0, is_paired, agreement, pairs, agreeing])


def pairwise_agreement(sums: Sums) -> Floats:
    """Return the share of agreeing pairs, averaged over comparisons with two votes (Fleiss, 1971).

    >>> round(float(pairwise_agreement(Sums.of(np.array([(3, 0), (2, 1)])))), 3)
    0.667
    """
    return ratio(sums.agreement, sums.paired)


def pooled_agreement(sums: Sums) -> Floats:
    """Return the share of agreeing pairs among all pairs.

    >>> round(float(pooled_agreement(Sums.of(np.array([(3, 0), (2, 1)])))), 3)
    0.667
    """
    return ratio(sums.agreeing, sums.pairs)


def gwet_ac1(sums: Sums) -> Floats:
    """Return Gwet's AC1 (2008).

    >>> round(float(gwet_ac1(Sums.of(np.array([(3, 0), (2, 1)])))), 3)
    0.538
    """
    share = _mean_shares(sums)
    return _beyond(pairwise_agreement(sums), (share * (1 - share)).sum(axis=-1) / (share.shape[-1] - 1))


def brennan_prediger(sums: Sums) -> Floats:
    """Return Brennan and Prediger's kappa (1981).

    >>> round(float(brennan_prediger(Sums.of(np.array([(3, 0), (2, 1)])))), 3)
    0.333
    """
    pa = pairwise_agreement(sums)
    return _beyond(pa, np.full(pa.shape, 1 / sums.shares.shape[-1]))


def fleiss_kappa(sums: Sums) -> Floats:
    """Return Fleiss' kappa (1971).

    >>> round(float(fleiss_kappa(Sums.of(np.array([(3, 0), (2, 1)])))), 3)
    -0.2
    """
    return _beyond(pairwise_agreement(sums), (_mean_shares(sums) ** 2).sum(axis=-1))


def _mean_shares(sums: Sums) -> Floats:
    return ratio(sums.shares, np.repeat(sums.rated[..., np.newaxis], sums.shares.shape[-1], axis=-1))


def _beyond(observed: Floats, by_chance: Floats) -> Floats:
    return ratio(observed - by_chance, 1 - by_chance)


def _alpha(distance: Callable[[Floats], Floats]) -> Coefficient:
    def alpha(sums: Sums) -> Floats:
        values = sums.coincidences.sum(axis=-1)
        squared = distance(values)
        observed = (sums.coincidences * squared).sum(axis=(-2, -1))
        expected = (values[..., :, np.newaxis] * values[..., np.newaxis, :] * squared).sum(axis=(-2, -1))
        return 1 - ratio((values.sum(axis=-1) - 1) * observed, expected)

    return alpha


def _nominal(values: Floats) -> Floats:
    return 1 - np.eye(values.shape[-1])


def _ordinal(values: Floats) -> Floats:
    middle = np.cumsum(values, axis=-1) - values / 2
    squared: Floats = (middle[..., :, np.newaxis] - middle[..., np.newaxis, :]) ** 2
    return squared


def _interval(values: Floats) -> Floats:
    rank = np.arange(1.0, values.shape[-1] + 1)
    squared: Floats = np.subtract.outer(rank, rank) ** 2
    return squared


def _ratio_scale(values: Floats) -> Floats:
    rank = np.arange(1.0, values.shape[-1] + 1)
    squared: Floats = (np.subtract.outer(rank, rank) / np.add.outer(rank, rank)) ** 2
    return squared


ALPHA: dict[Distance, Coefficient] = {
    "nominal": _alpha(_nominal),
    "ordinal": _alpha(_ordinal),
    "interval": _alpha(_interval),
    "ratio": _alpha(_ratio_scale),
}
