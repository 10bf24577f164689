"""Pairwise similarities and distances of a set, as they are stored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.consistency import Matrix
from scoring.models import PairwiseSimilarities
from scoring.set_metrics import gaussian_kernel

STORED_TYPE = np.dtype("<f8")  # the same bytes on every machine


@dataclass(frozen=True, slots=True)
class Pairs:
    """Similarities, or distances with the bandwidth h of exp(-d^2 / h^2), None for 1 - d."""

    are_distances: bool = False
    bandwidth: float | None = None

    def as_document(self) -> dict[str, object]:
        """Return it for a study's history."""
        return {"distances": self.are_distances} | ({} if self.bandwidth is None else {"bandwidth": self.bandwidth})


def matrix_bytes(matrix: NDArray[np.float64]) -> bytes:
    """Return a matrix as it is stored.

    >>> len(matrix_bytes(np.eye(3)))
    72
    """
    return np.ascontiguousarray(matrix, dtype=STORED_TYPE).tobytes()


def similarities_of(stored: PairwiseSimilarities) -> tuple[Matrix, Matrix | None]:
    """Return the (N, N) similarities of a set, and its distances if these are stored."""
    n = len(stored.seeds)
    values = np.frombuffer(bytes(stored.values), STORED_TYPE).reshape(n, n).astype(np.float64)
    if not stored.are_distances:
        return values, None
    similar = 1.0 - values if stored.bandwidth is None else gaussian_kernel(values, bandwidth=stored.bandwidth)
    return similar, values
