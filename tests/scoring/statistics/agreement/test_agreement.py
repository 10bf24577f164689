from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from scoring.statistics.agreement.agreement import (
    agreement,
    bootstrap_agreement,
    bounds_with_missing,
    confusion,
    earned_credit,
    metric_winners,
    people_winners,
)
from scoring.statistics.inference.intervals import Resampling
from tests.scoring.statistics.reading import bounds

FEW = Resampling(resamples=300, seed=1)
signs = st.sampled_from((1, -1, 0))
winners = st.lists(st.tuples(signs, signs), min_size=1, max_size=40).map(lambda pairs: np.array(pairs).T)

# people: A A B tie tie B, metric: A B B tie A tie
PEOPLE, METRIC = [1, 1, -1, 0, 0, -1], [1, -1, -1, 0, 1, 0]


def test_tie_votes_cancel_by_sign_and_count_by_plurality() -> None:
    counts = [(2, 0, 3), (3, 1, 3), (1, 2, 0), (2, 2, 1), (0, 0, 1), (1, 0, 1), (0, 3, 2)]
    assert people_winners(counts).tolist() == [1, 1, -1, 0, 0, 1, -1]
    assert people_winners(counts, rule="plurality").tolist() == [0, 0, -1, 0, 0, 0, -1]


def test_a_comparison_without_votes_has_no_winner() -> None:
    with pytest.raises(ValueError, match="comparison 1 has no votes"):
        people_winners([(1, 0, 0), (0, 0, 0)])


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3).filter(any), min_size=1), st.sampled_from(("sign", "plurality")))
def test_renaming_the_models_swaps_the_winners(counts: Any, rule: Any) -> None:
    swapped = [(b, a, tie) for a, b, tie in counts]
    np.testing.assert_array_equal(people_winners(swapped, rule=rule), -people_winners(counts, rule=rule))


def test_the_metric_ties_up_to_rounding() -> None:
    assert metric_winners([1e-9, -1e-9, 1.1e-9, -1.1e-9, 0, 30]).tolist() == [0, 0, 1, -1, 0, 1]
    with pytest.raises(ValueError, match="finite"):
        metric_winners([0.1, float("nan")])


@pytest.mark.parametrize(("ties", "value", "n"), [("strict", 0.5, 6), ("half", 4 / 6, 6), ("dropped", 2 / 3, 3)])
def test_three_treatments_of_ties(ties: Any, value: Any, n: Any) -> None:
    estimate = agreement(PEOPLE, METRIC, ties=ties)
    assert (estimate.value, estimate.n) == pytest.approx((value, n))


def test_credit_by_comparison() -> None:
    assert earned_credit(PEOPLE, METRIC, ties="half").tolist() == [1, 0, 1, 1, 0.5, 0.5]
    np.testing.assert_array_equal(earned_credit(PEOPLE, METRIC, ties="dropped"), [1, 0, 1, np.nan, np.nan, np.nan])


def test_intervals_of_the_published_agreement() -> None:
    people = metric = np.ones(100, dtype=int)
    metric = metric.copy()
    metric[:6] = -1
    by_wilson = agreement(people, metric)
    exact = agreement(people, metric, interval="clopper-pearson")
    assert (by_wilson.low, by_wilson.high) == pytest.approx((0.8752, 0.9722), abs=5e-5)
    assert (exact.low, exact.high) == pytest.approx((0.8740, 0.9777), abs=5e-5)


def test_half_credit_has_the_score_interval_and_no_exact_one() -> None:
    estimate = agreement(PEOPLE, METRIC, ties="half")
    low, high = bounds(estimate)
    assert low < 4 / 6 < high
    assert estimate.method == "score interval"
    exact = agreement(PEOPLE, METRIC, ties="half", interval="clopper-pearson")
    assert (exact.low, exact.reason) == (None, "half credit is not a proportion, see the score interval")
    resampled = bootstrap_agreement(PEOPLE, METRIC, ties="half", resampling=FEW)
    assert resampled.value == estimate.value
    low, high = bounds(resampled)
    assert low < 4 / 6 < high


