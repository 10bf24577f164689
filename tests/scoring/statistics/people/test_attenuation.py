from typing import Any

import numpy as np
import pytest
from scipy import integrate, special, stats

from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.people.attenuation import attenuation, greatest_agreement
from tests.scoring.statistics.reading import bounds, value

FEW = Resampling(resamples=200, seed=1)


def counts_of(a: Any, k: Any) -> np.ndarray:
    return np.column_stack([a, np.asarray(k) - a, np.zeros_like(a)])


@pytest.mark.parametrize(
    ("mean", "correlation", "votes", "expected"),
    [
        (0.8, 0, 3, 0.896),
        (0.2, 0, 5, 0.942),
        (0.5, 1 / 3, 3, 0.8125),
        (0.5, 1 / 3, 5, 0.8437),
        (0.3, 1, 4, 1.0),
    ],
)
def test_published_values(mean: float, correlation: float, votes: int, expected: float) -> None:
    assert greatest_agreement(mean=mean, correlation=correlation, votes=votes) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 1.0), (0.4, 0.3), (30.0, 20.0)])
@pytest.mark.parametrize("votes", [1, 2, 4, 5, 9])
def test_closed_form_equals_quadrature(alpha: float, beta: float, votes: int) -> None:
    def best(p: float) -> float:
        least = votes // 2
        return float(max(stats.binom.sf(least, votes, p), stats.binom.sf(least, votes, 1 - p)))

    weighed, _ = integrate.quad(best, 0, 1, weight="alg", wvar=(alpha - 1, beta - 1))
    expected = weighed / special.beta(alpha, beta)
    mean, correlation = alpha / (alpha + beta), 1 / (1 + alpha + beta)
    assert greatest_agreement(mean=mean, correlation=correlation, votes=votes) == pytest.approx(expected, abs=1e-5)


def test_the_limits_are_continuous() -> None:
    near = greatest_agreement(mean=[0.8, 0.8], correlation=[1e-7, 1 - 1e-7], votes=5)
    at = greatest_agreement(mean=[0.8, 0.8], correlation=[0, 1], votes=5)
    np.testing.assert_allclose(near, at, atol=1e-5)


@pytest.mark.parametrize("votes", [1, 3, 25, 101])
@pytest.mark.parametrize("mean", [0.1, 0.5, 0.62])
def test_a_correlation_of_rounding_is_none(mean: float, votes: int) -> None:
    at_zero = greatest_agreement(mean=mean, correlation=0, votes=votes)
    almost = greatest_agreement(mean=mean, correlation=[10.0**-digits for digits in range(8, 17)], votes=votes)
    np.testing.assert_allclose(almost, at_zero, atol=4e-4)
    almost_one = greatest_agreement(mean=mean, correlation=[1 - 10.0**-digits for digits in range(8, 16)], votes=votes)
    np.testing.assert_allclose(almost_one, 1, atol=1e-4)


def test_a_simulated_study_finds_its_own_limit() -> None:
    rng = np.random.default_rng(0)
    p, k = rng.beta(2, 1, 4000), rng.integers(2, 7, 4000)
    a = rng.binomial(k, p)
    by_size = [greatest_agreement(mean=2 / 3, correlation=1 / 4, votes=votes) for votes in range(2, 7)]
    result = attenuation(counts_of(a, k), resampling=FEW)
    assert value(result) == pytest.approx(np.mean(by_size), abs=0.01)
    low, high = bounds(result)
    assert low < np.mean(by_size) < high
    assert result.n == 4000


def test_votes_less_alike_than_by_chance_have_one_p() -> None:
    result = attenuation([(1, 1, 0), (1, 1, 5), (2, 1, 0)], resampling=FEW)
    mean = (0.5 + 0.5 + 2 / 3) / 3
    limits = [float(greatest_agreement(mean=mean, correlation=0, votes=k)) for k in (2, 2, 3)]
    assert value(result) == pytest.approx(np.mean(limits))


def test_resamples_equal_fitting_each_anew() -> None:
    rng = np.random.default_rng(4)
    counts = rng.multinomial(6, [0.5, 0.3, 0.2], size=20)
    drawn = np.random.default_rng(FEW.seed).integers(0, 20, size=(FEW.resamples, 20))
    anew = [value(attenuation(counts[row], resampling=Resampling(resamples=1))) for row in drawn]
    assert bounds(attenuation(counts, resampling=FEW)) == pytest.approx(np.quantile(anew, [0.025, 0.975]))


def test_neither_names_nor_order_nor_empty_comparisons_matter() -> None:
    counts = [(5, 1, 0), (2, 2, 1), (0, 4, 0), (3, 0, 0)]
    renamed = [(0, 0, 2), *((b, a, 0) for a, b, _ in reversed(counts))]
    assert attenuation(renamed, resampling=FEW).value == pytest.approx(attenuation(counts, resampling=FEW).value)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ([], "no comparison has two votes for A or B"),
        ([(1, 0, 0), (0, 1, 4)], "no comparison has two votes for A or B"),
        ([(3, 0, 0), (2, 0, 1)], "all votes are equal"),
    ],
)
def test_undefined_says_why(counts: Any, reason: str) -> None:
    assert attenuation(counts, resampling=FEW).reason == reason


def test_comparisons_that_are_unanimous_for_either_model_set_no_limit() -> None:
    assert attenuation([(3, 0, 0), (0, 3, 0), (3, 0, 0)], resampling=FEW).value == 1


@pytest.mark.parametrize("wrong", [{"mean": 0}, {"mean": 1}, {"correlation": -0.1}, {"correlation": 1.1}])
def test_impossible_distributions_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        greatest_agreement(**{"mean": 0.5, "correlation": 0.5, "votes": 3, **wrong})


def test_votes_that_agree_by_chance_have_a_limit_that_is_a_share() -> None:
    """Some resamples of these counts have a correlation of 1e-16 instead of 0."""
    counts = [(0, 2, 1), (1, 2, 0), (2, 1, 0), (0, 2, 1), (1, 2, 0), (1, 2, 0)]
    low, high = bounds(attenuation(counts, resampling=Resampling(resamples=2000, seed=1)))
    assert 0 <= low <= high <= 1
