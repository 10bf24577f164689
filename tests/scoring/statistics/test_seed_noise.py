from typing import Any

import numpy as np
import pytest

from scoring.consistency import jackknife_standard_error, pairwise_similarities, semantic_consistency_score
from scoring.statistics.intervals import Resampling
from scoring.statistics.seed_noise import agreement_where_clear, seed_noise
from tests.scoring.statistics.reading import bounds, value

FEW = Resampling(resamples=300, seed=1)
NOTHING = np.zeros((3, 3))


def images(seed: int, n: int, shift: float) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 8)) + shift


def noise_of(a: np.ndarray, b: np.ndarray, resampling: Resampling = FEW) -> Any:
    return seed_noise(pairwise_similarities(a), pairwise_similarities(b), resampling=resampling)


def test_published_jackknife() -> None:
    table = pairwise_similarities([(1, 0), (0, 1), (1, 1)])
    result = seed_noise(table, NOTHING, resampling=FEW)
    assert value(result.margin) == pytest.approx(47.1405, abs=5e-5)
    assert result.standard_error == pytest.approx(47.1405, abs=5e-5)


def test_the_margin_is_that_of_the_scores() -> None:
    a, b = images(1, 12, 0.8), images(2, 12, 0.5)
    expected = semantic_consistency_score(a) - semantic_consistency_score(b)
    assert value(noise_of(a, b).margin) == pytest.approx(expected)
    assert seed_noise(pairwise_similarities(a), np.zeros((12, 12)), resampling=FEW).standard_error == pytest.approx(
        jackknife_standard_error(a)
    )


def test_resamples_leave_copies_of_a_seed_out() -> None:
    a, b = images(3, 7, 0.6), images(4, 7, 0.6)
    margins = []
    for drawn in np.random.default_rng(FEW.seed).integers(0, 7, size=(FEW.resamples, 7)):
        pairs = [(i, j) for i in drawn for j in drawn if i != j]
        between = pairwise_similarities(a) - pairwise_similarities(b)
        margins.append(np.mean([between[pair] for pair in pairs]))
    result = noise_of(a, b)
    assert bounds(result.margin) == pytest.approx(np.quantile(margins, [0.025, 0.975]))
    observed = np.sign(value(result.margin))
    assert result.flip == pytest.approx(np.mean(np.sign(margins) != observed))


def test_a_naive_bootstrap_would_be_biased_and_ours_is_not() -> None:
    a = images(5, 20, 0.5)
    resampled = seed_noise(pairwise_similarities(a), np.zeros((20, 20)), resampling=Resampling(resamples=3000)).margin
    score = semantic_consistency_score(a)
    assert np.mean(bounds(resampled)) == pytest.approx(score, abs=(100 - score) / 20 / 2)


def test_seeds_are_resampled_jointly() -> None:
    a = images(6, 20, 0.5)
    steady = pairwise_similarities(a)
    lower = steady - 1
    np.fill_diagonal(lower, 0)
    result = seed_noise(steady, lower, resampling=FEW)
    assert value(result.margin) == pytest.approx(1)
    assert result.margin.reason == "all resamples equal"
    assert result.flip == 0


def test_a_clear_margin_never_flips_and_a_small_one_does() -> None:
    assert noise_of(images(7, 20, 3.0), images(8, 20, 0.3)).flip == 0
    assert noise_of(images(9, 20, 0.5), images(10, 20, 0.5)).flip > 0.05


def test_an_observed_tie_flips_whenever_anything_wins() -> None:
    same = images(11, 6, 0.5)
    result = noise_of(same, same)
    assert (result.margin.value, result.flip, result.standard_error) == (0, 0, 0)


def test_exchanging_the_models_turns_the_margin_only() -> None:
    there, back = noise_of(images(1, 9, 0.5), images(2, 9, 0.6)), noise_of(images(2, 9, 0.6), images(1, 9, 0.5))
    assert value(back.margin) == pytest.approx(-value(there.margin))
    assert (back.flip, back.standard_error) == pytest.approx((there.flip, there.standard_error))


def test_two_seeds_are_too_few() -> None:
    result = noise_of(images(1, 2, 0.5), images(2, 2, 0.5))
    assert result.reason == result.margin.reason == "2 seeds are too few to resample"
    assert (result.flip, result.standard_error) == (None, None)


def test_a_seed_drawn_every_time_leaves_no_pair() -> None:
    result = noise_of(images(1, 3, 0.5), images(2, 3, 0.5))
    assert "undefined in" in result.margin.reason
    assert 0 <= result.flip <= 1


def test_matrices_must_fit() -> None:
    with pytest.raises(ValueError, match="two square matrices of one size"):
        seed_noise(NOTHING, np.zeros((4, 4)), resampling=FEW)


def test_agreement_of_clear_comparisons() -> None:
    result = agreement_where_clear([1, 1, -1, 0], [1, -1, -1, 0], [0.0, 0.06, 0.05, 0.9])
    assert (result.value, result.n) == (1, 2)
    assert agreement_where_clear([1], [1], [0.5]).reason == "no comparison"
    with pytest.raises(ValueError, match="one chance"):
        agreement_where_clear([1], [1], [np.nan])
