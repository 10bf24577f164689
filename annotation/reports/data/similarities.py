"""How alike the images of each set are, pair by pair: what a score rests on. Read only where nothing is sealed."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from annotation.models import Comparison
from annotation.reports.data.study_data import Similarities
from scoring.consistency import pairwise_similarities
from scoring.models import ImageEmbedding
from scoring.scores import STORED_TYPE

SCS = "scs/"
MOST_EMBEDDINGS = 100_000  # about 200 MB to read
LEAST_IMAGES = 3  # fewer cannot be resampled
_AT_ONCE = 200  # sets whose embeddings are in memory together

Embedded = tuple[tuple[int, ...], NDArray[np.float32]]  # seeds and the embeddings of their images, row by row


def gather_similarities(rows: Sequence[Comparison], *, metric: str) -> Similarities:
    """The similarities behind a Semantic Consistency Score, for the comparisons whose images were embedded here."""
    if not metric.startswith(SCS):
        return Similarities.none("the metric is not the Semantic Consistency Score")
    sets = [pk for row in rows for pk in (row.image_set_a_id, row.image_set_b_id)]
    vectors = ImageEmbedding.objects.filter(encoder__identity=metric.removeprefix(SCS))
    if _are_too_many(vectors, sets):
        return Similarities.none(f"more than {MOST_EMBEDDINGS} images: too many to read for a report")
    embedded: dict[int, Embedded] = {}
    for start in range(0, len(sets), _AT_ONCE):
        found = vectors.filter(image__image_set__in=sets[start : start + _AT_ONCE])
        stream = found.order_by("image__image_set", "image__seed")
        for pk, images in groupby(
            stream.values_list("image__image_set_id", "image__seed", "vector"), key=lambda image: image[0]
        ):
            embedded[pk] = _matrix((seed, vector) for _, seed, vector in images)
    return paired_similarities([(embedded.get(row.image_set_a_id), embedded.get(row.image_set_b_id)) for row in rows])


def _are_too_many(vectors: QuerySet[ImageEmbedding], sets: Sequence[int]) -> bool:
    """Counted before any is read: a hundred thousand vectors take half a minute, for nothing."""
    count = 0
    for start in range(0, len(sets), _AT_ONCE):
        count += vectors.filter(image__image_set__in=sets[start : start + _AT_ONCE]).count()
        if count > MOST_EMBEDDINGS:
            return True
    return False


def gather_other_similarities(rows: Sequence[Comparison], *, metrics: Sequence[str]) -> dict[str, Similarities]:
    """The same for each of these metrics that has any."""
    found = {metric: gather_similarities(rows, metric=metric) for metric in metrics}
    return {metric: one for metric, one in found.items() if len(one.comparison)}


def paired_similarities(pairs: Sequence[tuple[Embedded | None, Embedded | None]]) -> Similarities:
    """The (n, N, N) similarities of the comparisons whose two sets have the same seeds, as most of them do.

    pairs: the embedded sets of models A and B of each comparison, None where there is none. Comparisons with another
    number of images than most are left out, so that all matrices have one size.
    """
    usable = [place for place, (a, b) in enumerate(pairs) if a and b and a[0] == b[0] and len(a[0]) >= LEAST_IMAGES]
    if not usable:
        return Similarities.none("no comparison whose two sets have three or more embedded images of the same seeds")
    sizes = np.array([_size(pairs[place]) for place in usable])
    most = int(np.bincount(sizes).argmax())
    kept = [place for place, size in zip(usable, sizes.tolist(), strict=True) if size == most]
    both = [pairs[place] for place in kept]
    return Similarities(
        comparison=np.array(kept, dtype=np.int64),
        a=np.stack([pairwise_similarities(a[1]) for a, _ in both if a]),
        b=np.stack([pairwise_similarities(b[1]) for _, b in both if b]),
        reason="",
    )


def _size(pair: tuple[Embedded | None, Embedded | None]) -> int:
    return len(pair[0][0]) if pair[0] else 0


def _matrix(images: "Iterator[tuple[int, bytes | memoryview[int]]]") -> Embedded:
    seeds, vectors = zip(*images, strict=True)
    return tuple(seeds), np.stack([np.frombuffer(vector, STORED_TYPE) for vector in vectors])
