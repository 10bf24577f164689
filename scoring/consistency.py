"""The Semantic Consistency Score of a set of images, from their embeddings. Pure NumPy.

Source: Bent (2024), "Semantic Approach to Quantifying the Consistency of Diffusion Model Image Generation",
arXiv:2404.08799.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_GREATEST = 100.0  # the score of a set whose images are all alike


def semantic_consistency_score(embeddings: ArrayLike) -> float:
    """Return how similar the images of a set are: the mean over all pairs i < j of max(100 cos(e_i, e_j), 0).

    embeddings: (n, d), one row for each image, n >= 2; rows need not be normalised. Computed in float64.
    Returns a number from 0 (nothing in common) to 100 (all the same direction).
    Raises ValueError for fewer than two rows, a row of zeros, or a value that is not finite.

    >>> round(semantic_consistency_score([(1, 0), (0, 1), (1, 1)]), 4)
    47.1405
    """
    return _mean_of_pairs(pairwise_similarities(embeddings))


def pairwise_similarities(embeddings: ArrayLike) -> Matrix:
    """Return the similarity max(100 cos, 0) of every two images, 0..100.

    embeddings: (n, d) as for `semantic_consistency_score`, with the same errors.
    Returns an (n, n) symmetric matrix. Its diagonal is zero: an image is never paired with itself, so plain sums
    of rows are sums over the other images.
    """
    directions = _directions(_checked(embeddings))
    similarities: Matrix = directions @ directions.T
    similarities *= _GREATEST
    np.clip(similarities, 0.0, _GREATEST, out=similarities)  # rounding may exceed 100
    np.fill_diagonal(similarities, 0.0)
    return similarities


def contributions(embeddings: ArrayLike) -> Vector:
    """Return what each image adds to the score: the score of the set minus the score of the set without that image.

    embeddings: (n, d) as for `semantic_consistency_score`, with n >= 3.
    Returns (n,), in points of the score: negative for an image that differs from the others. With r_i the mean
    similarity of image i to the others it equals 2 (r_i - score) / (n - 2), so the contributions add up to zero.
    Raises ValueError as `semantic_consistency_score` does, and for two rows, because one image alone has no score.
    """
    similarities = pairwise_similarities(embeddings)
    added: Vector = _mean_of_pairs(similarities) - _scores_without_each(similarities)
    return added


def _checked(embeddings: ArrayLike) -> Matrix:
    rows = np.asarray(embeddings, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"a score needs at least two embeddings as rows of one matrix, not an array {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("an embedding holds a value that is not finite")
    if not rows.any(axis=1).all():
        raise ValueError("an embedding is a row of zeros and has no direction")
    return rows


def _directions(rows: Matrix) -> Matrix:
    """Normalise rows to length one, after dividing by the largest entry so that no square over- or underflows."""
    scaled: Matrix = rows / np.abs(rows).max(axis=1, keepdims=True)
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled


def _mean_of_pairs(similarities: Matrix) -> float:
    n = len(similarities)
    return float(similarities.sum()) / (n * (n - 1))


def _scores_without_each(similarities: Matrix) -> Vector:
    """Return the n scores of the sets without one image, from row sums, without another matrix product."""
    n = len(similarities)
    if n < 3:
        raise ValueError("with two images there is no score without one of them: at least three are needed")
    row_sums: Vector = similarities.sum(axis=1)
    scores: Vector = (row_sums.sum() - 2 * row_sums) / ((n - 1) * (n - 2))
    return scores
