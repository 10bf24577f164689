"""Compare a metric with always naming one model: the difference, its test, and the verdict."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.agreement.agreement import TieTreatment, checked_winners, earned_credit
from scoring.statistics.agreement.credit_tests import INDEPENDENT, credit_test, mcnemar_exact
from scoring.statistics.inference.clusters import LEAST_CLUSTERS, cluster_count
from scoring.statistics.inference.estimate import Estimate, SignificanceTest
from scoring.statistics.inference.score_interval import mean_credit, mean_with_score_interval
from scoring.statistics.votes.counts import Floats

Verdict = Literal["shown", "shown worse", "undecided"]
NAMES = {1: "A", -1: "B"}


@dataclass(frozen=True, slots=True)
class ConstantChoice:
    """The metric beside always naming the model that people choose more often, on the same comparisons.

    models: the model to name, or both if they do equally well and none was named before the votes. agreement: of that
    constant choice. difference: the metric's mean credit minus that of the choice. test: exact sign-flip of that
    difference. verdict: "shown" to agree more often, "shown worse", or "undecided". If both models do equally well,
    all three are for the harder one.
    """

    models: tuple[str, ...]
    agreement: Estimate
    difference: Estimate
    test: SignificanceTest
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Baseline:
    """The agreement of always naming one model, in the form of version 0.2. is_beaten: whether the verdict is "shown".

    mcnemar: McNemar's test of the comparisons in which one earns more than the other, however much more, as if
    comparisons were independent. Where credits are 0 or 1 and no cluster is shared it is the test of `ConstantChoice`.
    """

    models: tuple[str, ...]
    agreement: Estimate
    mcnemar: SignificanceTest
    is_beaten: bool


@dataclass(frozen=True, slots=True)
class _Rival:
    """A constant choice with what the metric gains over it in each counted comparison."""

    models: tuple[str, ...]
    credit: Floats
    gain: Floats
    clusters: ArrayLike | None
    test: SignificanceTest


def constant_choice(
    people: ArrayLike,
    metric: ArrayLike,
    *,
    ties: TieTreatment = "strict",
    clusters: ArrayLike | None = None,
    model: str = "",
    level: float = 0.95,
) -> ConstantChoice:
    """Always naming the model that people choose more often, judged on the same comparisons as the metric.

    people, metric: (n,) signs, +1 A, -1 B, 0 tie. ties: as for `agreement`. clusters: (n,) labels or None. model: "A"
    or "B" if the choice was named before the votes. Otherwise it comes from the same data as the agreement, so both are
    compared on the same comparisons (`credit_test`), never by a binomial test against the choice's share. The
    difference has the score interval. The verdict needs p below 1 - level, and six clusters if comparisons share any.
    In simulated studies of 30 to 300 comparisons the difference's interval covered .93 to 1.00, also if both models win
    equally often; the metric was falsely shown better in at most .03 and falsely shown worse in at most .04.

    >>> result = constant_choice([1] * 9 + [-1], [1] * 10)
    >>> result.models, result.difference.value, result.verdict
    (('A',), 0.0, 'undecided')
    """
    rival = _rival(people, metric, ties, clusters, model)
    return ConstantChoice(
        models=rival.models,
        agreement=mean_credit(rival.credit, clusters=rival.clusters, level=level),
        difference=mean_with_score_interval(rival.gain, possible=(-1.0, 1.0), clusters=rival.clusters, level=level),
        test=rival.test,
        verdict=_verdict(rival, level),
    )


def baseline(
    people: ArrayLike,
    metric: ArrayLike,
    *,
    ties: TieTreatment = "strict",
    clusters: ArrayLike | None = None,
    model: str = "",
    level: float = 0.95,
) -> Baseline:
    """The same constant choice with McNemar's test, and whether the metric is shown to beat it.

    >>> result = baseline([1] * 9 + [-1], [1] * 10)
    >>> result.models, result.agreement.value, result.is_beaten
    (('A',), 0.9, False)
    """
    rival = _rival(people, metric, ties, clusters, model)
    return Baseline(
        models=rival.models,
        agreement=mean_credit(rival.credit, clusters=rival.clusters, level=level),
        mcnemar=_mcnemar(rival),
        is_beaten=_verdict(rival, level) == "shown",
    )


def _rival(people: ArrayLike, metric: ArrayLike, ties: TieTreatment, clusters: ArrayLike | None, model: str) -> _Rival:
    theirs, its = checked_winners(people, metric)
    labels = None if clusters is None else np.asarray(clusters)
    if ties == "dropped":
        is_decided = (theirs != 0) & (its != 0)
        theirs, its = theirs[is_decided], its[is_decided]
        labels = None if labels is None else labels[is_decided]
    credit = {sign: earned_credit(theirs, np.full_like(theirs, sign), ties=ties) for sign in NAMES}
    best = [sign for sign in NAMES if NAMES[sign] == model or (not model and _is_greatest(sign, credit))]
    models, own = tuple(NAMES[sign] for sign in best), earned_credit(theirs, its, ties=ties)
    gains = [own - credit[sign] for sign in best]
    rivals = [_Rival(models, credit[best[0]], gain, labels, credit_test(gain, clusters=labels)) for gain in gains]
    return max(rivals, key=_hardness)


def _is_greatest(sign: int, credit: dict[int, Floats]) -> bool:
    return bool(credit[sign].sum() == max(each.sum() for each in credit.values()))


def _hardness(rival: _Rival) -> tuple[float, float]:
    """The test with the largest p-value counts; a test that does not exist comes first."""
    test = rival.test
    return 2.0 if test.p_value is None else test.p_value, -(test.statistic or 0.0)


def _verdict(rival: _Rival, level: float) -> Verdict:
    count, p_value = cluster_count(len(rival.gain), rival.clusters), rival.test.p_value
    if (count is not None and count < LEAST_CLUSTERS) or p_value is None or p_value >= 1 - level:
        return "undecided"
    return "shown" if rival.gain.sum() > 0 else "shown worse"


def _mcnemar(rival: _Rival) -> SignificanceTest:
    gain = rival.gain
    test = mcnemar_exact(int((gain > 0).sum()), int((gain < 0).sum()))
    remarks = ["" if cluster_count(len(gain), rival.clusters) is None else INDEPENDENT]
    remarks.append("ignores the size of the gains" if (gain % 1).any() else "")
    return replace(test, method=", ".join(filter(None, (test.method, *remarks))))
