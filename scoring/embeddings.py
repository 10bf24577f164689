"""Store the embeddings of images and the distances of pairs of images. Each function may run twice.

This module does not load torch: the encoder is passed in, and `scoring.tasks` loads it.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
from django.db.models import F
from PIL import Image

from generation.models import GeneratedImage, ImageSet
from generation.pictures.files import open_images, opened_in_chunks
from generation.plans.image_sets import is_complete
from jobs.refusals import Refused
from scoring.encoder_spec import OWN_ENCODER, Comparer, Embeddings, EncoderSpec, ImageEncoder
from scoring.models import Encoder, ImageEmbedding, PairwiseSimilarities
from scoring.pairs import matrix_bytes

CHUNK_SIZE = 32  # images embedded and stored at a time, while the next ones are decoded


def embed_set(*, image_set: ImageSet, encoder: ImageEncoder, check: Callable[[], None] = lambda: None) -> int:
    """Store an embedding of every image of a complete set that has none by this encoder; returns how many.

    `check` is called before each chunk of images and may raise to stop the work.
    Raises Refused for an incomplete set, an unreadable image, an encoder with other weights than its identity had
    before, and embeddings that are not finite.
    """
    refuse_incomplete(image_set)
    refuse_other_weights(encoder)
    images = list(image_set.images.exclude(embeddings__encoder__identity=encoder.identity).order_by("seed"))
    begun = time.perf_counter()
    for chunk, pictures in opened_in_chunks(images, CHUNK_SIZE):
        check()
        embed_pictures(chunk, pictures, encoder)
        _note_time(encoder.identity, len(chunk), time.perf_counter() - begun)
        begun = time.perf_counter()
    return len(images)


def embed_pictures(images: Sequence[GeneratedImage], pictures: Sequence[Image.Image], encoder: ImageEncoder) -> None:
    """Store the embeddings of images whose pixels are at hand.

    Raises Refused for embeddings that are not finite, and for another number of dimensions than earlier ones had.
    """
    vectors = encoder.embed(pictures)
    what = "function" if encoder.spec.kind == OWN_ENCODER else "weights"
    if not np.isfinite(vectors).all():
        raise Refused(
            f"{encoder.identity} gave embeddings that are not finite for {images[0].image_set}: check its {what}."
        )
    stored = (
        ImageEmbedding.objects.filter(encoder__identity=encoder.identity).order_by().values_list("dimension", flat=True)
    )
    if (earlier := stored[:1]) and earlier[0] != vectors.shape[1]:
        raise Refused(
            f"{encoder.identity} gave embeddings of {vectors.shape[1]} dimensions for {images[0].image_set}, and of "
            f"{earlier[0]} for others: check its {what}."
        )
    rows = [
        ImageEmbedding(
            image=image,
            encoder_id=encoder.identity,
            dimension=len(vector),
            vector=vector.astype(ImageEmbedding.STORED_TYPE).tobytes(),
        )
        for image, vector in zip(images, vectors, strict=True)
    ]
    # Conflicts are ignored: another worker that embedded the same image stored the same vector.
    ImageEmbedding.objects.bulk_create(rows, ignore_conflicts=True)


def compare_set(*, image_set: ImageSet, comparer: Comparer) -> bool:
    """Store the distance of each pair of images of a complete set; return False if they were already stored.

    Raises Refused for an incomplete set, an unreadable image, and a comparer with other weights than before.
    """
    refuse_incomplete(image_set)
    refuse_other_weights(comparer)
    if PairwiseSimilarities.objects.filter(image_set=image_set, name=comparer.identity).exists():
        return False
    images, begun = list(image_set.images.order_by("seed")), time.perf_counter()
    distances = comparer.distances(open_images(images))
    _note_time(comparer.identity, len(images), time.perf_counter() - begun)
    PairwiseSimilarities.objects.get_or_create(
        image_set=image_set,
        name=comparer.identity,
        defaults={
            "seeds": [image.seed for image in images],
            "values": matrix_bytes(distances),
            "are_distances": True,
            "file_sha256": comparer.fingerprint,
        },
    )
    return True


def _note_time(identity: str, images: int, seconds: float) -> None:
    Encoder.objects.filter(identity=identity).update(
        timed_images=F("timed_images") + images, timed_seconds=F("timed_seconds") + seconds
    )


def refuse_other_weights(encoder: ImageEncoder | Comparer) -> None:
    """Register the weights of an identity, or refuse if others are registered: embeddings are never mixed.

    A function of one's own that has embedded nothing yet is replaced: it failed, and was mended.
    """
    found = {"fingerprint": encoder.fingerprint, "provenance": encoder.provenance}
    known, _ = Encoder.objects.get_or_create(identity=encoder.identity, defaults=found)
    if known.fingerprint == encoder.fingerprint:
        return
    # The weights of a checkpoint never change, and another worker may be embedding by those that are registered.
    if encoder.spec.kind != OWN_ENCODER or known.embeddings.exists():
        raise Refused(
            f"The files of {encoder.spec.checkpoint} are not those that {encoder.identity} stood for before "
            f"(SHA-256 {encoder.fingerprint[:12]}, formerly {known.fingerprint[:12]}): "
            "bring the former files back, or give these a folder of another name."
        )
    Encoder.objects.filter(pk=known.pk).update(**found)


def refuse_incomplete(image_set: ImageSet) -> None:
    """Raise Refused for a set without images here, or with some of them missing."""
    if image_set.origin == ImageSet.Origin.EXTERNAL:
        raise Refused(f"{image_set} has no images here, so it cannot be scored: import its scores.")
    if not is_complete(image_set):
        raise Refused(
            f"{image_set} has {image_set.images.count()} of {len(image_set.seeds)} images: "
            "it is scored when all of them are there."
        )


def lacks_embeddings(image_set: ImageSet, encoder: EncoderSpec) -> bool:
    """Return whether an image of a set has no embedding by an encoder."""
    return image_set.images.exclude(embeddings__encoder__identity=encoder.identity).exists()


def embeddings_of(image_set: ImageSet, encoder_identity: str) -> Embeddings:
    """Return the stored embeddings of a set: float32 (n, d), one row for each image in ascending order of the seeds.

    Images without an embedding have no row. Without any embedding the shape is (0, 0).
    """
    vectors = ImageEmbedding.objects.filter(image__image_set=image_set, encoder__identity=encoder_identity)
    rows = [
        np.frombuffer(vector, ImageEmbedding.STORED_TYPE)
        for vector in vectors.order_by("image__seed").values_list("vector", flat=True)
    ]
    return np.stack(rows).astype(np.float32, copy=False) if rows else np.empty((0, 0), np.float32)


def all_embeddings_of(image_set: ImageSet, encoder: EncoderSpec) -> Embeddings:
    """Return the embeddings of a set as `embeddings_of`. Raises Refused if an image has none."""
    embeddings = embeddings_of(image_set, encoder.identity)
    if len(embeddings) < image_set.images.count():
        raise Refused(
            f"{image_set} has {len(embeddings)} of {image_set.images.count()} images embedded by {encoder.identity}: "
            "embed the set first."
        )
    return embeddings
