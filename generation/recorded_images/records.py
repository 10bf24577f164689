"""Record an image: its file, its row and its renditions.

An image's path is computed from (set uid, seed), in an object storage also from its content. So work that is repeated
after a crash writes the same files again and leaves no others behind.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from PIL import Image

from generation.models import GeneratedImage, GenerationJob, ImageSet
from generation.pictures import files, renditions
from generation.pictures.image_storage import Staged
from generation.pictures.pixels import as_srgb, png
from generation.recorded_images.lost_images import record_replacement
from jobs.leases import hold
from jobs.refusals import Refused


def record_image(
    *,
    image_set: ImageSet,
    seed: int,
    image: Image.Image,
    provenance: dict[str, Any],
    job: GenerationJob | None = None,
) -> GeneratedImage:
    """Store an image and its renditions. If (set, seed) is already recorded and has its file, return it unchanged.

    With a job, raises LeaseLost if another worker has the job; then nothing is stored.
    """
    _check_planned(image_set, seed)
    with prepared(image_path(image_set.uid, seed), image) as file:
        with transaction.atomic():
            if job is None:
                ImageSet.objects.select_for_update().get(pk=image_set.pk)
            else:
                hold(job)
            recorded = image_set.images.filter(seed=seed).first()
            is_there = recorded is not None and files.exists(recorded.path)
            is_lost = recorded is not None and not is_there
            if recorded is None:
                recorded = put_image(file, image_set=image_set, seed=seed, provenance=provenance)
            elif is_lost:
                record_replacement(
                    recorded,
                    staged=file.staged,
                    sha256=file.sha256,
                    byte_count=file.byte_count,
                    provenance=provenance,
                )
        if is_lost:
            file.staged.put()
            files.sync(image_folder(image_set.uid))
        renditions.make(recorded, None if is_there else file.pixels)
    return recorded


@dataclass(frozen=True)
class PreparedFile:
    """An image whose file is written, but not yet put."""

    staged: Staged
    pixels: Image.Image
    sha256: str
    byte_count: int


@contextmanager
def prepared(path: str, image: Image.Image) -> Iterator[PreparedFile]:
    """Encode an image and write its file. This takes time, so it is done before the transaction begins."""
    pixels = as_srgb(image)
    data = png(pixels)
    with files.stage(path, data) as staged:
        yield PreparedFile(staged, pixels, files.sha256(data), len(data))


def put_image(file: PreparedFile, *, image_set: ImageSet, seed: int, provenance: dict[str, Any]) -> GeneratedImage:
    """Store the row and put the file, inside a transaction that blocks every other writer of this image.

    A crash before the commit leaves a file without a row, which the next attempt replaces or deletes.
    """
    image = row_of(file, image_set=image_set, seed=seed, provenance=provenance)
    image.save(force_insert=True)
    file.staged.put()
    files.sync(image_folder(image_set.uid))
    return image


def row_of(file: PreparedFile, *, image_set: ImageSet, seed: int, provenance: dict[str, Any]) -> GeneratedImage:
    """Return the row of an image, not stored yet."""
    width, height = file.pixels.size
    return GeneratedImage(
        image_set=image_set,
        seed=seed,
        path=file.staged.path,
        sha256=file.sha256,
        width=width,
        height=height,
        byte_count=file.byte_count,
        provenance=provenance,
    )


def image_path(uid: uuid.UUID, seed: int) -> str:
    """Return the path of an image of a set in the storage; the storage may add the content's hash to its name."""
    return f"{image_folder(uid)}/{seed}.png"


def image_folder(uid: uuid.UUID) -> str:
    """Return the folder of the images of a set."""
    return f"image_sets/{uid}"


def _check_planned(image_set: ImageSet, seed: int) -> None:
    if seed not in image_set.seeds:
        raise Refused(f"Seed {seed} is not planned in the image set {image_set}.")
