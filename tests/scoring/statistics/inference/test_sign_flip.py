"""The exact sign-flip test against enumeration, McNemar's test and the published examples of the protocol."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scoring.statistics.agreement.constant_choice import baseline, constant_choice
from scoring.statistics.agreement.credit_tests import credit_test, mcnemar_exact
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.inference.sign_flip import exact_sign_flip, sign_flip_p
from tests.scoring.statistics.reading import p_value

sums = st.lists(st.integers(-9, 9), min_size=1, max_size=10)
gains = st.lists(st.sampled_from((-1.0, -0.5, 0.0, 0.5, 1.0)), min_size=1, max_size=10)


def enumerated(values: Any) -> float:
    signs = np.array(list(product((1, -1), repeat=len(values))))
    totals = np.abs(signs @ np.asarray(values, dtype=float))
    return float(np.mean(totals >= abs(np.sum(values)) - 1e-9))


@settings(max_examples=60)
@given(sums)
def test_the_exact_test_equals_enumeration(values: Any) -> None:
    assert exact_sign_flip(values) == pytest.approx(enumerated(values), abs=1e-12)


@settings(max_examples=60)
@given(gains)
def test_half_credits_equal_enumeration(values: Any) -> None:
    test = credit_test(values)
    if any(values):
        assert test.p_value == pytest.approx(enumerated(values), abs=1e-12)
    else:
        assert test.reason == "they never differ"


@settings(max_examples=40)
@given(gains, st.integers(1, 4))
def test_clusters_equal_enumeration_of_their_sums(values: Any, size: int) -> None:
    clusters = np.arange(len(values)) // size
    of_clusters = [np.sum(np.array(values)[clusters == one]) for one in np.unique(clusters)]
    test = credit_test(values, clusters=clusters)
    if any(values):
        assert test.p_value == pytest.approx(enumerated(of_clusters), abs=1e-12)
    assert ("cluster" in test.method) == (min(size, len(values)) > 1)


@given(st.integers(0, 30), st.integers(0, 30))
def test_whole_credits_without_clusters_are_mcnemars_test_itself(better: int, worse: int) -> None:
    values = [1.0] * better + [-1.0] * worse + [0.0] * 3
    assert credit_test(values) == credit_test(values, clusters=np.arange(len(values))) == mcnemar_exact(better, worse)
    if better + worse:
        assert exact_sign_flip([2] * better + [-2] * worse) == pytest.approx(
            stats.binomtest(better, better + worse).pvalue, abs=1e-12
        )


def test_half_credit_is_tested_as_half() -> None:
    """The metric names 40 B rightly, 20 of 60 A, and ties on the other 40: .80 against the .60 of always naming A."""
    people = np.repeat((1, 1, -1), (20, 40, 40))
    metric = np.repeat((1, 0, -1), (20, 40, 40))
    choice = constant_choice(people, metric, ties="half")
    assert (choice.models, choice.verdict) == (("A",), "shown")
    assert choice.agreement.value == pytest.approx(0.60)
    assert choice.difference.value == pytest.approx(0.20)
    assert choice.test.p_value == pytest.approx(0.0055, abs=5e-5)
    assert "assumes symmetry" in choice.test.method
    assert baseline(people, metric, ties="half").mcnemar.p_value == 1.0  # it counts 40 against 40
    assert "ignores the size" in baseline(people, metric, ties="half").mcnemar.method


@pytest.mark.parametrize("sizes", [[2] * 3000 + [1] * 3000, list(range(1, 200))])
def test_many_sums_equal_the_normal_approximation(sizes: Any) -> None:
    values = np.array(sizes) * np.random.default_rng(4).choice((1, -1), len(sizes), p=(0.51, 0.49))
    sd = np.sqrt((values.astype(float) ** 2).sum())
    continuity = np.gcd.reduce(values) if len(set(sizes)) == 2 else 1
    near = 2 * stats.norm.sf((abs(values.sum()) - continuity) / sd)
    assert exact_sign_flip(values) == pytest.approx(near, abs=2e-3)


def test_a_test_that_would_take_long_draws_signs() -> None:
    values = np.random.default_rng(5).integers(-40_000, 50_000, 400)
    p, how = sign_flip_p(values, resampling=Resampling(resamples=4000, seed=3))
    assert how == "4000 permutations, seed 3"
    near = 2 * stats.norm.sf(abs(values.sum()) / np.sqrt((values.astype(float) ** 2).sum()))
    assert p == pytest.approx(near, abs=0.02)
    assert sign_flip_p(values[:12], resampling=Resampling())[1] == "exact"


def test_a_difference_that_is_no_multiple_of_one_half_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of one half"):
        credit_test([0.25])


def test_exchanging_the_two_ways_changes_no_p() -> None:
    values = [0.5, 0.5, -1.0, 1.0, 1.0]
    assert p_value(credit_test(values)) == p_value(credit_test([-one for one in values]))


def test_nothing_to_compare_is_no_equality() -> None:
    assert credit_test([]).reason == "no comparison"
    assert credit_test([0.0]).reason == "they never differ"
