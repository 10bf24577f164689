import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from scoring.statistics.agreement.credit_tests import mcnemar_exact
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.inference.sign_flip import sign_flips
from scoring.statistics.scores.significance import ks_sign_flip, ks_two_sample, wilcoxon
from tests.scoring.statistics.reading import bounds, p_value

FEW = Resampling(resamples=300, seed=1)
DARWIN = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]  # heights of maize, as in scipy's documentation
small = st.lists(st.integers(-5, 5), min_size=1, max_size=12)


def distance(first: Any, second: Any) -> float:
    return float(max(abs(np.mean(first <= x) - np.mean(second <= x)) for x in [*first, *second]))


def test_published_tests() -> None:
    assert mcnemar_exact(5, 15).p_value == pytest.approx(0.0414, abs=5e-5)
    result = wilcoxon(DARWIN, resampling=FEW)
    assert result.test.statistic == 24
    assert result.test.p_value == pytest.approx(0.0413, abs=5e-5)
    assert result.test.method.endswith("exact")
    assert result.rank_biserial.value == pytest.approx((96 - 24) / 120)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_equals_statsmodels_and_is_symmetric(b: Any, c: Any) -> None:
    test = mcnemar_exact(b, c)
    if b + c:
        assert test.p_value == pytest.approx(mcnemar([[3, b], [c, 3]], exact=True).pvalue)
        assert test.p_value == mcnemar_exact(c, b).p_value
    else:
        assert test.reason == "they never differ"


@given(small.filter(any))
def test_the_effect_equals_its_definition(differences: Any) -> None:
    kept = np.array([d for d in differences if d])
    ranks = stats.rankdata(np.abs(kept))
    expected = (ranks[kept > 0].sum() - ranks[kept < 0].sum()) / ranks.sum()
    effect = wilcoxon(differences, resampling=Resampling(resamples=2)).rank_biserial
    assert effect.value == pytest.approx(expected)
    assert effect.n == len(kept)


def test_the_effects_resamples_equal_ranking_each_anew() -> None:
    differences = np.array([3, -1, 2, 2, -2, 5, 0, 1, -4, 2.0, -3, -6])
    kept = differences[differences != 0]
    rng = np.random.default_rng(FEW.seed)
    effects = []
    for drawn in rng.integers(0, len(kept), size=(FEW.resamples, len(kept))):
        sample = kept[drawn]
        ranks = stats.rankdata(np.abs(sample))
        effects.append((ranks * np.sign(sample)).sum() / ranks.sum())
    estimate = wilcoxon(differences, resampling=FEW).rank_biserial
    assert bounds(estimate) == pytest.approx(np.quantile(effects, [0.025, 0.975]))


def test_many_or_tied_differences_are_judged_by_the_normal_approximation() -> None:
    many = np.random.default_rng(1).normal(0.3, 1, 200)
    for differences in (many, [1, 1, 2, 3, -4, 0]):
        test = wilcoxon(differences, resampling=FEW).test
        expected = stats.wilcoxon(np.trim_zeros(np.asarray(differences, dtype=float)), method="approx")
        assert (test.statistic, test.p_value) == pytest.approx((expected.statistic, expected.pvalue))
        assert test.method.endswith("normal approximation")


def test_exchanging_the_models_turns_the_effect() -> None:
    differences = np.array([*DARWIN, -3, -5, -7.5, -11])
    there, back = (wilcoxon(sign * differences, resampling=FEW) for sign in (1, -1))
    assert there.test == back.test
    assert bounds(there.rank_biserial) == pytest.approx([-bound for bound in reversed(bounds(back.rank_biserial))])


def test_no_difference_is_undefined() -> None:
    for differences, reason in (
        ([], "no scores"),
        ([0.0, 0.0], "no difference other than zero"),
        ([1e-9, -1e-13], "no difference other than zero"),
    ):
        result = wilcoxon(differences, resampling=FEW)
        assert result.test.reason == result.rank_biserial.reason == reason


def test_one_difference() -> None:
    result = wilcoxon([2.5], resampling=FEW)
    assert result.test.p_value == 1
    assert (result.rank_biserial.value, result.rank_biserial.reason) == (1, "all resamples equal")


def test_clusters_of_the_effect_lose_their_zeros_too() -> None:
    clusters = [*np.repeat(np.arange(30), 2), "c", "c"]
    result = wilcoxon([1, 0, -2, 3] * 15 + [0, 2], clusters=clusters, resampling=FEW)
    assert result.rank_biserial.n == 46
    low, high = bounds(result.rank_biserial)
    assert low < high


