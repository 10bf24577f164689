"""The agreement of people with each other, from counted votes, without the annotators' identities.

Every statistic follows from sums over comparisons, so its bootstrap is one matrix product (`intervals`).
q is the number of categories that could be voted; comparisons without votes are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from jobs.wording import counted
from scoring.statistics.inference.estimate import THESE_ANNOTATORS, Estimate
from scoring.statistics.inference.intervals import (
    Resampling,
    percentile_estimate,
    resampled_totals,
    too_few_to_resample,
)
from scoring.statistics.people import coefficients
from scoring.statistics.people.coefficients import ALPHA, Coefficient, Distance, Sums
from scoring.statistics.people.two_way_jackknife import COEFFICIENT, SHARE, TwoWay
from scoring.statistics.votes.counts import Floats, Integers, checked_counts, cluster_numbers
from scoring.statistics.votes.votes import Votes

LEAST_MINORITY = 15  # the cut-off that simulation gave: docs/decisions/2026-11-29-annotators-are-a-sample.md

_METHOD = "percentile bootstrap"
_SHARES = (coefficients.pairwise_agreement, coefficients.pooled_agreement)
_SKEWED = (*ALPHA.values(), coefficients.fleiss_kappa)  # their intervals fail if nearly all votes are equal

_Source = Callable[[Coefficient], Estimate]


@dataclass(frozen=True, slots=True)
class Coefficients:
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


@dataclass(frozen=True, slots=True)
class Reliability(Coefficients):
    """The coefficients with intervals for these annotators, and with intervals for annotators like these.

    The latter need single votes and are None without them.
    """

    annotators_like_these: Coefficients | None = None


def reliability(
    counts: ArrayLike,
    *,
    ties_allowed: bool,
    clusters: ArrayLike | None = None,
    resampling: Resampling,
    votes: Votes | None = None,
) -> Reliability:
    """All fields of `Reliability`, from the same resamples of clusters.

    counts: (n, 3) votes for A, for B, and tie votes. ties_allowed: whether a tie could be voted; then q is 3 instead of
    2, even without any tie vote. clusters: (n,) labels or None. votes: the same votes one by one, for the intervals for
    annotators like these.
    Raises ValueError for tie votes if none were allowed.

    >>> result = reliability([(3, 0, 0), (2, 1, 0)], ties_allowed=False, resampling=Resampling(resamples=100))
    >>> round(result.pairwise_agreement.value or 0, 3)
    0.667
    """
    checked = checked_counts(counts, categories=3)
    if not ties_allowed and checked[:, 2].any():
        raise ValueError("there are tie votes, although none were allowed")
    tables = [_Table(checked[:, columns], clusters, resampling) for columns in _columns(ties_allowed)]
    found, others = _coefficients(*(table.estimate for table in tables)), None
    if votes is not None:
        pairs = zip(tables, _columns(ties_allowed), strict=True)
        others = Coefficients(
            **_coefficients(*(_like_these(table, votes, columns, clusters) for table, columns in pairs))
        )
    return Reliability(**found, annotators_like_these=others)


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
    return _estimate(counts, ALPHA[distance], clusters, resampling)


def pairwise_agreement(counts: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Estimate:
    """The share of agreeing pairs of votes in a comparison, averaged over the comparisons with two votes or more.

    counts: (n, q). Source: Fleiss (1971), "Measuring nominal scale agreement among many raters".

    >>> round(pairwise_agreement([(3, 0), (2, 1)], resampling=Resampling(resamples=100)).value or 0, 3)
    0.667
    """
    return _estimate(counts, coefficients.pairwise_agreement, clusters, resampling)


def gwet_ac1(counts: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Estimate:
    """Gwet's AC1: (pa - pe) / (1 - pe) with pe = sum pi_k (1 - pi_k) / (q - 1).

    counts: (n, q). pa: `pairwise_agreement`. pi_k: mean share of category k over the comparisons with any votes.
    Source: Gwet (2008), "Computing inter-rater reliability and its variance in the presence of high agreement".

    >>> round(gwet_ac1([(3, 0), (2, 1), (1, 0), (0, 2)], resampling=Resampling(resamples=100)).value or 0, 3)
    0.6
    """
    return _estimate(counts, coefficients.gwet_ac1, clusters, resampling)


def brennan_prediger(counts: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Estimate:
    """Brennan and Prediger's kappa: (pa - 1/q) / (1 - 1/q), blind to which category is frequent.

    counts: (n, q). Source: Brennan and Prediger (1981), "Coefficient kappa: some uses, misuses, and alternatives".

    >>> result = brennan_prediger([(3, 0), (2, 1), (1, 0), (0, 2)], resampling=Resampling(resamples=100))
    >>> round(result.value or 0, 4)
    0.5556
    """
    return _estimate(counts, coefficients.brennan_prediger, clusters, resampling)


def fleiss_kappa(counts: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Estimate:
    """Fleiss' kappa: (pa - pe) / (1 - pe) with pe = sum pi_k^2, only if all comparisons have the same number of votes.

    counts: (n, q). Source: Fleiss (1971).

    >>> round(fleiss_kappa([(3, 0), (2, 1), (0, 3)], resampling=Resampling(resamples=100)).value or 0, 3)
    0.55
    """
    return _estimate(counts, coefficients.fleiss_kappa, clusters, resampling)


class _Table:
    """The sums of a table of votes and of its resamples, shared by all coefficients."""

    def __init__(self, votes: Integers, clusters: ArrayLike | None, resampling: Resampling) -> None:
        is_rated = votes.any(axis=1)
        labels = None if clusters is None else cluster_numbers(len(votes), clusters)[is_rated]
        rows, q, self.labels = coefficients.summands(votes[is_rated]), votes.shape[1], labels
        self.comparison_count = len(votes)
        self._size = votes[is_rated].sum(axis=1)
        self._observed = Sums.from_totals(rows.sum(axis=0), q)
        self._resampled = Sums.from_totals(resampled_totals(rows, clusters=labels, resampling=resampling), q)
        self._resampling = resampling

    def estimate(self, coefficient: Coefficient) -> Estimate:
        """Return the coefficient with its interval for these annotators."""
        value, n, level = float(coefficient(self._observed)), int(self._observed.paired), self._resampling.level
        reason = self._why_undefined(coefficient, value)
        if reason:
            found = Estimate.undefined(reason, n=n, level=level, method=_METHOD)
        elif self.skew(coefficient):
            found = Estimate(value, None, None, level, n, _METHOD, self.skew(coefficient))
        else:
            found = percentile_estimate(
                value, coefficient(self._resampled), n=n, resampling=self._resampling, clusters=self.labels
            )
        return replace(found, population=THESE_ANNOTATORS)

    def skew(self, coefficient: Coefficient) -> str:
        """Say why the votes are too one-sided for an interval; empty if they are not."""
        by_category = self._observed.coincidences.sum(axis=-1)
        minority = round(float(by_category.sum() - by_category.max()))
        if coefficient not in _SKEWED or minority >= LEAST_MINORITY:
            return ""
        few = counted(minority, "vote")
        return f"{few} for other than the most frequent choice, and an interval needs {LEAST_MINORITY}"

    def _why_undefined(self, coefficient: Coefficient, value: float) -> str:
        if not len(self._size):
            return "no votes"
        if coefficient is coefficients.fleiss_kappa and np.ptp(self._size):
            return "comparisons have different numbers of votes"
        if not np.isnan(value):
            return ""
        return "all votes are equal" if self._observed.paired else "no comparison has two votes"


def _estimate(
    counts: ArrayLike, coefficient: Coefficient, clusters: ArrayLike | None, resampling: Resampling
) -> Estimate:
    return _Table(checked_counts(counts), clusters, resampling).estimate(coefficient)


def _columns(ties_allowed: bool) -> tuple[list[int], list[int]]:
    """Return the columns of (n, 3) counts in the order A, tie, B if ties are allowed; and those without ties."""
    return ([0, 2, 1] if ties_allowed else [0, 1]), [0, 1]


def _coefficients(every: _Source, without_ties: _Source) -> dict[str, Estimate]:
    return {
        "pairwise_agreement": every(coefficients.pairwise_agreement),
        "pooled_agreement": every(coefficients.pooled_agreement),
        "alpha": every(ALPHA["nominal"]),
        "alpha_ordinal": every(ALPHA["ordinal"]),
        "alpha_without_ties": without_ties(ALPHA["nominal"]),
        "ac1": every(coefficients.gwet_ac1),
        "brennan_prediger": every(coefficients.brennan_prediger),
        "fleiss_kappa": every(coefficients.fleiss_kappa),
    }


def _like_these(table: _Table, votes: Votes, columns: list[int], clusters: ArrayLike | None) -> _Source:
    """Return what gives a coefficient of the table its interval for annotators like these."""
    two_way = TwoWay(
        votes,
        lambda counts, _: coefficients.summands(counts[:, columns]),
        clusters=clusters,
        comparison_count=table.comparison_count,
    )

    def estimate(coefficient: Coefficient) -> Estimate:
        def statistic(sums: Floats) -> Floats:
            return coefficient(Sums.from_totals(sums, len(columns)))

        found = table.estimate(coefficient)
        bounds = SHARE if coefficient in _SHARES else COEFFICIENT
        few = too_few_to_resample(table.labels) if coefficient in _SKEWED else ""  # six clusters held .89
        return two_way.like_these(found, statistic, bounds=bounds, refusal=table.skew(coefficient) or few)

    return estimate
