"""The score against its definition: a plain double loop over pairs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import consistency
from scoring.consistency import (
    contributions,
    pairwise_similarities,
    semantic_consistency_score,
)

TABLE = [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]


def by_double_loop(rows: Sequence[Sequence[float]]) -> float:
    norms = [math.sqrt(math.fsum(x * x for x in row)) for row in rows]
    total, pairs = 0.0, 0
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            product = math.fsum(x * y for x, y in zip(rows[i], rows[j], strict=True))
            total += max(100 * product / (norms[i] * norms[j]), 0)
            pairs += 1
    return total / pairs


def embeddings_at(seed: int, n: int, d: int, shift: float, scale: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return ((rng.standard_normal((n, d)) + shift) * scale).astype(np.float32)


@pytest.mark.parametrize(
    ("n", "d", "shift", "scale"),
    [
        (2, 3, 0.0, 1.0),
        (20, 512, 0.5, 1.0),
        (3, 2, 0.0, 1.0),
        (40, 2, 0.0, 1.0),  # half of the pairs are clamped
        (100, 16, 0.1, 1e18),
        (20, 5, 0.3, 1e-20),
        (120, 64, 1.0, 1e3),
    ],
)
def test_equals_the_double_loop(n: int, d: int, shift: float, scale: float) -> None:
    rows = embeddings_at(n + d, n, d, shift, scale)
    assert semantic_consistency_score(rows) == pytest.approx(by_double_loop(rows.tolist()), abs=1e-9)


def test_equals_the_table() -> None:
    assert semantic_consistency_score(TABLE) == pytest.approx(47.1405, abs=5e-5)


def test_pairs_below_zero_count_as_zero() -> None:
    assert semantic_consistency_score([(1, 0), (-1, 0)]) == 0
    assert semantic_consistency_score([(1, 0), (-1, 0), (-2, 0)]) == pytest.approx(100 / 3)


def test_equal_directions_score_exactly_one_hundred_at_most() -> None:
    rows = np.outer(np.arange(1, 30), embeddings_at(5, 1, 77, 0.0)[0])
    score = semantic_consistency_score(rows)
    assert score <= 100
    assert score == pytest.approx(100, abs=1e-9)


@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 12))
def test_identity_of_the_mean_vector_where_nothing_is_clamped(seed: int, n: int, d: int) -> None:
    rows = np.abs(np.random.default_rng(seed).standard_normal((n, d))) + 0.01
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    assert semantic_consistency_score(rows) == pytest.approx(100 * (n * mean @ mean - 1) / (n - 1), abs=1e-9)


@given(st.integers(0, 10_000), st.integers(3, 12), st.permutations(range(3)))
def test_neither_order_nor_length_of_the_rows_matters(seed: int, n: int, order: list[int]) -> None:
    rows = embeddings_at(seed, n, 3, 0.2).astype(np.float64)
    lengths = np.random.default_rng(seed).uniform(0.1, 10, (n, 1))
    moved = (rows * lengths)[::-1][:, order]
    assert semantic_consistency_score(moved) == pytest.approx(semantic_consistency_score(rows), abs=1e-9)


def test_extreme_lengths_of_float64_rows_do_not_overflow() -> None:
    rows = np.array([(1e300, 0), (1e300, 1e300), (0, 5e-320)])
    assert semantic_consistency_score(rows) == pytest.approx(47.1405, abs=5e-5)


def test_similarities_of_pairs() -> None:
    similarities = pairwise_similarities(embeddings_at(1, 25, 6, 0.0))
    assert similarities.shape == (25, 25)
    assert similarities.dtype == np.float64
    assert not similarities.diagonal().any()
    np.testing.assert_array_equal(similarities, similarities.T)
    assert 0 <= similarities.min() <= similarities.max() <= 100


def test_contributions_are_scores_with_and_without() -> None:
    rows = embeddings_at(2, 9, 4, 0.2)
    whole = by_double_loop(rows.tolist())
    expected = [whole - by_double_loop(np.delete(rows, i, axis=0).tolist()) for i in range(9)]
    np.testing.assert_allclose(contributions(rows), expected, atol=1e-9)


def test_contributions_follow_their_closed_form_and_add_up_to_zero() -> None:
    rows = embeddings_at(3, 7, 5, 0.4)
    mean_similarity = pairwise_similarities(rows).sum(axis=1) / 6
    expected = 2 * (mean_similarity - semantic_consistency_score(rows)) / 5
    np.testing.assert_allclose(contributions(rows), expected, atol=1e-9)
    assert contributions(rows).sum() == pytest.approx(0, abs=1e-9)


def test_the_odd_one_out_contributes_least() -> None:
    rows = np.vstack([np.tile((1.0, 0.1, 0.0), (5, 1)), (0.0, 0.0, 1.0)])
    assert contributions(rows).argmin() == 5


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "at least two"),
        ([(1.0, 2.0)], "at least two"),
        ([1.0, 2.0], "at least two"),
        ([[(1.0,)], [(2.0,)]], "at least two"),
        ([(1.0, 2.0), (0.0, 0.0)], "zeros"),
        ([(), ()], "zeros"),
        ([(1.0, math.nan), (1.0, 1.0)], "finite"),
        ([(1.0, math.inf), (1.0, 1.0)], "finite"),
    ],
)
def test_refuses_what_has_no_score(rows: Any, sentence: str) -> None:
    for function in (semantic_consistency_score, pairwise_similarities, contributions):
        with pytest.raises(ValueError, match=sentence):
            function(rows)


def test_two_images_cannot_spare_one() -> None:
    assert semantic_consistency_score(TABLE[:2]) == 0
    with pytest.raises(ValueError, match="at least three"):
        contributions(TABLE[:2])


def test_costs_one_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    products = []

    class Counted(np.ndarray):
        def __matmul__(self, other: Any) -> Any:
            products.append((self.shape, other.shape))
            return np.asarray(self) @ np.asarray(other)

    directions = consistency._directions
    monkeypatch.setattr(consistency, "_directions", lambda rows: directions(rows).view(Counted))
    contributions(embeddings_at(6, 10, 4, 0.1))
    assert products == [((10, 4), (4, 10))]


def test_the_callers_embeddings_stay_as_they_are() -> None:
    rows = embeddings_at(7, 5, 3, 0.2).astype(np.float64)
    before = rows.copy()
    contributions(rows)
    np.testing.assert_array_equal(rows, before)
