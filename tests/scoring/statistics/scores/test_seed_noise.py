from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, t

from scoring.consistency import pairwise_similarities, semantic_consistency_score
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.scores.seed_noise import (
    CLEAR,
    agreement_where_clear,
    agreement_with_fresh_seeds,
    fresh_seeds,
    seed_noise,
)
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
    without = [semantic_consistency_score(np.delete(a, image, axis=0)) for image in range(12)]
    assert seed_noise(pairwise_similarities(a), np.zeros((12, 12)), resampling=FEW).standard_error == pytest.approx(
        np.sqrt(11 * np.var(without))
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


# --- fresh seeds --------------------------------------------------------------------------------
MARGINS = np.array([4.0, -1.0, 2.5, 0.5, 6.0])


def test_the_chance_of_another_winner_by_its_formula() -> None:
    """Equal standard errors are pooled, and the formula is that of one noise for all."""
    error = 2.0
    between = MARGINS.var(ddof=1) - error**2
    kept = between / (between + error**2)
    centre = MARGINS.mean() + kept * (MARGINS - MARGINS.mean())
    expected = norm.cdf(-np.sign(MARGINS) * centre / (error * np.sqrt(1 + kept)))
    found = fresh_seeds(MARGINS, np.full(5, error), seeds=20)
    assert found.other_winner == pytest.approx(expected)
    assert (found.mean, found.spread) == pytest.approx((2.4, np.sqrt(between)))
    assert found.other_winner[1] > 0.5  # a margin against the others: a fresh draw is likely to name their model


def test_margins_that_differ_by_noise_only_all_have_the_same_chance() -> None:
    found = fresh_seeds([3.0, 3.0, 3.0], [2.0, 2.0, 2.0], seeds=10)
    assert (found.spread, found.kept.tolist()) == (0, [0, 0, 0])
    assert found.other_winner == pytest.approx(norm.cdf(-1.5))


def test_without_noise_a_fresh_draw_names_the_same_winner_and_with_noise_a_tie_is_broken() -> None:
    assert fresh_seeds([1.0, 0.0, -1.0], np.zeros(3), seeds=5).other_winner.tolist() == [0, 0, 0]
    assert fresh_seeds([1.0, 1.0, 1.0], np.zeros(3), seeds=5).other_winner.tolist() == [0, 0, 0]
    assert fresh_seeds([1.0, 0.0, -1.0], np.ones(3), seeds=5).other_winner[1] == 1


def test_exchanging_the_models_and_the_order_leaves_the_chances() -> None:
    errors = np.array([1.0, 2.0, 0.5, 1.5, 3.0])
    there, back = fresh_seeds(MARGINS, errors, seeds=12), fresh_seeds(-MARGINS[::-1], errors[::-1], seeds=12)
    assert back.other_winner[::-1] == pytest.approx(there.other_winner)


def test_fresh_seeds_need_margins_that_fit() -> None:
    for margins, errors, seeds in (
        ([1.0, 2.0], [1.0, 1.0], 20),
        ([1.0, 2.0, 3.0], [1.0, 1.0], 20),
        ([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], 2),
    ):
        with pytest.raises(ValueError, match="3 or more comparisons"):
            fresh_seeds(margins, errors, seeds=seeds)
    with pytest.raises(ValueError, match="finite"):
        fresh_seeds([1.0, 2.0, np.nan], [1.0, 1.0, 1.0], seeds=20)
    with pytest.raises(ValueError, match="finite"):
        fresh_seeds([1.0, 2.0, 3.0], [1.0, 1.0, -1.0], seeds=20)


@pytest.mark.parametrize(
    ("unevenness", "flat_mean"), [(0.0, 0.24), (0.6, 0.2)], ids=["equally noisy prompts", "unequally noisy prompts"]
)
def test_the_chances_are_true_on_average_and_clear_means_at_most_one_in_twenty(
    unevenness: float, flat_mean: float
) -> None:
    """Fresh draws name another winner in .312 of the comparisons if all are equally noisy; the flat prior says .24."""
    rng, seeds, true, said, flat = np.random.default_rng(4), 20, [], [], []
    spread = np.sqrt(np.cos(0.312 * np.pi) / (1 - np.cos(0.312 * np.pi)))  # two draws differ in arccos(r) / pi
    for _ in range(150):
        noise = np.exp(rng.normal(0, unevenness, 100))
        noise /= np.sqrt((noise**2).mean())
        theta = rng.normal(0, spread, 100)
        seen, *others = (theta + noise * rng.normal(size=100) for _ in range(6))
        errors = noise * np.sqrt(rng.chisquare(seeds - 1, 100) / (seeds - 1))
        said.append(fresh_seeds(seen, errors, seeds=seeds).other_winner)
        flat.append(norm.cdf(-np.abs(seen) / (np.sqrt(2) * errors)))
        true.append(np.mean([np.sign(seen) != np.sign(other) for other in others], axis=0))
    flips, chances = np.array(true), np.array(said)
    if not unevenness:
        assert flips.mean() == pytest.approx(0.312, abs=0.01)
    assert chances.mean() == pytest.approx(flips.mean(), abs=0.035 if unevenness else 0.006)
    assert np.mean(flat) == pytest.approx(flat_mean, abs=0.02)
    assert flips[chances <= CLEAR].mean() < 0.06  # of 130 comparisons in the first case


# --- the agreement with fresh seeds -------------------------------------------------------------
def pairs_of(seed: int, comparisons: int, seeds: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    between = rng.normal(0.1, 1.0, (comparisons, seeds, seeds))
    between += between.transpose(0, 2, 1)
    between[:, np.arange(seeds), np.arange(seeds)] = 0
    return between


def test_the_agreement_is_the_observed_one_and_its_bounds_follow_from_joint_resamples() -> None:
    between, people = pairs_of(1, 12, 6), np.array([1, -1] * 6)
    rng, agreements = np.random.default_rng(FEW.seed), []
    for drawn in rng.integers(0, 6, size=(FEW.resamples, 6)):
        pairs = [(i, j) for i in drawn for j in drawn if i != j]
        margins = [np.mean([table[pair] for pair in pairs]) for table in between]
        agreements.append(np.mean(np.sign(margins) == people))
    found = agreement_with_fresh_seeds(people, between, ties="strict", resampling=FEW)
    seen = np.mean(np.sign(between.sum(axis=(1, 2))) == people)
    reach = t.ppf(0.975, 5) * np.sqrt(2) * np.std(agreements)
    assert value(found) == pytest.approx(seen)
    assert bounds(found) == pytest.approx((max(0, seen - reach), min(1, seen + reach)))


def test_an_agreement_that_no_seed_changes_has_no_bounds() -> None:
    alike = np.stack([5 * (1 - np.eye(4)), -5 * (1 - np.eye(4))])
    found = agreement_with_fresh_seeds([1, 1], alike, ties="strict", resampling=FEW)
    assert (found.value, found.low, found.reason) == (0.5, None, "all resamples equal")
    nobody = agreement_with_fresh_seeds([0, 0], alike, ties="dropped", resampling=FEW)
    assert (nobody.value, nobody.reason) == (None, "no comparison that both decide")


def test_ties_count_by_the_endpoint_in_the_agreement_with_fresh_seeds() -> None:
    alike = np.stack([5 * (1 - np.eye(4))] * 2)
    shares = [agreement_with_fresh_seeds([1, 0], alike, ties=ties, resampling=FEW).value for ties in ("strict", "half")]
    assert shares == [0.5, 0.75]


def test_the_agreement_with_fresh_seeds_needs_square_matrices_that_fit() -> None:
    for shape in ((1, 4, 4), (2, 4, 3), (2, 2, 2), (2, 4)):
        with pytest.raises(ValueError, match="square matrices"):
            agreement_with_fresh_seeds([1, 1], np.zeros(shape), ties="strict", resampling=FEW)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("comparisons", "seeds", "shared"), [(100, 20, 0.0), (100, 20, 0.8), (30, 20, 0.3), (10, 8, 0.3)]
)
def test_the_bounds_hold_the_agreement_of_a_fresh_draw(comparisons: int, seeds: int, shared: float) -> None:
    """Embeddings around a centre for each prompt and model; `shared`: the part of a seed's noise common to prompts."""
    rng, covered, chances, flips = np.random.default_rng(2), [], [], []
    for _ in range(150):
        spreads = np.exp(rng.normal(-0.5, 0.3, comparisons) + rng.normal(0, 0.15, (2, comparisons)))
        centres = rng.normal(size=(2, comparisons, 1, 12)) * 0.6

        def draw(spreads: np.ndarray = spreads, centres: np.ndarray = centres) -> np.ndarray:
            own, common = rng.normal(size=(2, comparisons, seeds, 12)), rng.normal(size=(2, 1, seeds, 12))
            noise = np.sqrt(1 - shared) * own + np.sqrt(shared) * common
            made = centres + spreads[:, :, np.newaxis, np.newaxis] * noise
            made /= np.linalg.norm(made, axis=-1, keepdims=True)
            alike = np.clip(100 * made @ made.swapaxes(-1, -2), 0, None) * (1 - np.eye(seeds))
            return np.asarray(alike[0] - alike[1])

        people = np.where(rng.random(comparisons) < 0.9, 1, -1) * np.where(spreads[0] < spreads[1], 1, -1)
        between = draw()
        found = agreement_with_fresh_seeds(people, between, ties="strict", resampling=FEW)
        noise = [seed_noise(table, np.zeros((seeds, seeds)), resampling=FEW) for table in between]
        margins = np.array([value(one.margin) for one in noise])
        errors = np.array([one.standard_error for one in noise], dtype=np.float64)
        chances.append(fresh_seeds(margins, errors, seeds=seeds).other_winner.mean())
        for _ in range(4):
            signs = np.sign(draw().sum(axis=(1, 2)))
            flips.append(np.mean(signs != np.sign(margins)))
            low, high = bounds(found) if found.low is not None else (value(found), value(found))
            covered.append(low - 1e-9 <= np.mean(signs == people) <= high + 1e-9)
    assert 0.93 <= np.mean(covered) <= 0.99
    assert np.mean(chances) == pytest.approx(np.mean(flips), abs=0.03)
