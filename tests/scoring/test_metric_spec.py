"""Computed metrics by their names: against vendi-score, against the formulas, and each wrong name in words."""

import numpy as np
import pytest
from vendi_score import vendi

from scoring.metric_spec import named_functional, score_of_embeddings, score_of_pairs
from scoring.set_metrics import FUNCTIONALS, gaussian_kernel

# The package reaches for an old name of SciPy.
pytestmark = pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")
EMBEDDINGS = np.random.default_rng(5).normal(size=(12, 7))
DIRECTIONS = EMBEDDINGS / np.linalg.norm(EMBEDDINGS, axis=1, keepdims=True)
COSINES = DIRECTIONS @ DIRECTIONS.T


@pytest.mark.parametrize("order", [0.5, 1, 2, 5])
@pytest.mark.parametrize("size", [2, 7, 12])
def test_vendi_is_that_of_its_authors_package(order: float, size: int) -> None:
    ours = score_of_embeddings(f"vendi:order={order}", EMBEDDINGS[:size])
    assert ours == pytest.approx(vendi.score_K(COSINES[:size, :size], q=order), abs=1e-6)
    assert ours == pytest.approx(vendi.score_dual(DIRECTIONS[:size], q=order), abs=1e-6)


def test_vendi_of_a_gaussian_kernel_is_that_of_distances_of_directions() -> None:
    distances = np.linalg.norm(DIRECTIONS[:, np.newaxis] - DIRECTIONS, axis=2)
    kernel = gaussian_kernel((distances + distances.T) / 2, bandwidth=0.8)
    expected = vendi.score_K(kernel)
    assert score_of_embeddings("vendi:bandwidth=0.8", EMBEDDINGS) == pytest.approx(expected, abs=1e-6)
    assert score_of_pairs("vendi:bandwidth=0.8", COSINES, distances) == pytest.approx(expected, abs=1e-6)


def test_means_medoids_pairs_and_quantiles_are_of_100_times_the_cosine() -> None:
    pairs = 100 * COSINES[np.triu_indices(12, 1)]
    assert score_of_embeddings("scs", EMBEDDINGS) == pytest.approx(np.maximum(pairs, 0).mean())
    assert score_of_embeddings("mean_of_pairs", EMBEDDINGS) == pytest.approx(pairs.mean())
    assert score_of_embeddings("worst_pair", EMBEDDINGS) == pytest.approx(pairs.min())
    assert score_of_embeddings("quantile:share=0.1", EMBEDDINGS) == pytest.approx(np.quantile(pairs, 0.1))
    medoid = (COSINES.sum(axis=1) - 1).argmax()
    expected = 100 * (1 - np.delete(COSINES[medoid], medoid).mean())
    assert score_of_embeddings("distance_to_medoid", EMBEDDINGS) == pytest.approx(expected)


def test_a_name_has_the_direction_and_the_seed_noise_of_its_functional() -> None:
    for name in ("mean_of_pairs", "distance_to_medoid", "worst_pair", "vendi", "effective_rank"):
        functional = named_functional(name)
        assert functional is not None
        known = FUNCTIONALS[name]
        assert functional.higher_is_more_consistent == known.higher_is_more_consistent
        assert functional.jackknife == known.jackknife
    assert named_functional("own:mine") is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("vendy", '"vendy" is no metric that is computed here; known are scs'),
        ("own:", '"own:" is no metric'),
        ("vendi:q=2", "vendi takes order=NUMBER and bandwidth=NUMBER"),
        ("vendi:order=2,order=3", "takes order"),
        ("vendi:order=-1", "a number from zero up, not -1"),
        ("vendi:bandwidth=0", "a positive number, not 0"),
        ("worst_pair:share=1", "worst_pair takes no parameters"),
    ],
)
def test_a_wrong_name_is_explained(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        named_functional(name)


def test_clamped_cosines_are_no_kernel() -> None:
    with pytest.raises(ValueError, match="not positive semidefinite"):
        score_of_pairs("vendi", np.maximum(np.array([(1, 0.9, 0), (0.9, 1, 0.9), (0, 0.9, 1)]), 0))
    with pytest.raises(ValueError, match="from embeddings and not from similarities"):
        score_of_pairs("effective_rank", COSINES)
    with pytest.raises(ValueError, match="computed from distances, and these are similarities"):
        score_of_pairs("vendi:bandwidth=1", COSINES)
