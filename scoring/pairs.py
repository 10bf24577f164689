"""Score a set by its stored pairwise similarities."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generation.models import ImageSet
from jobs.refusals import Refused
from scoring.consistency import Matrix
from scoring.metric_spec import MetricSpec, named_functional, score_of_pairs
from scoring.models import PairwiseSimilarities, SetScore
from scoring.set_metrics import gaussian_kernel

STORED_TYPE = np.dtype("<f8")  # the same bytes on every machine


@dataclass(frozen=True, slots=True)
class Pairs:
    """What pairwise values are: similarities, or distances with the bandwidth h of exp(-d^2 / h^2), None for 1 - d."""

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


def score_pairs(image_set: ImageSet, spec: MetricSpec) -> SetScore:
    """Score a set by its stored similarities; an existing score is returned unchanged.

    Raises Refused for a set without similarities of this name, and for an undefined score.
    """
    stored = PairwiseSimilarities.objects.filter(image_set=image_set, name=spec.similarities).first()
    if stored is None:
        raise Refused(f"{image_set} has no similarities under {spec.similarities}: import or compute them first.")
    begun = time.perf_counter()
    try:
        functional = named_functional(spec.name)
        if functional is None:
            raise ValueError(f"{spec.name} takes embeddings or images")
        value = score_of_pairs(spec.name, *similarities_of(stored))
    except ValueError as error:
        raise Refused(f"{image_set} has no score by {spec.identity}: {error}.") from error
    score, _ = SetScore.objects.get_or_create(
        image_set=image_set,
        metric=spec.identity,
        defaults={
            "value": value,
            "image_count": len(stored.seeds),
            "source": SetScore.Source.COMPUTED,
            "seconds": time.perf_counter() - begun,
            "higher_is_more_consistent": functional.higher_is_more_consistent,
        },
    )
    return score
