"""How well people agree with each other, from counted votes, without the annotators' identities.

Every statistic follows from sums over comparisons, so its bootstrap is one matrix product (`intervals`).
q is the number of categories that could be voted; comparisons without votes are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.counts import Integers, checked_counts
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import (
    Floats,
    Resampling,
    cluster_numbers,
    percentile_estimate,
    ratio,
    resampled_totals,
)

Distance = Literal["nominal", "ordinal", "interval", "ratio"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Agreement among annotators, coded by model.

    pairwise_agreement: chance that two annotators of a comparison agree, each comparison weighing the same.
    pooled_agreement: the same with equal weight for each pair of votes. alpha: Krippendorff's, nominal.
    alpha_ordinal: with A < tie < B. alpha_without_ties: tie votes dropped. ac1: Gwet's. fleiss_kappa: only if all
    comparisons have the same number of votes. Alpha and Fleiss' kappa fall towards zero if one model wins nearly
    everything, however well people agree; Brennan-Prediger does not.
    """

    pairwise_agreement: Estimate
    pooled_agreement: Estimate
    alpha: Estimate
    alpha_ordinal: Estimate
    alpha_without_ties: Estimate
    ac1: Estimate
    brennan_prediger: Estimate
    fleiss_kappa: Estimate


def reliability(
    counts: ArrayLike, *, ties_allowed: bool, clusters: ArrayLike | None = None, resampling: Resampling
) -> Reliability:
    """All fields of `Reliability`, from the same resamples of clusters.

    counts: (n, 3) votes for A, for B, and tie votes. ties_allowed: whether a tie could be voted; then q is 3 instead of
    2, even without any tie vote. clusters: (n,) labels or None.
    Raises ValueError for tie votes if none were allowed.

    >>> result = reliability([(3, 0, 0), (2, 1, 0)], ties_allowed=False, resampling=Resampling(resamples=100))
    >>> round(result.pairwise_agreement.value or 0, 3)
    0.667
    """
    votes = checked_counts(counts, categories=3)
    if not ties_allowed and votes[:, 2].any():
        raise ValueError("there are tie votes, although none were allowed")
    decided = _Resampled(votes[:, :2], clusters, resampling)
    ordered = _Resampled(votes[:, [0, 2, 1]], clusters, resampling) if ties_allowed else decided
    return Reliability(
        pairwise_agreement=ordered.estimate(_pairwise_agreement),
        pooled_agreement=ordered.estimate(_pooled_agreement),
        alpha=ordered.estimate(_ALPHA["nominal"]),
        alpha_ordinal=ordered.estimate(_ALPHA["ordinal"]),
        alpha_without_ties=decided.estimate(_ALPHA["nominal"]),
        ac1=ordered.estimate(_gwet_ac1),
        brennan_prediger=ordered.estimate(_brennan_prediger),
        fleiss_kappa=_fleiss(ordered),
    )


def krippendorff_alpha(
    counts: ArrayLike, *, distance: Distance = "nominal", clusters: ArrayLike | None = None, resampling: Resampling
) -> Estimate:
    """Krippendorff's alpha: 1 - observed / expected disagreement of the pairable votes.

    counts: (n, q) votes per comparison and category, in the categories' order; for "interval" and "ratio" they have the
    values 1 to q. Undefined if no comparison has two votes, or if all pairable votes are equal.
    Source: Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability".

    >>> krippendorff_alpha([(3, 0), (2, 1), (1, 0), (0, 2)], resampling=Resampling(resamples=100)).value
    0.5333...
    """
    return _estimate(counts, _ALPHA[distance], clusters, resampling)


