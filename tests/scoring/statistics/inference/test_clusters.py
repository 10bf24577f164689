"""Clusters in the intervals and tests of an agreement: design effects, coverage, and nothing without clusters."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from scoring.statistics.agreement.agreement import agreement
from scoring.statistics.agreement.calibration import agreement_by_margin, calibration
from scoring.statistics.agreement.chance import against_one_half, fisher_exact
from scoring.statistics.agreement.constant_choice import constant_choice
from scoring.statistics.agreement.credit_tests import credit_test
from scoring.statistics.agreement.metric_pairs import compare_metrics
from scoring.statistics.agreement.tie_threshold import calibrate_ties
from scoring.statistics.inference.clusters import Clustering, clustering, described, shared_clusters
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.scores.significance import ks_two_sample, wilcoxon
from tests.scoring.statistics.reading import bounds, p_value

FEW = Resampling(resamples=200, seed=1)


def cluster_study(*, constant_is_right_in_the_wrong_one: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ten clusters of ten: the metric is right in nine of them, always naming A in seven."""
    clusters = np.arange(100) // 10
    is_a = clusters < 7
    is_right = clusters != (0 if constant_is_right_in_the_wrong_one else 9)
    people = np.where(is_a, 1, -1)
    return people, np.where(is_right, people, -people), clusters


@pytest.mark.parametrize(("is_right", "p"), [(True, 0.625), (False, 0.5)])
def test_the_cluster_study_is_not_shown_to_beat_the_constant_choice(is_right: bool, p: float) -> None:
    people, metric, clusters = cluster_study(constant_is_right_in_the_wrong_one=is_right)
    choice = constant_choice(people, metric, clusters=clusters)
    assert (choice.models, choice.verdict) == (("A",), "undecided")
    assert choice.test.p_value == pytest.approx(p)
    assert constant_choice(people, metric).verdict == "shown"  # the false claim of independent comparisons
    low, high = bounds(agreement(people, metric, clusters=clusters))
    assert low < 0.60
    assert high > 0.97


def test_the_design_effect_of_unanimous_clusters_is_their_size() -> None:
    clusters = np.arange(100) // 10
    earned = np.where(clusters < 8, 1.0, 0.0)
    found = clustering(earned, clusters)
    assert found is not None
    assert found.design_effect == pytest.approx(10 * 10 / 9)  # G / (G - 1) for the variance of few clusters
    unanimous = clustering(np.ones(100), clusters)
    assert unanimous == Clustering(10, 10, 10.0)
    uneven = clustering(np.ones(6), [1, 1, 1, 1, 2, 3])
    assert uneven is not None
    assert uneven.design_effect == pytest.approx((16 + 1 + 1) / 6)


def test_the_variance_over_clusters_equals_statsmodels() -> None:
    rng = np.random.default_rng(3)
    clusters = rng.integers(0, 12, 80)
    earned = (rng.random(80) < rng.random(12)[clusters]).astype(float)
    found = clustering(earned, clusters)
    assert found is not None
    fit = sm.OLS(earned, np.ones(80)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": True, "df_correction": False}
    )
    expected = fit.cov_params()[0, 0] / (earned.var() / 80)
    # statsmodels multiplies by (n - 1) / (n - 1) for one regressor
    assert found.design_effect == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("ties", ["strict", "half", "dropped"])
@pytest.mark.parametrize("interval", ["score", "clopper-pearson"])
def test_clusters_of_one_comparison_change_nothing(ties: Any, interval: Any) -> None:
    rng = np.random.default_rng(6)
    people, metric = rng.choice((1, -1, 0), 60), rng.choice((1, -1, 0), 60)
    own = rng.permutation(60)
    for function in (agreement, constant_choice, fisher_exact, against_one_half):
        options: dict[str, Any] = {"ties": ties} if function in (agreement, constant_choice) else {}
        options |= {"interval": interval} if function is agreement else {}
        assert function(people, metric, clusters=own, **options) == function(people, metric, **options)
    scores = rng.normal(size=(60, 2))
    assert ks_two_sample(*scores.T, clusters=own) == ks_two_sample(*scores.T)
    one, other = (wilcoxon(scores[:, 0] - scores[:, 1], clusters=c, resampling=FEW).test for c in (own, None))
    assert one == other
    assert shared_clusters(60, own) is None


def test_a_wilcoxon_test_flips_whole_clusters() -> None:
    differences = np.array([3.0, 1.5, -2.0, 4.0, 5.5, -0.5, 6.0, 2.5])
    clusters = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    ranks = stats.rankdata(np.abs(differences)) * np.sign(differences)
    sums = [ranks[clusters == one].sum() for one in range(4)]
    signs = np.array(np.meshgrid(*[(1, -1)] * 4)).reshape(4, -1).T
    expected = np.mean(np.abs(signs @ sums) >= abs(sum(sums)) - 1e-9)
    test = wilcoxon(differences, clusters=clusters, resampling=FEW).test
    assert test.p_value == pytest.approx(expected)
    assert test.statistic == wilcoxon(differences, resampling=FEW).test.statistic
    assert "whole clusters" in test.method


def test_the_coin_and_the_association_flip_whole_clusters() -> None:
    people, metric, clusters = cluster_study(constant_is_right_in_the_wrong_one=False)
    assert p_value(against_one_half(people, metric, clusters=clusters)) == pytest.approx(2 * (1 + 10) / 2**10)
    assert p_value(against_one_half(people, metric)) < 1e-9
    assert p_value(fisher_exact(people, metric, clusters=clusters, resampling=FEW)) > 100 * p_value(
        fisher_exact(people, metric)
    )
    assert "clusters" in fisher_exact(people, metric, clusters=clusters, resampling=FEW).method
    assert ks_two_sample([1, 2, 3], [2, 3, 4], clusters=[1, 1, 2]).method.endswith(
        "ignores the pairing and the clusters"
    )


