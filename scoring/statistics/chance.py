"""Compare an agreement with that of always naming one model, and with chance."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from scoring.statistics.agreement import ORDER, Signs, TieTreatment, agreement, checked_winners, earned_credit
from scoring.statistics.counts import Integers
from scoring.statistics.estimate import Estimate, SignificanceTest
from scoring.statistics.intervals import Floats, Resampling, percentile_estimate, ratio, resampled_totals
from scoring.statistics.significance import mcnemar_exact

NAMES = {1: "A", -1: "B"}


@dataclass(frozen=True, slots=True)
class Baseline:
    """The agreement of always naming one model, and whether the metric is shown to beat it.

    models: the model to name, or both if they do equally well. agreement: of that constant pick.
    mcnemar: the metric against the pick; if both do equally well, against the harder one.
    """

    models: tuple[str, ...]
    agreement: Estimate
    mcnemar: SignificanceTest
    is_beaten: bool


@dataclass(frozen=True, slots=True)
class ChanceCorrected:
    """Agreement beyond chance. All except `kappa_with_ties` use only comparisons without any tie."""

    kappa: Estimate
    matthews: Estimate
    balanced_accuracy: Estimate
    kappa_with_ties: Estimate


def baseline(people: ArrayLike, metric: ArrayLike, *, ties: TieTreatment = "strict", level: float = 0.95) -> Baseline:
    """Always naming the model that people choose more often, judged on the same comparisons as the metric.

    people, metric: (n,) signs, +1 A, -1 B, 0 tie. ties: as for `agreement`. The baseline comes from the same data as
    the agreement, so the two are compared by McNemar's exact test on the comparisons in which one earns more than the
    other, never by a binomial test against the baseline's share. Beaten means: earns more, with p below 1 - level.

    >>> result = baseline([1] * 9 + [-1], [1] * 10)
    >>> result.models, result.agreement.value, result.is_beaten
    (('A',), 0.9, False)
    """
    theirs, its = checked_winners(people, metric)
    if ties == "dropped":
        is_decided = (theirs != 0) & (its != 0)
        theirs, its = theirs[is_decided], its[is_decided]
    reached = {sign: float(_constant_credit(theirs, sign, ties).sum()) for sign in NAMES}
    best = [sign for sign in NAMES if reached[sign] == max(reached.values())]
    earned = float(earned_credit(theirs, its, ties=ties).sum())
    test = _hardest([_against_constant(theirs, its, sign, ties) for sign in best])
    return Baseline(
        models=tuple(NAMES[sign] for sign in best),
        agreement=agreement(theirs, np.full_like(theirs, best[0]), ties=ties, level=level),
        mcnemar=test,
        is_beaten=test.p_value is not None and test.p_value < 1 - level and earned > reached[best[0]],
    )


def fisher_exact(people: ArrayLike, metric: ArrayLike) -> SignificanceTest:
    """Fisher's exact test of an association between the metric's and the people's choices, without ties.

    people, metric: (n,) signs. The statistic is the odds ratio; if a cell is empty it is infinite, so it is None and
    `reason` says so. Undefined if people or metric name one model only.
    Source: Fisher (1922), "On the interpretation of chi-squared from contingency tables".

    >>> round(fisher_exact([1, 1, 1, -1, -1, -1], [1, 1, 1, -1, -1, 1]).p_value or 0, 4)
    0.4
    """
    table, method = _decided_table(people, metric), "Fisher's exact test"
    reason = _why_one_sided(table)
    if reason:
        return SignificanceTest.undefined(reason, n=int(table.sum()), method=method)
    odds_ratio, p_value = stats.fisher_exact(table)
    is_finite = bool(np.isfinite(odds_ratio))
    reason = "" if is_finite else "odds ratio infinite: they never disagree in one direction"
    return SignificanceTest(float(odds_ratio) if is_finite else None, float(p_value), int(table.sum()), method, reason)


def against_one_half(people: ArrayLike, metric: ArrayLike) -> SignificanceTest:
    """Exact binomial test of the metric against a coin, on comparisons without any tie.

    people, metric: (n,) signs. The statistic is the number of agreements.

    >>> against_one_half([1, 1, -1, -1], [1, 1, -1, 1]).p_value
    0.625
    """
    table, method = _decided_table(people, metric), "exact binomial against one half"
    n = int(table.sum())
    if not n:
        return SignificanceTest.undefined("no comparison that both decide", n=0, method=method)
    agreements = int(np.trace(table))
    return SignificanceTest(float(agreements), float(stats.binomtest(agreements, n).pvalue), n, method)


def chance_corrected(
    people: ArrayLike, metric: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling
) -> ChanceCorrected:
    """Cohen's kappa, Matthews correlation and balanced accuracy, with percentile intervals over clusters.

    people, metric: (n,) signs. clusters: (n,) labels or None. Kappa: (po - pe) / (1 - pe), undefined only where the
    expected agreement pe is 1. Matthews: undefined if people or metric name one model only. Balanced accuracy: the
    mean over the people's two choices of the share that the metric shares; undefined if people choose one only.
    Source: Cohen (1960), "A coefficient of agreement for nominal scales"; Matthews (1975); Brodersen et al. (2010).

    >>> people, metric = [1] * 25 + [-1] * 25, [1] * 20 + [-1] * 5 + [1] * 10 + [-1] * 15
    >>> result = chance_corrected(people, metric, resampling=Resampling(resamples=100))
    >>> round(result.kappa.value or 0, 2)
    0.4
    """
    theirs, its = checked_winners(people, metric)
    cells = np.array([(theirs == row) & (its == column) for row in ORDER for column in ORDER]).T
    totals = resampled_totals(cells, clusters=clusters, resampling=resampling).reshape(-1, 3, 3)
    table = cells.sum(axis=0).reshape(3, 3)

    def estimate(statistic: Callable[[Floats], Floats], why: Callable[[Integers], str], size: int) -> Estimate:
        part, n = table[:size, :size], int(table[:size, :size].sum())
        value = float(statistic(part.astype(np.float64)))
        if np.isnan(value):
            return Estimate.undefined(why(part), n=n, level=resampling.level, method="percentile bootstrap")
        resampled = statistic(totals[:, :size, :size])
        return percentile_estimate(value, resampled, n=n, resampling=resampling)

    return ChanceCorrected(
        kappa=estimate(_cohen_kappa, _why_no_kappa, 2),
        matthews=estimate(_matthews, _why_one_sided, 2),
        balanced_accuracy=estimate(_balanced_accuracy, _why_one_sided, 2),
        kappa_with_ties=estimate(_cohen_kappa, _why_no_kappa, 3),
    )


def _constant_credit(people: Signs, sign: int, ties: TieTreatment) -> Floats:
    return earned_credit(people, np.full_like(people, sign), ties=ties)


def _against_constant(people: Signs, metric: Signs, sign: int, ties: TieTreatment) -> SignificanceTest:
    gain = earned_credit(people, metric, ties=ties) - _constant_credit(people, sign, ties)
    return mcnemar_exact(int((gain > 0).sum()), int((gain < 0).sum()))


def _hardest(tests: list[SignificanceTest]) -> SignificanceTest:
    """The test with the largest p-value; a test that does not exist comes first."""
    return max(tests, key=lambda test: (2.0 if test.p_value is None else test.p_value, -(test.statistic or 0.0)))


def _decided_table(people: ArrayLike, metric: ArrayLike) -> Integers:
    theirs, its = checked_winners(people, metric)
    return np.array([[np.sum((theirs == row) & (its == column)) for column in NAMES] for row in NAMES])


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
