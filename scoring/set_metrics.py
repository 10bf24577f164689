"""Metrics of a set of images, from its similarities or its embeddings: how each is computed, and which way it points.

Source of the mean of pairs: Bent (2024), arXiv:2404.08799. Of Vendi: Friedman and Dieng (2023), "The Vendi Score: a
diversity evaluation metric for machine learning"; of its order: Pasarkar and Dieng (2024), "Cousins of the Vendi
Score". Of the effective rank: Roy and Vetterli (2007), "The effective rank: a measure of effective dimensionality".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
SetMetric = Callable[[Matrix], float]  # of (N, N) similarities, distances, or a kernel; or of (N, d) embeddings

LEAST_EIGENVALUE = -1e-10  # of a kernel divided by N: below, it is no rounding
_ROUNDING = 1e-8


@dataclass(frozen=True, slots=True)
class Functional:
    """A metric of a set.

    of: what `compute` takes: "similarities" (N, N), "kernel" (N, N; positive semidefinite with ones on the diagonal),
    "distances" (N, N), or "embeddings" (N, d). jackknife: whether leaving out each image in turn gives a valid standard
    error. In simulated sets of 20 and 40 images it was .89 to 1.05 of the true one for the means, the medoid, Vendi and
    the effective rank, and up to 1.39 of it for the worst pair and quantiles, which do not change smoothly with an
    image.
    """

    of: str
    higher_is_more_consistent: bool
    jackknife: bool
    compute: SetMetric


def cosine_similarities(embeddings: ArrayLike) -> Matrix:
    """Return the (N, N) cosines of embeddings (N, d), N >= 2, with ones on the diagonal; not clamped.

    Raises ValueError for fewer than two rows, a row of zeros, and a value that is not finite.

    >>> cosine_similarities([(1, 0), (0, -3)]).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    directions = _directions(embeddings)
    cosines: Matrix = np.clip(directions @ directions.T, -1.0, 1.0)
    np.fill_diagonal(cosines, 1.0)
    return cosines


def gaussian_kernel(distances: ArrayLike, *, bandwidth: float) -> Matrix:
    """Return exp(-d^2 / h^2) of (N, N) distances d and a bandwidth h, in their unit.

    Raises ValueError for a bandwidth that is not positive, and for distances that are no symmetric square matrix.

    >>> gaussian_kernel([(0, 1), (1, 0)], bandwidth=1.0).round(4).tolist()
    [[1.0, 0.3679], [0.3679, 1.0]]
    """
    if not 0 < bandwidth < math.inf:
        raise ValueError(f"the bandwidth of a kernel is a positive number, not {bandwidth}")
    values = _square(distances)
    if (values < 0).any() or np.diagonal(values).any():
        raise ValueError("a distance is never negative, and that of an image from itself is zero")
    with np.errstate(over="ignore"):  # the square of a distance that is far from the bandwidth, whose kernel is 0
        return np.asarray(np.exp(-((values / bandwidth) ** 2)), dtype=np.float64)


def mean_of_pairs(similarities: ArrayLike, *, clamped: bool = False) -> float:
    """Return the mean over all pairs i < j of a similarity. clamped: a negative one counts as zero, as in the SCS.

    >>> mean_of_pairs([(1, -0.5, 1), (-0.5, 1, 0.5), (1, 0.5, 1)]), mean_of_pairs([(1, -0.5), (-0.5, 1)], clamped=True)
    (0.3333333333333333, 0.0)
    """
    pairs = _pairs(_square(similarities))
    return float((np.maximum(pairs, 0.0) if clamped else pairs).mean())


def distance_to_medoid(similarities: ArrayLike) -> float:
    """Return the mean distance, 1 - similarity, of the others to the medoid, the image most similar to all.

    >>> round(distance_to_medoid([(1, 0.8, 0.6), (0.8, 1, 0.2), (0.6, 0.2, 1)]), 6)
    0.3
    """
    values = _square(similarities)
    sums = values.sum(axis=1) - np.diagonal(values)
    return 1.0 - float(sums.max() / (len(values) - 1))