def pairwise_agreement(counts: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Estimate:
    """The share of agreeing pairs of votes in a comparison, averaged over the comparisons with two votes or more.

    counts: (n, q). Source: Fleiss (1971), "Measuring nominal scale agreement among many raters".

    >>> round(pairwise_agreement([(3, 0), (2, 1)], resampling=Resampling(resamples=100)).value or 0, 3)
    0.667
    """
    return _estimate(counts, _pairwise_agreement, clusters, resampling)


def gwet_ac1(counts: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Estimate:
    """Gwet's AC1: (pa - pe) / (1 - pe) with pe = sum pi_k (1 - pi_k) / (q - 1).

    counts: (n, q). pa: `pairwise_agreement`. pi_k: mean share of category k over the comparisons with any votes.
    Source: Gwet (2008), "Computing inter-rater reliability and its variance in the presence of high agreement".

    >>> round(gwet_ac1([(3, 0), (2, 1), (1, 0), (0, 2)], resampling=Resampling(resamples=100)).value or 0, 3)
    0.6
    """
    return _estimate(counts, _gwet_ac1, clusters, resampling)


def brennan_prediger(counts: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Estimate:
    """Brennan and Prediger's kappa: (pa - 1/q) / (1 - 1/q), blind to which category is frequent.

    counts: (n, q). Source: Brennan and Prediger (1981), "Coefficient kappa: some uses, misuses, and alternatives".

    >>> result = brennan_prediger([(3, 0), (2, 1), (1, 0), (0, 2)], resampling=Resampling(resamples=100))
    >>> round(result.value or 0, 4)
    0.5556
    """
    return _estimate(counts, _brennan_prediger, clusters, resampling)


def fleiss_kappa(counts: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Estimate:
    """Fleiss' kappa: (pa - pe) / (1 - pe) with pe = sum pi_k^2, only if all comparisons have the same number of votes.

    counts: (n, q). Source: Fleiss (1971).

    >>> round(fleiss_kappa([(3, 0), (2, 1), (0, 3)], resampling=Resampling(resamples=100)).value or 0, 3)
    0.55
    """
    return _fleiss(_Resampled(checked_counts(counts), clusters, resampling))


def spearman_brown(reliability_of_one: float, *, votes: int) -> float:
    """The reliability of the mean of several votes, from that of one: k r / (1 + (k - 1) r).

    Source: Spearman (1910) and Brown (1910).

    >>> round(spearman_brown(0.36, votes=5), 3)
    0.738
    """
    return votes * reliability_of_one / (1 + (votes - 1) * reliability_of_one)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over comparisons; every field may have a leading axis of resamples.

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
    def from_totals(cls, totals: Floats, q: int) -> "_Sums":
        """The inverse of `_summands` after adding up: (..., q * q + q + 5)."""
        square, rest = totals[..., : q * q], totals[..., q * q + q :]
        return cls(
            square.reshape(*totals.shape[:-1], q, q),
            totals[..., q * q : q * q + q],
            *(rest[..., i] for i in range(rest.shape[-1])),
        )


_Statistic = Callable[[_Sums], Floats]


class _Resampled:
    """The sums of a table of votes and of its resamples, shared by all statistics."""

    def __init__(self, votes: Integers, clusters: ArrayLike | None, resampling: Resampling) -> None:
        is_rated = votes.any(axis=1)
        labels = None if clusters is None else cluster_numbers(len(votes), clusters)[is_rated]
        rows, q = _summands(votes[is_rated]), votes.shape[1]
        self.votes = votes[is_rated]
        self.observed = _Sums.from_totals(rows.sum(axis=0), q)
        self._resampled = _Sums.from_totals(resampled_totals(rows, clusters=labels, resampling=resampling), q)
        self._resampling = resampling

    def estimate(self, statistic: _Statistic) -> Estimate:
        value, n = float(statistic(self.observed)), int(self.observed.paired)
        if np.isnan(value):
            return self.undefined(self._why_undefined())
        return percentile_estimate(value, statistic(self._resampled), n=n, resampling=self._resampling)

    def undefined(self, reason: str) -> Estimate:
        n, level = int(self.observed.paired), self._resampling.level
        return Estimate.undefined(reason, n=n, level=level, method="percentile bootstrap")

    def _why_undefined(self) -> str:
        if not len(self.votes):
            return "no votes"
        return "unanimous: all votes are equal" if self.observed.paired else "no comparison has two votes"


def _estimate(counts: ArrayLike, statistic: _Statistic, clusters: ArrayLike | None, resampling: Resampling) -> Estimate:
    return _Resampled(checked_counts(counts), clusters, resampling).estimate(statistic)


def _fleiss(table: _Resampled) -> Estimate:
    if len(np.unique(table.votes.sum(axis=1))) > 1:
        return table.undefined("comparisons have different numbers of votes")
    return table.estimate(_fleiss_kappa)


def _summands(votes: Integers) -> Floats:
    """Return what each comparison adds to the sums: (n, q * q + q + 5), in the order of the fields of `_Sums`."""
    (n, q), counted = votes.shape, votes.astype(np.float64)
    size = counted.sum(axis=1, keepdims=True)
    is_paired = (size >= 2).astype(np.float64)
    others = np.maximum(size - 1, 1)
    ordered_pairs = counted[:, :, np.newaxis] * (counted[:, np.newaxis, :] - np.eye(q))
    coincidences = ordered_pairs.reshape(n, q * q) / others * is_paired
    agreeing = (counted * (counted - 1)).sum(axis=1, keepdims=True)
    pairs = size * (size - 1)
    agreement = agreeing / np.maximum(pairs, 1)
    rated = np.ones_like(size)
    return np.hstack([coincidences, counted / size, rated, is_paired, agreement, pairs, agreeing])


def _pairwise_agreement(sums: _Sums) -> Floats:
    return ratio(sums.agreement, sums.paired)


def _pooled_agreement(sums: _Sums) -> Floats:
    return ratio(sums.agreeing, sums.pairs)


def _gwet_ac1(sums: _Sums) -> Floats:
    share = _mean_shares(sums)
    return _beyond(_pairwise_agreement(sums), (share * (1 - share)).sum(axis=-1) / (share.shape[-1] - 1))


def _brennan_prediger(sums: _Sums) -> Floats:
    pa = _pairwise_agreement(sums)
    return _beyond(pa, np.full(pa.shape, 1 / sums.shares.shape[-1]))


def _fleiss_kappa(sums: _Sums) -> Floats:
    return _beyond(_pairwise_agreement(sums), (_mean_shares(sums) ** 2).sum(axis=-1))


def _mean_shares(sums: _Sums) -> Floats:
    return ratio(sums.shares, np.repeat(sums.rated[..., np.newaxis], sums.shares.shape[-1], axis=-1))


def _beyond(observed: Floats, by_chance: Floats) -> Floats:
    return ratio(observed - by_chance, 1 - by_chance)


def _alpha(distance: Callable[[Floats], Floats]) -> _Statistic:
    def alpha(sums: _Sums) -> Floats:
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


_ALPHA: dict[Distance, _Statistic] = {
    "nominal": _alpha(_nominal),
    "ordinal": _alpha(_ordinal),
    "interval": _alpha(_interval),
    "ratio": _alpha(_ratio_scale),
}