def test_bootstrap_of_the_agreement_is_close_to_its_normal_theory() -> None:
    people = np.ones(400, dtype=int)
    metric = np.where(np.arange(400) < 320, 1, -1)
    estimate = bootstrap_agreement(people, metric, resampling=Resampling(resamples=4000))
    assert (estimate.low, estimate.high) == pytest.approx((0.8 - 0.0392, 0.8 + 0.0392), abs=0.004)


def test_comparisons_of_one_prompt_are_resampled_together() -> None:
    people = np.ones(40, dtype=int)
    metric = np.repeat(np.where(np.arange(20) < 14, 1, -1), 2)
    alone = bootstrap_agreement(people, metric, resampling=FEW)
    together = bootstrap_agreement(people, metric, clusters=np.repeat(np.arange(20), 2), resampling=FEW)
    assert np.ptp(bounds(together)) > 1.2 * np.ptp(bounds(alone))


@pytest.mark.parametrize("sign", [1, -1])
def test_all_right_or_all_wrong_has_no_bootstrap_interval(sign: Any) -> None:
    estimate = bootstrap_agreement(np.ones(100), np.full(100, sign), resampling=FEW)
    assert (estimate.value, estimate.low, estimate.high) == (float(sign > 0), None, None)
    assert estimate.reason == "all resamples equal, see Wilson"
    assert agreement(np.ones(100), np.full(100, sign)).low is not None


def test_one_comparison_has_no_bootstrap_interval() -> None:
    assert bootstrap_agreement([1], [1], resampling=FEW).reason == "all resamples equal, see Wilson"
    assert agreement([1], [1]).n == 1


def test_one_cluster_is_no_reason_to_look_at_wilson() -> None:
    """Wilson's interval has none either."""
    assert bootstrap_agreement([1, 1], [1, -1], clusters=["a", "a"], resampling=FEW).reason == "one cluster"
    assert agreement([1, 1], [1, -1], clusters=["a", "a"]).reason == "one cluster"


@pytest.mark.parametrize("ties", ["strict", "half", "dropped"])
def test_no_comparison_is_undefined(ties: Any) -> None:
    assert agreement([], [], ties=ties).reason == "no comparison"
    assert bootstrap_agreement([], [], ties=ties, resampling=FEW).reason == "no comparison"


def test_all_ties_leave_nothing_when_dropped() -> None:
    assert agreement([0, 0], [1, 0], ties="dropped").reason == "no comparison"
    assert bootstrap_agreement([0, 0], [1, 0], ties="dropped", resampling=FEW).reason == "no comparison"


@given(winners)
def test_confusion_equals_scikit_learn(pair: Any) -> None:
    expected = confusion_matrix(pair[0], pair[1], labels=[1, -1, 0])
    np.testing.assert_array_equal(confusion(*pair), expected)


@given(winners, st.sampled_from(("strict", "half", "dropped")))
def test_neither_names_nor_order_matter(pair: Any, ties: Any) -> None:
    people, metric = pair
    as_is = agreement(people, metric, ties=ties)
    assert agreement(-people, -metric, ties=ties) == as_is
    assert agreement(people[::-1], metric[::-1], ties=ties).value == pytest.approx(as_is.value)
    assert agreement(metric, people, ties=ties).value == as_is.value


@given(winners)
def test_without_ties_all_treatments_are_one(pair: Any) -> None:
    people, metric = np.where(pair == 0, 1, pair)
    values = {agreement(people, metric, ties=ties).value for ties in ("strict", "half", "dropped")}
    assert len(values) == 1


@pytest.mark.parametrize(("people", "metric"), [([1, 2], [1, 1]), ([1], [1, 1]), ([[1]], [[1]]), ([0.5], [1])])
def test_only_paired_signs_are_winners(people: Any, metric: Any) -> None:
    with pytest.raises(ValueError, match="winner"):
        agreement(people, metric)


def test_published_bounds_of_comparisons_that_fell_out() -> None:
    assert bounds_with_missing(47, 50, 53) == pytest.approx((0.887, 0.943), abs=5e-4)
    assert bounds_with_missing(3, 4, 4) == (0.75, 0.75)
    with pytest.raises(ValueError, match="5 agreements of 4"):
        bounds_with_missing(5, 4, 6)
