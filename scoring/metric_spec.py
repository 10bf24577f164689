"""Name a metric that is computed from the embeddings or the pairwise similarities of a set. Pure; loads no torch.

A name is that of a functional, with its parameters behind a colon: "worst_pair", "quantile:share=0.1",
"vendi:order=2,bandwidth=0.5". The name of a metric of one's own is "own:" and the name under which it is installed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import ArrayLike

from scoring.consistency import Matrix, semantic_consistency_score
from scoring.encoder_spec import ComparerSpec, EncoderSpec
from scoring.set_metrics import (
    FUNCTIONALS,
    Functional,
    cosine_similarities,
    effective_rank_of_products,
    gaussian_kernel,
    quantile_of_pairs,
    vendi_score,
)

SCS = "scs"
OWN = "own:"
LARGEST_SCORE = 1e50  # so that differences of scores, and their fourth powers, are numbers of 64 bits
PERCENT = 100.0  # similarities are scored from 0 to 100, like the SCS


def is_score(value: float) -> bool:
    """Return whether a number can be a score.

    >>> is_score(-12.5), is_score(float("nan")), is_score(1e308)
    (True, False, False)
    """
    return abs(value) <= LARGEST_SCORE


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A computed metric: its name, and its source: an encoder, pairwise similarities by name, or else the images.

    comparer: what computes the similarities, if they are not imported.

    >>> MetricSpec("vendi:order=2", EncoderSpec(kind="siglip", checkpoint="/models/tiny")).identity
    'vendi:order=2/siglip:tiny'
    >>> MetricSpec("worst_pair", None, "dreamsim").identity
    'worst_pair/pairs:dreamsim'
    """

    name: str
    encoder: EncoderSpec | None
    similarities: str = ""
    comparer: ComparerSpec | None = None

    @property
    def identity(self) -> str:
        """Return the name under which scores are stored; of the SCS it is that of `EncoderSpec.metric`."""
        if self.encoder:
            return f"{self.name}/{self.encoder.identity}"
        return f"{self.name}/pairs:{self.similarities}" if self.similarities else self.name

    @property
    def is_own(self) -> bool:
        """Whether it is a metric of one's own, which only a worker knows."""
        return self.name.startswith(OWN)

    @property
    def source(self) -> EncoderSpec | ComparerSpec | None:
        """The encoder or comparer that a worker loads; None for imported similarities, or if the images are enough."""
        return self.encoder or self.comparer

    @classmethod
    def of(cls, metric: str, source: EncoderSpec | ComparerSpec | None) -> "MetricSpec":
        """Return the spec of a stored identity and its source.

        >>> MetricSpec.of("vendi/clip:tiny", EncoderSpec(checkpoint="/models/tiny")).name
        'vendi'
        >>> MetricSpec.of("worst_pair/pairs:lpips:alex", ComparerSpec(checkpoint="/models/alex")).name
        'worst_pair'
        """
        if isinstance(source, ComparerSpec):
            return cls.compared(metric.removesuffix(f"/pairs:{source.identity}"), source)
        return cls(metric.removesuffix(f"/{source.identity}") if source else metric, source)

    @classmethod
    def compared(cls, name: str, comparer: ComparerSpec) -> "MetricSpec":
        """Return the metric of this name by the similarities that a comparer computes."""
        return cls(name, None, comparer.identity, comparer)


def named_functional(name: str) -> Functional | None:
    """Return the functional of a name, with its parameters bound; None for a metric of one's own.

    Raises ValueError, in words, for an unknown name or parameter.

    >>> named_functional("quantile:share=0.5").compute(np.array([(1, 0.2), (0.2, 1)]))
    0.2
    """
    return None if name.startswith(OWN) and name != OWN else _functional(name)


def names_computed_metric(metric: str) -> bool:
    """Return whether a name is that of a metric that is computed here: a functional's or one's own, of any source.

    >>> names_computed_metric("vendi:order=2/clip:tiny"), names_computed_metric("SCS"), names_computed_metric("own:x")
    (True, True, True)
    >>> names_computed_metric("lpips"), names_computed_metric("vendi-authors")
    (False, False)
    """
    folded = metric.casefold()
    return folded.startswith(OWN) or folded.partition("/")[0].partition(":")[0] in _MAKERS


def score_of_embeddings(name: str, embeddings: ArrayLike) -> float:
    """Return the metric of this name of embeddings (N, d).

    Means, medoid, worst pair and quantiles are of 100 times the cosine, as the SCS; distances are those of directions.
    Raises ValueError as `named_functional`, and for embeddings that have no such score.

    >>> round(score_of_embeddings("scs", [(1, 0), (0, 1), (1, 1)]), 4)
    47.1405
    >>> round(score_of_embeddings("vendi", np.eye(3)), 4)
    3.0
    """
    if name == SCS:
        return semantic_consistency_score(embeddings)
    functional = _functional(name)
    if functional.of == "embeddings":
        return functional.compute(np.asarray(embeddings, dtype=np.float64))
    cosines = cosine_similarities(embeddings)
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 0.0)) if functional.of == "distances" else None
    return score_of_pairs(name, cosines, distances)


