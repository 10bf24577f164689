"""The embeddings behind a study's scores as two files for each encoder: the vectors, and the image of each vector."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import IO

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from annotation.models import Study
from annotation.reports.data.study_data import ScoredComparisons
from scoring.consistency import semantic_consistency_score
from scoring.models import Encoder, ImageEmbedding

HEAD = ("position", "model", "seed", "image_sha256")
_CHUNK = 2_000
_TOLERANCE = 1e-9  # of a score from 0 to 100; another machine may sum in another order


@dataclass(frozen=True, slots=True)
class Rescored:
    """Scores computed again from the embeddings: their number, how many differ, and the largest difference."""

    count: int
    differing: int
    largest_difference: float


def embedding_files(study: Study, encoder: Encoder, stem: str) -> Iterator[tuple[str, bytes | Iterator[bytes]]]:
    """Yield `stem`.csv and `stem`.npy, or nothing if the encoder has embedded no image of the study.

    The table has a row for each vector: position from 1, model A or B, seed, SHA-256 of the image file. The array is
    float32 (rows, d) and streamed.
    """
    places = _places(study)
    rows = _embeddings(encoder, places)
    images = list(rows.values_list("image__image_set_id", "image__seed", "image__sha256"))
    if not images:
        return
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows((*places[image_set], seed, sha256) for image_set, seed, sha256 in images)
    yield f"{stem}.csv", buffer.getvalue().encode()
    yield f"{stem}.npy", _vectors(rows, len(images))


def image_hashes(table: bytes) -> list[str]:
    """Return the SHA-256 of the image of each vector, by the table that `embedding_files` made."""
    return [row["image_sha256"] for row in csv.DictReader(io.StringIO(table.decode()))]


def encoders_of(study: Study) -> list[Encoder]:
    """Return the encoders that have embedded an image of the study."""
    identities = ImageEmbedding.objects.filter(image__image_set__in=list(_places(study))).order_by().values("encoder")
    return list(Encoder.objects.filter(identity__in=identities).order_by("identity"))


def rescored(table: bytes, vectors: IO[bytes], comparisons: ScoredComparisons) -> Rescored:
    """Compute each stored Semantic Consistency Score again from the embeddings of its set.

    Raises ValueError if the two files do not fit each other.
    """
    version = np.lib.format.read_magic(vectors)
    shape, _, dtype = np.lib.format.read_array_header_1_0(vectors) if version == (1, 0) else ((), False, None)
    images = list(csv.DictReader(io.StringIO(table.decode())))
    if dtype != ImageEmbedding.STORED_TYPE or len(shape) != 2 or shape[0] != len(images):
        raise ValueError("embeddings and their table do not fit")
    stored = _scores(comparisons)
    differences = []
    for place, group in groupby(images, key=lambda row: (int(row["position"]), row["model"])):
        embeddings = _next(vectors, len(list(group)), shape[1])
        if place in stored:
            differences.append(abs(semantic_consistency_score(embeddings) - stored[place]))
    differing = sum(difference > _TOLERANCE for difference in differences)
    return Rescored(len(differences), differing, max(differences, default=0.0))


def _next(vectors: IO[bytes], rows: int, dimension: int) -> NDArray[np.float32]:
    raw = vectors.read(rows * dimension * ImageEmbedding.STORED_TYPE.itemsize)
    return np.frombuffer(raw, ImageEmbedding.STORED_TYPE).reshape(rows, dimension)


def _scores(comparisons: ScoredComparisons) -> dict[tuple[int, str], float]:
    columns = (("A", comparisons.score_a), ("B", comparisons.score_b))
    return {
        (int(position) + 1, model): float(score)
        for model, scores in columns
        for position, score in zip(comparisons.position, scores, strict=True)
        if np.isfinite(score)
    }


def _places(study: Study) -> dict[int, tuple[int, str]]:
    """Return the position (from 1) and the model of each image set, in the order of positions."""
    places = {}
    for position, set_a, set_b in study.comparisons.order_by("position").values_list(
        "position", "image_set_a", "image_set_b"
    ):
        places[set_a], places[set_b] = (position + 1, "A"), (position + 1, "B")
    return places


def _embeddings(encoder: Encoder, places: dict[int, tuple[int, str]]) -> QuerySet[ImageEmbedding]:
    rows = ImageEmbedding.objects.filter(encoder=encoder, image__image_set__in=list(places))
    return rows.order_by("image__image_set_id", "image__seed")


def _vectors(rows: QuerySet[ImageEmbedding], count: int) -> Iterator[bytes]:
    dimension = rows.values_list("dimension", flat=True)[0]
    head = io.BytesIO()
    shape = {"descr": ImageEmbedding.STORED_TYPE.str, "fortran_order": False, "shape": (count, dimension)}
    np.lib.format.write_array_header_1_0(head, shape)
    yield head.getvalue()
    for vector in rows.values_list("vector", flat=True).iterator(chunk_size=_CHUNK):
        yield bytes(vector)
