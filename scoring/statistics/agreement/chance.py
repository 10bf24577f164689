"""Compare an agreement with chance."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from jobs.wording import counted
from scoring.statistics.agreement.agreement import ORDER, Signs, checked_winners
from scoring.statistics.agreement.credit_tests import credit_test
from scoring.statistics.inference.clusters import cluster_sums, shared_clusters
from scoring.statistics.inference.estimate import Estimate, SignificanceTest
from scoring.statistics.inference.intervals import Resampling, percentile_estimate, ratio, resampled_totals
from scoring.statistics.inference.sign_flip import sign_flip_p
from scoring.statistics.votes.counts import Floats, Integers

# Of 30 comparisons of which one model wins nine in ten, .84 to .90 of the intervals held the truth, and with 5 of the
# rarer model .86 of those of Matthews correlation.
LEAST_MINORITY = 8


@dataclass(frozen=True, slots=True)
class ChanceCorrected:
    """Agreement beyond chance. All except `kappa_with_ties` use only comparisons without any tie."""

    kappa: Estimate
    matthews: Estimate
    balanced_accuracy: Estimate
    kappa_with_ties: Estimate


def fisher_exact(
    people: ArrayLike, metric: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling | None = None
) -> SignificanceTest:
    """Fisher's exact test of an association between the metric's and the people's choices, without ties.

    people, metric: (n,) signs. clusters: (n,) labels or None; if comparisons share clusters, the p-value comes from
    flipping the signs of whole clusters' contributions to the covariance of the two choices, by `resampling` if there
    are many. The statistic is the odds ratio; if a cell is empty it is infinite, so it is None and `reason` says so.
    Undefined if people or metric name one model only.
    Source: Fisher (1922), "On the interpretation of chi-squared from contingency tables".

    >>> round(fisher_exact([1, 1, 1, -1, -1, -1], [1, 1, 1, -1, -1, 1]).p_value or 0, 4)
    0.4
    """
    theirs, its, labels = _decided(people, metric, clusters)
    table, n = _decided_table(theirs, its), len(theirs)
    reason, method = _why_one_sided(table), "Fisher's exact test"
    if reason:
        return SignificanceTest.undefined(reason, n=n, method=method)
    odds_ratio, p_value = map(float, scipy.stats.fisher_exact(table))
    if labels is not None:
        centred = n * (theirs == 1) - (theirs == 1).sum(), n * (its == 1) - (its == 1).sum()  # times n: whole numbers
        sums = np.rint(cluster_sums(centred[0] * centred[1], labels))
        p_value, how = sign_flip_p(sums, resampling=resampling or Resampling())
        method = f"odds ratio, covariances of whole clusters flipped, {how}"
    is_finite = bool(np.isfinite(odds_ratio))
    reason = "" if is_finite else "odds ratio infinite: they never disagree in one direction"
    return SignificanceTest(odds_ratio if is_finite else None, p_value, n, method, reason)


def against_one_half(people: ArrayLike, metric: ArrayLike, *, clusters: ArrayLike | None = None) -> SignificanceTest:
    """Exact binomial test of the metric against a coin, on comparisons without any tie.

    people, metric: (n,) signs. clusters: (n,) labels or None; if comparisons share clusters, the signs of whole
    clusters are flipped, which is exact too. The statistic is the number of agreements.

    >>> against_one_half([1, 1, -1, -1], [1, 1, -1, 1]).p_value
    0.625
    """
    theirs, its, labels = _decided(people, metric, clusters)
    n, agreements = len(theirs), int((theirs == its).sum())
    if not n:
        method = "exact binomial against one half"
        return SignificanceTest.undefined("no comparison that both decide", n=0, method=method)
    if labels is None:
        p_value = float(scipy.stats.binomtest(agreements, n).pvalue)
        return SignificanceTest(float(agreements), p_value, n, "exact binomial against one half")
    test = credit_test(np.where(theirs == its, 1.0, -1.0), clusters=labels)
    return SignificanceTest(float(agreements), test.p_value, n, f"{test.method}, against one half")


def chance_corrected(
    people: ArrayLike, metric: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling
) -> ChanceCorrected:
    """Cohen's kappa, Matthews correlation and balanced accuracy, with percentile intervals over clusters.

    people, metric: (n,) signs. clusters: (n,) labels or None. Kappa: (po - pe) / (1 - pe), undefined only where the
    expected agreement pe is 1. Matthews: undefined if people or metric name one model only. Balanced accuracy: the
    mean over the people's two choices of the share that the metric shares; undefined if people choose one only. Where
    one model wins fewer than LEAST_MINORITY comparisons by the votes, none has an interval.
    Source: Cohen (1960), "A coefficient of agreement for nominal scales"; Matthews (1975); Brodersen et al. (2010).
    At 30 comparisons plain percentiles held .92 of the truths of Matthews correlation, so they are expanded.

    >>> people, metric = [1] * 25 + [-1] * 25, [1] * 20 + [-1] * 5 + [1] * 10 + [-1] * 15
    >>> result = chance_corrected(people, metric, resampling=Resampling(resamples=100))
    >>> round(result.kappa.value or 0, 2)
    0.4
    """
    theirs, its = checked_winners(people, metric)
    cells = np.array([(theirs == row) & (its == column) for row in ORDER for column in ORDER]).T
    totals = resampled_totals(cells, clusters=clusters, resampling=resampling).reshape(-1, 3, 3)
    table = cells.sum(axis=0).reshape(3, 3)
    rare = min(int((theirs == sign).sum()) for sign in (1, -1))

    def estimate(statistic: Callable[[Floats], Floats], why: Callable[[Integers], str], size: int) -> Estimate:
        part, n = table[:size, :size], int(table[:size, :size].sum())
        value = float(statistic(part.astype(np.float64)))
        if np.isnan(value):
            return Estimate.undefined(why(part), n=n, level=resampling.level, method="percentile bootstrap")
        if rare < LEAST_MINORITY:
            won = f"only {counted(rare, 'comparison')}" if rare else "no comparison"
            why_not = f"one model won {won}, and an interval needs {LEAST_MINORITY}"
            return Estimate(value, None, None, resampling.level, n, "percentile bootstrap", why_not)
        resampled = statistic(totals[:, :size, :size])
        return percentile_estimate(value, resampled, n=n, resampling=resampling, clusters=clusters, is_expanded=True)

    return ChanceCorrected(
        kappa=estimate(_cohen_kappa, _why_no_kappa, 2),
        matthews=estimate(_matthews, _why_one_sided, 2),
        balanced_accuracy=estimate(_balanced_accuracy, _why_one_sided, 2),
        kappa_with_ties=estimate(_cohen_kappa, _why_no_kappa, 3),
    )


def _decided(people: ArrayLike, metric: ArrayLike, clusters: ArrayLike | None) -> tuple[Signs, Signs, Integers | None]:
    """The winners of the comparisons without any tie, and their clusters if two of them share one."""
    theirs, its = checked_winners(people, metric)
    kept = (theirs != 0) & (its != 0)
    labels = None if clusters is None else np.asarray(clusters)[kept]
    return theirs[kept], its[kept], shared_clusters(int(kept.sum()), labels)


def _decided_table(theirs: Signs, its: Signs) -> Integers:
    return np.array([[np.sum((theirs == row) & (its == column)) for column in ORDER[:2]] for row in ORDER[:2]])


def _cohen_kappa(tables: Floats) -> Floats:
    n = tables.sum(axis=(-2, -1))
    by_chance = (tables.sum(axis=-1) * tables.sum(axis=-2)).sum(axis=-1)
    return ratio(n * np.trace(tables, axis1=-2, axis2=-1) - by_chance, n * n - by_chance)


def _matthews(tables: Floats) -> Floats:
    determinant = tables[..., 0, 0] * tables[..., 1, 1] - tables[..., 0, 1] * tables[..., 1, 0]
    margins = tables.sum(axis=-1).prod(axis=-1) * tables.sum(axis=-2).prod(axis=-1)
    return ratio(determinant, np.sqrt(margins))


def _balanced_accuracy(tables: Floats) -> Floats:
    shares = ratio(np.diagonal(tables, axis1=-2, axis2=-1), tables.sum(axis=-1))
    return np.asarray(shares.mean(axis=-1))


def _why_one_sided(table: Integers) -> str:
    if not table.any():
        return "no comparison that both decide"
    whose = [who for who, axis in (("people", 1), ("metric", 0)) if not table.sum(axis=axis).all()]
    name = "names" if whose == ["metric"] else "name"
    return f"{' and '.join(whose)} always {name} one model" if whose else ""


def _why_no_kappa(table: Integers) -> str:
    if table.any():
        return "people and metric always say the same one thing"
    return "no comparison that both decide" if len(table) == 2 else "no comparison"