def worst_pair(similarities: ArrayLike) -> float:
    """Return the least similarity of two images.

    >>> worst_pair([(1, 0.8, 0.6), (0.8, 1, 0.2), (0.6, 0.2, 1)])
    0.2
    """
    return float(_pairs(_square(similarities)).min())


def quantile_of_pairs(similarities: ArrayLike, *, share: float) -> float:
    """Return the similarity below which a share of the pairs lies, with linear interpolation.

    >>> quantile_of_pairs([(1, 0.8, 0.6), (0.8, 1, 0.2), (0.6, 0.2, 1)], share=0.5)
    0.6
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a quantile is that of a share from 0 to 1, not of {share}")
    return float(np.quantile(_pairs(_square(similarities)), share))


def vendi_score(kernel: ArrayLike, *, order: float = 1.0) -> float:
    """Return the effective number of different images: 1 if all are alike, N if none has anything in common.

    kernel: (N, N), positive semidefinite, ones on the diagonal. With eigenvalues l of kernel / N: exp(-sum l log l) for
    order 1, else (sum l^q)^(1 / (1 - q)); order infinity: 1 / max l; order 0: how many are above rounding.
    Raises ValueError for a negative order and for another kernel: clamped cosines and 1 - d^2 are not semidefinite.

    >>> vendi_score(np.eye(4)), round(vendi_score(np.ones((4, 4))), 6)
    (4.0, 1.0)
    """
    matrix = _square(kernel)
    if np.abs(np.diagonal(matrix) - 1).max() > _ROUNDING:
        raise ValueError("a kernel has ones on its diagonal: an image is fully similar to itself")
    return vendi_score_of_spectrum(np.linalg.eigvalsh(matrix / len(matrix)), order=order)


def vendi_score_of_embeddings(embeddings: ArrayLike, *, order: float = 1.0) -> float:
    """Return the Vendi score of the cosines of embeddings (N, d): from a d x d matrix if that is the smaller one.

    >>> round(vendi_score_of_embeddings([(1, 0), (0, 1), (0, 2), (3, 0)]), 6)
    2.0
    """
    rows = _directions(embeddings)
    return vendi_score_of_spectrum(np.linalg.eigvalsh(_smaller_gram(rows) / len(rows)), order=order)


def vendi_score_of_spectrum(eigenvalues: ArrayLike, *, order: float) -> float:
    """Return the Vendi score of the ascending eigenvalues of kernel / N; those within rounding of zero count as zero.

    >>> vendi_score_of_spectrum(np.array([0.5, 0.5]), order=2)
    2.0
    """
    if not order >= 0:
        raise ValueError(f"the order of a Vendi score is a number from zero up, not {order}")
    spectrum = np.asarray(eigenvalues, dtype=np.float64)
    if spectrum[0] < LEAST_EIGENVALUE:
        raise ValueError(
            f"the kernel is not positive semidefinite (an eigenvalue is {spectrum[0]:.3g}), as those"
            " of clamped cosines and 1 - d^2: take unclamped cosines or exp(-d^2 / h^2)"
        )
    return _effective_number(spectrum, order)


def effective_rank(embeddings: ArrayLike) -> float:
    """Return the effective number of dimensions that embeddings (N, d) span: exp of the entropy of the singular values,
    divided by their sum.

    >>> round(effective_rank([(1, 0, 0), (0, 1, 0), (0, 0, 1)]), 6), round(effective_rank([(1, 2), (2, 4)]), 6)
    (3.0, 1.0)
    """
    rows = _embeddings(embeddings)
    scaled = rows / np.abs(rows).max()
    squares = np.linalg.eigvalsh(_smaller_gram(scaled))
    # Squares are six times as fast, and as exact if no singular value is below 1e-4 of the greatest.
    is_exact = squares[0] > 1e-8 * squares[-1]
    values = np.sqrt(squares) if is_exact else np.linalg.svd(scaled, compute_uv=False)
    return _effective_number(values / values.sum(), 1.0)


def effective_rank_of_products(products: ArrayLike) -> float:
    """Return the effective rank of embeddings from the (N, N) inner products of their rows.

    A singular value below 1e-8 of the greatest is lost in rounding, and adds nothing to the entropy.

    >>> round(effective_rank_of_products(np.eye(3)), 6), round(effective_rank_of_products([(5, 10), (10, 20)]), 6)
    (3.0, 1.0)
    """
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(_square(products)), 0.0))
    return _effective_number(values / values.sum(), 1.0)


FUNCTIONALS: dict[str, Functional] = {
    "mean_of_pairs": Functional("similarities", True, True, mean_of_pairs),
    "mean_of_pairs_clamped": Functional("similarities", True, True, partial(mean_of_pairs, clamped=True)),
    "distance_to_medoid": Functional("similarities", False, True, distance_to_medoid),
    "worst_pair": Functional("similarities", True, False, worst_pair),
    "lower_quartile": Functional("similarities", True, False, partial(quantile_of_pairs, share=0.25)),
    "median_of_pairs": Functional("similarities", True, False, partial(quantile_of_pairs, share=0.5)),
    "vendi": Functional("kernel", False, True, vendi_score),
    "effective_rank": Functional("embeddings", False, True, effective_rank),
}


def metrics_of_embeddings(embeddings: ArrayLike) -> dict[str, float]:
    """Return every metric of FUNCTIONALS for embeddings (N, d) and their cosines, with the work that they share done
    once.

    >>> found = metrics_of_embeddings([(1, 0), (0, 1), (1, 1)])
    >>> round(found["mean_of_pairs_clamped"], 6), round(found["worst_pair"], 6)
    (0.471405, 0.0)
    """
    cosines = cosine_similarities(embeddings)
    pairs = _pairs(cosines)
    quarter, median = np.quantile(pairs, [0.25, 0.5]).tolist()
    return {
        "mean_of_pairs": float(pairs.mean()),
        "mean_of_pairs_clamped": float(np.maximum(pairs, 0.0).mean()),
        "distance_to_medoid": 1.0 - float((cosines.sum(axis=1).max() - 1.0) / (len(cosines) - 1)),
        "worst_pair": float(pairs.min()),
        "lower_quartile": quarter,
        "median_of_pairs": median,
        "vendi": vendi_score_of_embeddings(embeddings),
        "effective_rank": effective_rank(embeddings),
    }


def _embeddings(embeddings: ArrayLike) -> Matrix:
    """Return embeddings as (N, d) numbers; ValueError for what has no direction."""
    rows = np.asarray(embeddings, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"a metric needs at least two embeddings as rows of one matrix, not an array {rows.shape}")
    if not np.isfinite(rows).all() or not rows.any(axis=1).all():
        raise ValueError("an embedding is a row of finite numbers, not all of them zero")
    return rows


def _directions(embeddings: ArrayLike) -> Matrix:
    """Return embeddings as rows of length one."""
    rows = _embeddings(embeddings)
    scaled = rows / np.abs(rows).max(axis=1, keepdims=True)  # so that no square over- or underflows
    return np.asarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True))


def _smaller_gram(rows: Matrix) -> Matrix:
    """Return rows @ rows.T or rows.T @ rows: their eigenvalues differ by zeros only."""
    return rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows


def _square(values: ArrayLike) -> Matrix:
    """Return a symmetric (N, N) matrix; ValueError for anything else."""
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(f"a set of two or more images has a square matrix of pairs, not an array {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("the matrix of pairs holds a value that is not finite")
    if np.abs(matrix - matrix.T).max() > _ROUNDING * np.abs(matrix).max():
        raise ValueError("the matrix of pairs is not symmetric")
    return matrix


def _pairs(matrix: Matrix) -> Vector:
    """Return the N (N - 1) / 2 entries above the diagonal."""
    return np.asarray(matrix[~np.tri(len(matrix), dtype=np.bool_)])


def _effective_number(shares: Vector, order: float) -> float:
    """Return the Hill number of shares that add up to one."""
    kept = shares[shares > np.finfo(np.float64).eps * len(shares)]  # what is rounding counts as nothing
    if order == 1:
        return float(np.exp(-(kept * np.log(kept)).sum()))
    if order == math.inf:
        return float(1 / kept.max())
    return float((kept**order).sum() ** (1 / (1 - order)))
