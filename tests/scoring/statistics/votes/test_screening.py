"""Thresholds by probability: against enumeration with exact fractions, and against scipy and statsmodels."""

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact

from scoring.statistics.votes.screening import failure_probability, fewest_failures, rise_probability, split_probability


def enumerated(tries: int, failures: int, slip: Fraction) -> Fraction:
    """The chance over every sequence of slips."""
    total = Fraction(0)
    for sequence in product((0, 1), repeat=tries):
        if sum(sequence) >= failures:
            total += slip ** sum(sequence) * (1 - slip) ** (tries - sum(sequence))
    return total


@pytest.mark.parametrize("slip", [Fraction(1, 20), Fraction(1, 10), Fraction(1, 3)])
def test_the_chance_of_failures_is_that_of_the_enumeration(slip: Fraction) -> None:
    for tries in range(9):
        for failures in range(tries + 2):
            exact = enumerated(tries, failures, slip)
            assert failure_probability(tries, failures, slip=float(slip)) == pytest.approx(float(exact), abs=1e-14)


def test_some_chances_by_hand() -> None:
    assert failure_probability(3, 2, slip=0.05) == pytest.approx(3 * 0.05**2 * 0.95 + 0.05**3)
    assert failure_probability(3, 0, slip=0.05) == 1
    assert failure_probability(3, 4, slip=0.05) == 0


@given(st.integers(0, 200), st.floats(0.001, 0.4), st.floats(1e-6, 0.2))
def test_the_threshold_is_the_first_count_that_is_unlikely_enough(tries: int, slip: float, probability: float) -> None:
    count = fewest_failures(tries, slip=slip, probability=probability)
    assert 1 <= count <= tries + 1
    assert failure_probability(tries, count, slip=slip) <= probability
    assert failure_probability(tries, count - 1, slip=slip) > probability
    if 0 < count <= tries:
        assert binomtest(count, tries, slip, alternative="greater").pvalue <= probability * (1 + 1e-9)


@given(st.integers(1, 6), st.integers(1, 4))
def test_looking_after_every_try_makes_no_rule_stricter(tries: int, limit: int) -> None:
    """Over every sequence: who ever reaches the count that all tries allow has reached it at the end, and only they."""
    for sequence in product((0, 1), repeat=tries):
        ever = any(sum(sequence[: n + 1]) >= limit for n in range(tries))
        assert ever == (sum(sequence) >= limit)


@given(st.integers(0, 12), st.integers(0, 30), st.integers(0, 12), st.integers(0, 30))
def test_a_rise_is_fishers_exact_test(rejected: int, more: int, lately: int, more_lately: int) -> None:
    before, now = (rejected, rejected + more), (lately, lately + more_lately)
    result = rise_probability(before=before, lately=now)
    if not before[1] or not now[1]:
        assert result == 1
        return
    table = np.array([[lately, more_lately], [rejected, more]])
    assert result == pytest.approx(float(fisher_exact(table, alternative="greater").pvalue), abs=1e-12)


def test_a_rise_by_enumeration() -> None:
    """4 of the last 10 after 0 of 20: of all ways to lay 4 rejections on 30 people, those with all 4 lately."""
    assert rise_probability(before=(0, 20), lately=(4, 10)) == pytest.approx(comb(10, 4) / comb(30, 4))


def test_a_split_is_the_two_sided_binomial_test() -> None:
    for larger in range(9):
        for smaller in range(larger + 1):
            expected = binomtest(larger, larger + smaller, 0.5).pvalue if larger else 1.0
            assert split_probability(larger, smaller) == pytest.approx(float(expected))


def test_what_makes_no_sense_is_refused() -> None:
    for refused in (
        lambda: fewest_failures(3, slip=0.0, probability=0.01),
        lambda: fewest_failures(3, slip=0.1, probability=0.0),
        lambda: failure_probability(-1, 0, slip=0.1),
        lambda: rise_probability(before=(3, 2), lately=(0, 1)),
        lambda: split_probability(1, 2),
    ):
        with pytest.raises(ValueError, match=r"\d"):
            refused()
