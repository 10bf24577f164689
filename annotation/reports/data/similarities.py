"""The similarities of the images in each set, pair by pair, on which a score rests. Read only if nothing is sealed."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from annotation.models import Comparison
from annotation.reports.data.study_data import Similarities
from scoring.consistency import pairwise_similarities
from scoring.metric_spec import matrix_of_embeddings, named_functional
from scoring.models import ImageEmbedding, PairwiseSimilarities
from scoring.pairs import similarities_of

SCS = "scs/"
MOST_EMBEDDINGS = 100_000  # about 200 MB to read
LEAST_IMAGES = 3  # fewer cannot be resampled
_AT_ONCE = 200  # sets whose embeddings are in memory together

Embedded = tuple[tuple[int, ...], NDArray[np.float32]]  # seeds and the embeddings of their images, row by row
Matrices = tuple[tuple[int, ...], NDArray[np.float64]]  # seeds and the matrix of their images
PAIRS = "pairs:"


def gather_similarities(rows: Sequence[Comparison], *, metric: str) -> Similarities:
    """Return the similarities behind a Semantic Consistency Score, for comparisons whose images are embedded here."""
    if not metric.startswith(SCS):
        return Similarities.none("the metric is not the Semantic Consistency Score")
    embedded = _embedded(_sets(rows), metric.removeprefix(SCS))
    if embedded is None:
        return Similarities.none(f"more than {MOST_EMBEDDINGS} images: too many to read for a report")
    return paired_similarities([(embedded.get(row.image_set_a_id), embedded.get(row.image_set_b_id)) for row in rows])


def gather_matrices(rows: Sequence[Comparison], *, metrics: Sequence[str]) -> dict[str, Similarities]:
    """Return the sets' matrices for each metric that is computed from them, except SCS; without empty ones."""
    gathered = {metric: _matrices(rows, metric) for metric in metrics if not metric.startswith(SCS)}
    return {metric: one for metric, one in gathered.items() if one is not None and len(one.comparison)}


def _matrices(rows: Sequence[Comparison], metric: str) -> Similarities | None:
    name, _, source = metric.partition("/")
    try:
        if not source or named_functional(name) is None:
            return None
    except ValueError:  # a metric computed elsewhere, whose name has a slash
        return None
    if source.startswith(PAIRS):
        matrices = _stored(_sets(rows), source.removeprefix(PAIRS), name)
    else:
        embedded = _embedded(_sets(rows), source) or {}
        matrices = {pk: (seeds, matrix_of_embeddings(name, one)) for pk, (seeds, one) in embedded.items()}
    if not matrices:
        return None
    return _paired([(matrices.get(row.image_set_a_id), matrices.get(row.image_set_b_id)) for row in rows])


def _stored(sets: Sequence[int], name: str, metric: str) -> dict[int, Matrices]:
    """Return the stored similarities, or the distances for a metric that takes them, of each set."""
    functional, found = named_functional(metric), {}
    for start in range(0, len(sets), _AT_ONCE):
        for row in PairwiseSimilarities.objects.filter(name=name, image_set__in=sets[start : start + _AT_ONCE]):
            similar, distances = similarities_of(row)
            taken = distances if functional and functional.of == "distances" else similar
            if taken is not None:
                found[row.image_set_id] = (tuple(row.seeds), taken)
    return found


def _sets(rows: Sequence[Comparison]) -> list[int]:
    return [pk for row in rows for pk in (row.image_set_a_id, row.image_set_b_id)]


def _embedded(sets: Sequence[int], encoder: str) -> dict[int, Embedded] | None:
    """Return the embeddings of the images of each set; None if they are too many."""
    vectors = ImageEmbedding.objects.filter(encoder__identity=encoder)
    if _are_too_many(vectors, sets):
        return None
    embedded: dict[int, Embedded] = {}
    for start in range(0, len(sets), _AT_ONCE):
        batch = vectors.filter(image__image_set__in=sets[start : start + _AT_ONCE])
        stream = batch.order_by("image__image_set", "image__seed")
        columns = stream.values_list("image__image_set_id", "image__seed", "vector")
        for pk, images in groupby(columns, key=lambda image: image[0]):
            embedded[pk] = _matrix((seed, vector) for _, seed, vector in images)
    return embedded


def _are_too_many(vectors: QuerySet[ImageEmbedding], sets: Sequence[int]) -> bool:
    """Return whether there are too many vectors to read: reading them takes half a minute, so count first."""
    count = 0
    for start in range(0, len(sets), _AT_ONCE):
        count += vectors.filter(image__image_set__in=sets[start : start + _AT_ONCE]).count()
        if count > MOST_EMBEDDINGS:
            return True
    return False


def gather_other_similarities(rows: Sequence[Comparison], *, metrics: Sequence[str]) -> dict[str, Similarities]:
    """Return the similarities by each of these metrics that has any."""
    gathered = {metric: gather_similarities(rows, metric=metric) for metric in metrics}
    return {metric: one for metric, one in gathered.items() if len(one.comparison)}


def paired_similarities(pairs: Sequence[tuple[Embedded | None, Embedded | None]]) -> Similarities:
    """Return the (m, N, N) similarities of the comparisons whose two sets have the same seeds.

    pairs: the embedded sets of models A and B of each comparison, None if there is none. N is the number of images
    that most comparisons have; comparisons with another number are left out, so that all matrices have one size.
    """
    return _paired(
        [tuple(one and (one[0], pairwise_similarities(one[1])) for one in sides) for sides in pairs]  # type: ignore[misc]
    )


def _paired(pairs: Sequence[tuple[Matrices | None, Matrices | None]]) -> Similarities:
    usable = [
        (place, a[1], b[1])
        for place, (a, b) in enumerate(pairs)
        if a and b and a[0] == b[0] and len(a[0]) >= LEAST_IMAGES
    ]
    if not usable:
        return Similarities.none("no comparison whose two sets have three or more embedded images of the same seeds")
    most = int(np.bincount([len(a) for _, a, _ in usable]).argmax())
    kept = [row for row in usable if len(row[1]) == most]
    return Similarities(
        comparison=np.array([place for place, _, _ in kept], dtype=np.int64),
        a=np.stack([a for _, a, _ in kept]),
        b=np.stack([b for _, _, b in kept]),
        reason="",
    )


def _matrix(images: "Iterator[tuple[int, bytes | memoryview[int]]]") -> Embedded:
    seeds, vectors = zip(*images, strict=True)
    return tuple(seeds), np.stack([np.frombuffer(vector, ImageEmbedding.STORED_TYPE) for vector in vectors])