def test_few_scores_ahead_for_one_model_give_the_effect_no_interval() -> None:
    effect = wilcoxon([1, 2, 3, 4, 5, 6, 7, -8, -9, -1.5, -2.5], resampling=FEW).rank_biserial
    assert (effect.low, effect.reason) == (None, "one model is ahead in 4 comparisons only, and an interval needs 5")
    assert effect.value is not None


def test_few_clusters_give_the_effect_no_interval() -> None:
    result = wilcoxon([1, 0, -2, 3, 0, 2], clusters=["a", "a", "b", "b", "c", "c"], resampling=FEW)
    assert result.rank_biserial.low is None
    assert result.rank_biserial.reason == "3 clusters of comparisons, and an interval needs 30"


def counted_p(n: int, steps: int) -> float:
    """P(distance >= steps / n) of two samples of n, by reflection of lattice paths, in whole numbers throughout."""
    if steps == 0:
        return 1.0
    paths: int = sum((-1) ** (k - 1) * math.comb(2 * n, n - k * steps) for k in range(1, n // steps + 1))
    return 2 * paths / math.comb(2 * n, n)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=1, max_size=40))
@example([(value, value) for value in range(7)])
@example([(value, value - 0.5) for value in range(5)])  # scipy's exact value exceeds 1 by rounding, and it warns
@example([(value, value - 1.5) for value in range(60)])  # likewise
@example([(value, value + 200) for value in range(1000)])
def test_two_samples_equal_the_count_of_paths(pairs: Any) -> None:
    first, second = np.array(pairs).T
    test, n = ks_two_sample(first, second), len(first)
    assert test.statistic == pytest.approx(distance(first, second))
    assert test.p_value == pytest.approx(counted_p(n, round(distance(first, second) * n)), abs=1e-9)
    assert "ignores the pairing" in test.method


def test_distance_p_equals_enumeration() -> None:
    values = np.arange(8.0)
    samples = [(values[list(c)], np.delete(values, c)) for c in itertools.combinations(range(8), 4)]
    distances = np.array([distance(first, second) for first, second in samples])
    for (first, second), observed in zip(samples, distances, strict=True):
        assert ks_two_sample(first, second).p_value == pytest.approx(np.mean(distances >= observed - 1e-12))


def test_large_samples_are_judged_asymptotically() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=1001), rng.normal(0.1, 1, size=1001)
    test = ks_two_sample(first, second)
    assert test.p_value == pytest.approx(stats.ks_2samp(first, second, method="asymp").pvalue)
    assert "asymptotic" in test.method
    assert "exact" in ks_two_sample(first[:1000], second[:1000]).method


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=4))
def test_the_exchange_test_equals_enumeration(pairs: Any) -> None:
    first, second = np.array(pairs, dtype=float).T
    observed = distance(first, second)
    reached = []
    for flips in itertools.product((False, True), repeat=len(first)):
        a, b = np.where(flips, second, first), np.where(flips, first, second)
        reached.append(distance(a, b) >= observed - 1e-12)
    test = ks_sign_flip(first, second, resampling=Resampling(resamples=3000, seed=2))
    assert test.statistic == pytest.approx(observed)
    assert test.p_value == pytest.approx(np.mean(reached), abs=0.05)


def test_pairing_tells_a_small_steady_difference_from_noise() -> None:
    first = np.random.default_rng(4).normal(size=60)
    second = first + 0.3
    assert p_value(ks_two_sample(first, second)) > 0.2
    assert p_value(ks_sign_flip(first, second, resampling=FEW)) == 1 / 301


def test_pairs_of_one_prompt_are_exchanged_together() -> None:
    block = np.concatenate(list(sign_flips(4, clusters=["a", "b", "a", "b"], resampling=FEW)))
    assert block.shape == (300, 4)
    np.testing.assert_array_equal(block[:, :2], block[:, 2:])
    assert set(np.unique(block)) == {-1, 1}
    assert (block[:, 0] != block[:, 1]).any()
    one = ks_sign_flip([1, 2, 3], [4, 5, 6], clusters=["a"] * 3, resampling=FEW)
    assert one.p_value == 1


@pytest.mark.parametrize("bad", [[float("nan")], [float("inf")], [[1.0]]])
def test_scores_that_are_no_numbers_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="finite"):
        wilcoxon(bad, resampling=FEW)
    with pytest.raises(ValueError, match="finite"):
        ks_two_sample(bad, [1.0])


def test_no_scores_are_undefined_and_unpaired_ones_refused() -> None:
    assert ks_two_sample([], []).reason == ks_sign_flip([], [], resampling=FEW).reason == "no scores"
    with pytest.raises(ValueError, match="paired"):
        ks_two_sample([1.0], [])
    with pytest.raises(ValueError, match="paired"):
        ks_sign_flip([1.0], [1.0, 2.0], resampling=FEW)