def score_of_pairs(name: str, similarities: ArrayLike, distances: ArrayLike | None = None) -> float:
    """Return the metric of this name of the (N, N) similarities of a set, or of their distances.

    Means, medoid, worst pair and quantiles are of 100 times the similarity. Raises ValueError as `named_functional`,
    for a metric of embeddings, for one of distances without any, and for similarities that have no such score.

    >>> score_of_pairs("worst_pair", np.array([(1, 0.2), (0.2, 1)]))
    20.0
    """
    functional = _functional(name)
    if functional.of == "embeddings":
        raise ValueError(f'"{name}" is computed from embeddings and not from similarities')
    if functional.of == "distances":
        if distances is None:
            raise ValueError(f'"{name}" is computed from distances, and these are similarities')
        return functional.compute(np.asarray(distances, dtype=np.float64))
    found = functional.compute(np.asarray(similarities, dtype=np.float64))
    return PERCENT * found if functional.of == "similarities" else found


def matrix_of_embeddings(name: str, embeddings: ArrayLike) -> Matrix:
    """Return the (N, N) matrix from which `score_of_matrix` computes a metric: cosines, distances, or inner products.

    >>> matrix_of_embeddings("effective_rank", [(1, 2), (0, 3)]).tolist()
    [[5.0, 6.0], [6.0, 9.0]]
    """
    functional = _functional(name)
    if functional.of == "embeddings":
        rows = np.asarray(embeddings, dtype=np.float64)
        return rows @ rows.T
    cosines = cosine_similarities(embeddings)
    return np.sqrt(np.maximum(2 - 2 * cosines, 0.0)) if functional.of == "distances" else cosines


def score_of_matrix(name: str, matrix: ArrayLike) -> float:
    """Return the metric of this name from the (N, N) matrix of a set, or from some of its rows and their columns.

    >>> score_of_matrix("worst_pair", matrix_of_embeddings("worst_pair", [(1, 0), (3, 4), (1, 1)])) == 60.0
    True
    """
    functional = _functional(name)
    if functional.of == "embeddings":
        return effective_rank_of_products(matrix)
    found = functional.compute(np.asarray(matrix, dtype=np.float64))
    return PERCENT * found if functional.of == "similarities" else found


@cache
def _functional(name: str) -> Functional:
    stem, _, given = name.partition(":")
    if stem not in _MAKERS:
        known = ", ".join(_MAKERS)
        raise ValueError(f'"{name}" is no metric that is computed here; known are {known}, and own:NAME')
    make, allowed = _MAKERS[stem]
    parameters = _parameters(name, given, allowed)
    return make(**parameters)


def _parameters(name: str, given: str, allowed: tuple[str, ...]) -> dict[str, float]:
    parameters: dict[str, float] = {}
    for part in given.split(",") if given else ():
        key, _, text = part.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if key not in allowed or key in parameters or np.isnan(value):
            takes = " and ".join(f"{one}=NUMBER" for one in allowed) or "no parameters"
            raise ValueError(f'"{name}" has the part "{part}", but {name.partition(":")[0]} takes {takes}')
        parameters[key] = value
    return parameters


def _plain(name: str) -> Callable[[], Functional]:
    return lambda: FUNCTIONALS[name]


def _quantile(share: float = 0.5) -> Functional:
    if not 0 <= share <= 1:
        raise ValueError(f"a quantile is that of a share from 0 to 1, not of {share:g}")
    return Functional("similarities", True, False, partial(quantile_of_pairs, share=share))


def _vendi(order: float = 1.0, bandwidth: float | None = None) -> Functional:
    if not order >= 0:
        raise ValueError(f"the order of a Vendi score is a number from zero up, not {order:g}")
    if bandwidth is None:
        return Functional("kernel", False, True, partial(vendi_score, order=order))
    if not 0 < bandwidth < np.inf:
        raise ValueError(f"the bandwidth of a kernel is a positive number, not {bandwidth:g}")
    return Functional("distances", False, True, partial(_vendi_of_distances, order=order, bandwidth=bandwidth))


def _vendi_of_distances(distances: Matrix, *, order: float, bandwidth: float) -> float:
    return vendi_score(gaussian_kernel(distances, bandwidth=bandwidth), order=order)


# The functionals by name, each with the parameters that it takes.
_MAKERS: dict[str, tuple[Callable[..., Functional], tuple[str, ...]]] = {
    SCS: (_plain("mean_of_pairs_clamped"), ()),
    "mean_of_pairs": (_plain("mean_of_pairs"), ()),
    "distance_to_medoid": (_plain("distance_to_medoid"), ()),
    "worst_pair": (_plain("worst_pair"), ()),
    "quantile": (_quantile, ("share",)),
    "vendi": (_vendi, ("order", "bandwidth")),
    "effective_rank": (_plain("effective_rank"), ()),
}
FUNCTIONAL_NAMES = tuple(_MAKERS)
