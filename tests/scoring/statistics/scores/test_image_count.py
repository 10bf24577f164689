import itertools

import numpy as np
import pytest

from scoring.consistency import pairwise_similarities, semantic_consistency_score
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.scores.image_count import agreement_by_images, scores_by_images
from tests.scoring.statistics.reading import bounds, value

MANY = Resampling(resamples=2000, seed=1)


def study(comparisons: int, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    shift = rng.uniform(0, 0.6, (2, comparisons, 1, 1))
    return *(rng.standard_normal((2, comparisons, images, 6)) + shift), rng.choice((1, -1), comparisons)


def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([pairwise_similarities(x) - pairwise_similarities(y) for x, y in zip(a, b, strict=True)])


def test_equals_scoring_every_subset() -> None:
    a, b, people = study(6, 5)
    result = agreement_by_images(people, between(a, b), resampling=MANY)
    assert [at.images for at in result] == [2, 3, 4, 5]
    whole = [np.sign(semantic_consistency_score(x) - semantic_consistency_score(y)) for x, y in zip(a, b, strict=True)]
    for at in result:
        winners = [
            [
                np.sign(semantic_consistency_score(x[list(kept)]) - semantic_consistency_score(y[list(kept)]))
                for x, y in zip(a, b, strict=True)
            ]
            for kept in itertools.combinations(range(5), at.images)
        ]
        assert value(at.agreement) == pytest.approx(np.mean(np.array(winners) == people), abs=0.02)
        assert value(at.same_winner) == pytest.approx(np.mean(np.array(winners) == whole), abs=0.02)


def test_all_images_are_one_subset() -> None:
    a, b, people = study(8, 4)
    last = agreement_by_images(people, between(a, b), resampling=MANY)[-1]
    assert (last.same_winner.value, last.same_winner.reason) == (1, "all subsets equal")
    assert last.agreement.low is None


def test_more_images_name_the_same_winner_more_often() -> None:
    a, b, people = study(60, 12)
    result = agreement_by_images(people, between(a, b), resampling=Resampling(resamples=300, seed=2))
    kept = [value(at.same_winner) for at in result]
    assert kept == sorted(kept)
    low, high = bounds(result[0].same_winner)
    assert low < kept[0] < high
    assert "300 subsets" in result[0].same_winner.method


def test_many_comparisons_are_taken_in_portions() -> None:
    a, b, people = study(30, 6)
    pairs = np.tile(between(a, b), (40, 1, 1))
    few, many = (agreement_by_images(np.tile(people, times), pairs[: 30 * times], resampling=MANY) for times in (1, 40))
    assert [value(at.agreement) for at in many] == pytest.approx([value(at.agreement) for at in few])


def test_renaming_the_models_changes_nothing() -> None:
    a, b, people = study(9, 5)
    there = agreement_by_images(people, between(a, b), resampling=MANY)
    assert agreement_by_images(-people, between(b, a), resampling=MANY) == there


def test_what_does_not_fit_is_refused_and_nothing_is_nothing() -> None:
    assert agreement_by_images([], np.zeros((0, 4, 4)), resampling=MANY) == ()
    with pytest.raises(ValueError, match="as many square matrices"):
        agreement_by_images([1], np.zeros((2, 4, 4)), resampling=MANY)


# --- scores ---------------------------------------------------------------------------------------
def similarities(sets: np.ndarray) -> np.ndarray:
    return np.array([pairwise_similarities(rows) for rows in sets])


def test_scores_equal_those_of_every_subset() -> None:
    a, _, _ = study(6, 5)
    whole = np.array([semantic_consistency_score(rows) for rows in a])
    result = scores_by_images(similarities(a), resampling=MANY)
    assert [at.images for at in result] == [2, 3, 4, 5]
    for at in result:
        scores = np.array(
            [
                [semantic_consistency_score(rows[list(kept)]) for rows in a]
                for kept in itertools.combinations(range(5), at.images)
            ]
        )
        assert value(at.score) == pytest.approx(scores.mean(), abs=0.5)
        assert at.set_error == pytest.approx(np.sqrt(((scores - whole) ** 2).mean()), rel=0.05, abs=1e-9)
    assert value(result[-1].score) == pytest.approx(whole.mean())
    assert result[-1].set_error == pytest.approx(0, abs=1e-9)
    assert result[-1].score.low is None


def test_the_mean_score_stays_and_its_error_shrinks() -> None:
    a, _, _ = study(60, 12)
    result = scores_by_images(similarities(a), resampling=Resampling(resamples=300, seed=2))
    errors = [at.set_error for at in result]
    assert errors == sorted(errors, reverse=True)
    assert [value(at.score) for at in result] == pytest.approx([value(result[-1].score)] * 11, abs=1)
    low, high = bounds(result[0].score)
    assert low < value(result[0].score) < high


def test_scores_without_square_matrices_are_refused_and_nothing_is_nothing() -> None:
    assert scores_by_images(np.zeros((0, 4, 4)), resampling=MANY) == ()
    with pytest.raises(ValueError, match="square matrices"):
        scores_by_images(np.zeros((2, 4, 3)), resampling=MANY)
