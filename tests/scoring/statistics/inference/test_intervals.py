from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from scoring.statistics.inference.intervals import (
    Resampling,
    clopper_pearson,
    percentile_estimate,
    resample_weights,
    resampled_totals,
    wilson,
)
from tests.scoring.statistics.reading import bounds

FEW = Resampling(resamples=200, seed=1)


@pytest.mark.parametrize(
    ("interval", "successes", "n", "low", "high"),
    [
        (wilson, 94, 100, 0.8752, 0.9722),
        (wilson, 47, 50, 0.8378, 0.9794),
        (clopper_pearson, 94, 100, 0.8740, 0.9777),
    ],
)
def test_published_intervals(interval: Any, successes: Any, n: Any, low: Any, high: Any) -> None:
    estimate = interval(successes, n)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=5e-5)
    assert (estimate.value, estimate.n, estimate.level) == (successes / n, n, 0.95)


@given(st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(max(n, 1)))), st.floats(0.5, 0.999))
def test_proportions_equal_statsmodels(case: tuple[int, int], level: float) -> None:
    for interval, name in ((wilson, "wilson"), (clopper_pearson, "beta")):
        estimate = interval(*case, level=level)
        low, high = bounds(estimate)
        assert (low, high) == pytest.approx(proportion_confint(*case, alpha=1 - level, method=name), abs=1e-9)
        assert 0 <= low <= case[0] / case[1] <= high <= 1


def test_a_proportion_of_nothing_is_undefined() -> None:
    assert (wilson(0, 0).value, wilson(0, 0).reason) == (None, "no comparison")
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson(3, 2)


@pytest.mark.parametrize("wrong", [{"level": 0}, {"level": 1}, {"resamples": 0}])
def test_a_resampling_that_cannot_be_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"level|resample"):
        Resampling(**wrong)


def test_weights_draw_as_many_clusters_as_there_are() -> None:
    labels = np.array(["b", "a", "b", "c", "a"])
    weights = np.concatenate(list(resample_weights(5, clusters=labels, resampling=FEW)))
    assert weights.shape == (200, 5)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 4])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), 3)
    assert len(np.unique(weights, axis=0)) == 10  # every way to draw three of three


def test_the_portions_of_a_large_resampling_add_up() -> None:
    many = Resampling(resamples=1001, seed=3)
    blocks = [len(block) for block in resample_weights(20_000, clusters=None, resampling=many)]
    assert len(blocks) > 1
    assert sum(blocks) == 1001


def test_totals_are_sums_over_the_weights() -> None:
    rng = np.random.default_rng(5)
    summands, labels = rng.normal(size=(30, 4)), rng.integers(0, 7, 30)
    weights = np.concatenate(list(resample_weights(30, clusters=labels, resampling=FEW)))
    totals = resampled_totals(summands, clusters=labels, resampling=FEW)
    np.testing.assert_allclose(totals, weights @ summands, atol=1e-12)


def test_the_seed_repeats_the_resamples() -> None:
    summands = np.arange(10.0).reshape(-1, 1)
    once, again = (resampled_totals(summands, resampling=FEW) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    other = resampled_totals(summands, resampling=Resampling(resamples=200, seed=2))
    assert not np.array_equal(once, other)


def test_a_mean_is_bootstrapped_as_its_theory_says() -> None:
    values = np.random.default_rng(8).normal(3, 2, 400)
    totals = resampled_totals(values[:, np.newaxis], resampling=Resampling(resamples=4000, seed=4))
    estimate = percentile_estimate(values.mean(), totals[:, 0] / 400, n=400, resampling=Resampling(resamples=4000))
    half_width = 1.96 * values.std() / 20
    assert (estimate.low, estimate.high) == pytest.approx(
        (values.mean() - half_width, values.mean() + half_width), abs=0.02
    )
    assert "4000 resamples" in estimate.method


def test_clusters_must_fit_the_comparisons() -> None:
    with pytest.raises(ValueError, match="3 comparisons need 3 cluster labels"):
        resampled_totals(np.ones((3, 1)), clusters=["a", "b"], resampling=FEW)


def test_equal_resamples_leave_the_interval_undefined() -> None:
    estimate = percentile_estimate(0.3, np.full(200, 0.3), n=9, resampling=FEW)
    assert (estimate.value, estimate.low, estimate.high) == (0.3, None, None)
    assert estimate.reason == "all resamples equal"


def test_undefined_resamples_are_left_out_and_counted() -> None:
    resampled = np.append(np.linspace(0, 1, 195), [np.nan] * 5)
    estimate = percentile_estimate(0.5, resampled, n=9, resampling=FEW)
    assert (estimate.low, estimate.high) == pytest.approx((0.025, 0.975))
    assert estimate.method.endswith("5 undefined resamples left out")


def test_too_many_undefined_resamples_leave_the_interval_undefined() -> None:
    resampled = np.append(np.linspace(0, 1, 189), [np.nan] * 11)
    estimate = percentile_estimate(0.5, resampled, n=9, resampling=FEW)
    assert (estimate.low, estimate.reason) == (None, "undefined in 11 of 200 resamples")
