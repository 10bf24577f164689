"""Seed noise and smaller sets of any metric of a set: against the formulas for means, and against fresh draws."""

from functools import partial

import numpy as np
import pytest

from scoring.metric_spec import score_of_matrix
from scoring.set_metrics import cosine_similarities
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.scores.seed_noise import fresh_seeds, seed_noise
from scoring.statistics.scores.set_noise import set_noise, with_fewer_images
from scoring.statistics.votes.counts import Floats

MEAN = partial(score_of_matrix, "mean_of_pairs")
VENDI = partial(score_of_matrix, "vendi")


def drawn(rng: np.random.Generator, spreads: Floats, images: int) -> Floats:
    """(m, N, N) cosines of sets whose images scatter around one direction, each set with its own spread."""
    sets = []
    for spread in spreads:
        embeddings = rng.normal(size=(images, 12)) * spread
        embeddings[:, 0] += 1
        sets.append(cosine_similarities(embeddings))
    return np.array(sets)


def test_of_a_mean_it_is_the_jackknife_of_the_quick_formula() -> None:
    rng = np.random.default_rng(5)
    a, b = (drawn(rng, rng.uniform(0.2, 0.4, 9), 8) for _ in range(2))
    others = 100 * (1 - np.eye(8))
    quick = [seed_noise(x * others, y * others, resampling=Resampling(resamples=50)) for x, y in zip(a, b, strict=True)]
    margins, errors = np.array([(row.margin.value, row.standard_error) for row in quick], dtype=np.float64).T
    expected = fresh_seeds(margins, errors, seeds=8).other_winner
    found = set_noise(MEAN, a, b, is_lower=False)
    assert found.other_winners == pytest.approx(expected.mean())
    assert found.doubtful == (expected > 0.05).sum()
    assert set_noise(MEAN, a, b, is_lower=True).other_winners == pytest.approx(found.other_winners)


def test_the_chance_of_another_winner_is_that_of_fresh_draws_by_vendi() -> None:
    rng = np.random.default_rng(6)
    m, images = 120, 10
    spread_a, spread_b = rng.uniform(0.25, 0.35, (2, m))
    first, again = ([(drawn(rng, spread_a, images), drawn(rng, spread_b, images)) for _ in range(4)] for _ in range(2))
    told = np.mean([set_noise(VENDI, a, b, is_lower=True).other_winners for a, b in first])

    def winners(a: Floats, b: Floats) -> Floats:
        return np.array([VENDI(one) < VENDI(other) for one, other in zip(a, b, strict=True)])

    changed = np.mean([winners(*one) != winners(*other) for one, other in zip(first, again, strict=True)])
    assert 0.1 < changed < 0.5
    assert told == pytest.approx(changed, abs=0.05)


def test_smaller_sets_lose_certainty_and_the_whole_set_is_itself() -> None:
    rng = np.random.default_rng(7)
    a, b = drawn(rng, np.full(30, 0.2), 9), drawn(rng, np.full(30, 0.3), 9)
    people = np.ones(30)
    rows = with_fewer_images(VENDI, people, a, b, sizes=[2, 5, 9], subsets=8, seed=1, is_lower=True)
    assert [row.images for row in rows] == [2, 5, 9]
    assert (rows[-1].same_winner, rows[-1].margin_error) == (1.0, 0.0)
    assert rows[0].same_winner <= rows[1].same_winner <= 1
    assert rows[0].margin_error > rows[1].margin_error > 0
    by_hand = np.mean([VENDI(one) < VENDI(other) for one, other in zip(a, b, strict=True)])
    assert rows[-1].agreement == by_hand
    again = with_fewer_images(VENDI, people, a, b, sizes=[2, 5, 9], subsets=8, seed=1, is_lower=True)
    assert again == rows


def test_too_little_is_said_and_nonsense_refused() -> None:
    alike = np.full((3, 3, 3), 0.5)
    assert set_noise(MEAN, alike, alike, is_lower=False).reason == "fewer than 4 images in a set"
    assert set_noise(MEAN, alike[:2], alike[:2], is_lower=False).reason == "fewer than 3 comparisons with images"
    with pytest.raises(ValueError, match="square matrices of one size"):
        set_noise(MEAN, alike, alike[:, :2, :2], is_lower=False)
    with pytest.raises(ValueError, match=r"subsets of \[4\] of 3 images"):
        with_fewer_images(MEAN, [1, 1, 1], alike, alike, sizes=[4], subsets=1, seed=1, is_lower=False)