@pytest.mark.parametrize(("count", "said"), [(5, "a verdict needs 6"), (6, "rough below 20"), (19, "rough"), (20, "")])
def test_few_clusters_are_said(count: int, said: str) -> None:
    warning = Clustering(count, 3, 1.0).warning
    assert said in warning if said else not warning


def test_one_cluster_is_no_plural_and_has_no_degrees_of_freedom() -> None:
    assert Clustering(1, 12, 12.0).warning.startswith("only 1 cluster of comparisons: a verdict needs 6")
    assert described("Wilson", Clustering(1, 12, 12.0)) == "Wilson, 1 cluster, design effect 12.00"
    test = credit_test([0.0, 1.0], clusters=[0, 0])
    assert test.method == "exact sign-flip of the sums of 1 cluster (assumes symmetry)"


def test_five_clusters_have_no_verdict_at_any_level() -> None:
    clusters = np.arange(50) // 10
    people = np.where(clusters < 3, 1, -1)
    for level in (0.5, 0.95):
        assert constant_choice(people, people, clusters=clusters, level=level).verdict == "undecided"


def test_one_cluster_has_no_interval() -> None:
    for found in (
        agreement([1, 1, -1], [1, -1, -1], clusters=["a"] * 3),
        agreement([1, 1, -1], [1, -1, -1], clusters=["a"] * 3, interval="clopper-pearson"),
    ):
        assert found.value == pytest.approx(2 / 3)
        assert (found.low, found.reason) == (None, "one cluster")


@pytest.mark.parametrize(("size", "count"), [(2, 50), (5, 20), (10, 10)])
def test_the_headline_covers_and_the_verdict_is_rarely_false_if_clusters_share_their_truth(
    size: int, count: int
) -> None:
    """Whole clusters are right or wrong. Independent comparisons would cover .24 to .81, and falsely beat in .05 to .15
    of studies. 4,000 studies a cell gave a coverage of .953 to .994 here."""
    rng, studies = np.random.default_rng(count), 150
    clusters, covered, falsely = np.repeat(np.arange(count), size), 0, 0
    for _ in range(studies):
        people = np.where(rng.random(count) < 0.8, 1, -1)[clusters]
        metric = np.where(rng.random(count) < 0.8, people[::size], -people[::size])[clusters]
        low, high = bounds(agreement(people, metric, clusters=clusters))
        covered += low <= 0.8 <= high
        falsely += constant_choice(people, metric, clusters=clusters).verdict == "shown"
    assert covered / studies >= 0.916
    assert falsely / studies <= 0.04


def test_the_calibrations_errors_know_few_clusters() -> None:
    """Student's t and the factor G / (G - 1) of the variance; with one comparison a cluster nothing changes."""
    rng = np.random.default_rng(8)
    clusters = np.arange(30) // 5
    margins = rng.normal(size=30)
    won = rng.binomial(5, 1 / (1 + np.exp(-margins - rng.normal(size=6)[clusters])))
    votes = np.column_stack([won, 5 - won, np.zeros(30, dtype=int)])
    oracle = sm.GLM(votes[:, :2], sm.add_constant(margins), family=sm.families.Binomial()).fit(
        tol=1e-12, cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}
    )
    slope = calibration(votes, margins, clusters=clusters, resampling=FEW).slope
    reach = stats.t.ppf(0.975, 5) * oracle.bse[1] * np.sqrt(6 / 5)
    assert bounds(slope) == pytest.approx((oracle.params[1] - reach, oracle.params[1] + reach), rel=1e-6)
    assert slope.method == "Wald, 6 clusters, t(5)"
    one = calibration(votes, margins, clusters=np.zeros(30), resampling=FEW).slope
    assert (one.low, one.method, one.reason) == (None, "Wald, 1 cluster", "one cluster")
    own = calibration(votes, margins, clusters=np.arange(30), resampling=FEW)
    assert own.slope == calibration(votes, margins, resampling=FEW).slope
    assert own.slope.method == "Wald, clustered HC0"


def test_bins_ties_and_pairs_of_metrics_know_clusters() -> None:
    rng = np.random.default_rng(9)
    clusters = np.repeat(np.arange(8), 5)
    people = rng.choice((1, -1), 8)[clusters]
    margins = people * np.where(clusters < 6, 1.0, -1.0) * rng.uniform(1, 2, 40)
    held_out = calibrate_ties(people, margins, clusters=clusters, seed=1).held_out
    assert held_out.value == calibrate_ties(people, margins, clusters=clusters, seed=1, level=0.9).held_out.value
    assert "8 clusters" in held_out.method
    counts = np.column_stack([people > 0, people < 0, np.zeros(40)]).astype(int)
    assert any("clusters" in row.agreement.method for row in agreement_by_margin(counts, margins, clusters=clusters))
    signs = {"one": np.sign(margins), "other": np.ones(40)}
    (pair,) = compare_metrics(people, signs, clusters=clusters, resampling=FEW)
    gains = (np.sign(margins) == people).astype(float) - (people == 1)
    assert pair.sign_flip == credit_test(gains, clusters=clusters)
    assert pair.mcnemar.method == "exact McNemar, treats comparisons as independent"
    (alone,) = compare_metrics(people, signs, resampling=FEW)
    assert alone.sign_flip == alone.mcnemar == credit_test(gains)
