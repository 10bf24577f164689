"""Metrics of a set: the authors' numbers, published definitions, each way to compute them, and sets without spread."""

import math

import numpy as np
import pytest

from scoring.consistency import semantic_consistency_score
from scoring.set_metrics import (
    FUNCTIONALS,
    cosine_similarities,
    distance_to_medoid,
    effective_rank,
    gaussian_kernel,
    mean_of_pairs,
    metrics_of_embeddings,
    quantile_of_pairs,
    vendi_score,
    vendi_score_of_embeddings,
    worst_pair,
)

SHAPES = [(2, 5), (7, 3), (30, 64), (64, 30)]


def drawn(shape: tuple[int, int], seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape) + 0.5


def test_vendi_of_published_cases() -> None:
    blocks = np.kron(np.eye(2), np.ones((3, 3)))
    for order in (0, 0.5, 1, 2, math.inf):
        assert vendi_score(np.eye(6), order=order) == pytest.approx(6)
        assert vendi_score(np.ones((6, 6)), order=order) == pytest.approx(1)
        assert vendi_score(blocks, order=order) == pytest.approx(2)


@pytest.mark.parametrize(
    ("order", "score"),
    [(0.5, 3.5240267965086156), (1, 3.1750415699943257), (2, 2.731582513837685), (math.inf, 1.9122599054217748)],
)
def test_vendi_is_that_of_the_authors_package(order: float, score: float) -> None:
    """From `score_K` of vendi-score 0.0.3, which is not installed: it warns with the SciPy of today. Of order 0.5 it
    counts the eigenvalues that are rounding, with roots near 1e-8 each."""
    tolerance = 1e-6 if order < 1 else 1e-12
    assert vendi_score(cosine_similarities(drawn((9, 4))), order=order) == pytest.approx(score, rel=tolerance)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_metrics_at_once_are_each_metric(shape: tuple[int, int]) -> None:
    embeddings = drawn(shape)
    cosines, together = cosine_similarities(embeddings), metrics_of_embeddings(embeddings)
    for name, functional in FUNCTIONALS.items():
        alone = functional.compute(embeddings if functional.of == "embeddings" else cosines)
        assert together[name] == pytest.approx(alone, abs=1e-9), name
    assert 100 * together["mean_of_pairs_clamped"] == pytest.approx(semantic_consistency_score(embeddings))


@pytest.mark.parametrize("shape", SHAPES)
def test_definitions_pair_by_pair(shape: tuple[int, int]) -> None:
    embeddings = drawn(shape, seed=8)
    unit = [row / math.sqrt(sum(row**2)) for row in embeddings]
    n = len(unit)
    pairs = sorted(float(unit[i] @ unit[j]) for i in range(n) for j in range(i))
    similarity = cosine_similarities(embeddings)
    assert mean_of_pairs(similarity) == pytest.approx(sum(pairs) / len(pairs))
    assert worst_pair(similarity) == pytest.approx(pairs[0])
    assert quantile_of_pairs(similarity, share=1) == pytest.approx(pairs[-1])
    from_each = [sum(1 - float(unit[i] @ unit[j]) for j in range(n) if j != i) / (n - 1) for i in range(n)]
    assert distance_to_medoid(similarity) == pytest.approx(min(from_each))
    values = np.linalg.svd(embeddings, compute_uv=False)
    shares = values / values.sum()
    assert effective_rank(embeddings) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-9)


def test_directions() -> None:
    """Every metric calls a set of near copies more consistent than a set of strangers."""
    rng = np.random.default_rng(1)
    near = metrics_of_embeddings(np.ones(12) + 0.1 * rng.normal(size=(10, 12)))
    strangers = metrics_of_embeddings(rng.normal(size=(10, 12)))
    for name, functional in FUNCTIONALS.items():
        assert (near[name] > strangers[name]) == functional.higher_is_more_consistent, name


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_copies_of_one_image(scale: float) -> None:
    found = metrics_of_embeddings(scale * np.tile([1.0, -2.0, 3.0], (5, 1)))
    for name in ("mean_of_pairs", "mean_of_pairs_clamped", "worst_pair", "vendi", "effective_rank"):
        assert found[name] == pytest.approx(1), name
    assert found["distance_to_medoid"] == pytest.approx(0)


def test_kernels_that_are_not_semidefinite_are_refused() -> None:
    embeddings = np.random.default_rng(3).normal(size=(20, 4))
    cosines = cosine_similarities(embeddings)
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 0))
    np.fill_diagonal(distances, 0)
    for broken in (np.maximum(cosines, 0), 1 - distances**2):
        with pytest.raises(ValueError, match=r"not positive semidefinite .* take unclamped cosines"):
            vendi_score(broken)
    assert 1 < vendi_score(gaussian_kernel(distances, bandwidth=0.7)) < 20
    assert vendi_score(cosines) == pytest.approx(vendi_score_of_embeddings(embeddings))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((2, 3)), "square matrix"),
        (np.ones((1, 1)), "square matrix"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "not finite"),
        (np.array([[1.0, 0.2], [0.3, 1.0]]), "not symmetric"),
        (np.array([[0.0, 0.2], [0.2, 0.0]]), "ones on its diagonal"),
    ],
)
def test_impossible_kernels_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vendi_score(values)


def test_other_impossible_values_are_refused() -> None:
    with pytest.raises(ValueError, match="from zero up"):
        vendi_score(np.eye(3), order=-1)
    with pytest.raises(ValueError, match="share from 0 to 1"):
        quantile_of_pairs(np.eye(3), share=1.5)
    with pytest.raises(ValueError, match="bandwidth"):
        gaussian_kernel(np.zeros((2, 2)), bandwidth=0)
    with pytest.raises(ValueError, match="never negative"):
        gaussian_kernel(np.eye(2), bandwidth=1)
    with pytest.raises(ValueError, match="not all of them zero"):
        effective_rank([(1, 2), (0, 0)])
    with pytest.raises(ValueError, match="at least two embeddings"):
        effective_rank([(1, 2)])


def test_the_jackknife_holds_where_it_is_said_to() -> None:
    """Eighty sets of 20 images, with the standard error of the first 30 by leaving out each image."""
    rng, scale = np.random.default_rng(0), 1 / np.arange(1, 17) ** 0.7
    centre = np.r_[2.0, np.zeros(15)]
    sets = [centre + rng.normal(size=(20, 16)) * scale * rng.choice([0.6, 1.2], size=(20, 1)) for _ in range(80)]
    left_out = [[metrics_of_embeddings(np.delete(one, i, axis=0)) for i in range(20)] for one in sets[:30]]
    whole = [metrics_of_embeddings(one) for one in sets]
    for name in (name for name, functional in FUNCTIONALS.items() if functional.jackknife):
        variances = [19 * np.var([part[name] for part in parts]) for parts in left_out]
        assert 0.75 <= np.sqrt(np.mean(variances)) / np.std([found[name] for found in whole]) <= 1.25, name
    assert {name for name, functional in FUNCTIONALS.items() if not functional.jackknife} == {
        "worst_pair",
        "lower_quartile",
        "median_of_pairs",
    }
