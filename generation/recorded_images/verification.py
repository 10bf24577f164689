"""Verify the files of all images: each hash, each rendition, and orphans of both kinds; mend what can be mended.

It may run while workers and annotators are at work. A file counts as an orphan only if it is older than an hour,
because a file is stored before the row that names it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from generation.models import GeneratedImage, GenerationJob, ImageSet
from generation.pictures import files, renditions
from generation.pictures.image_storage import StoredFile
from generation.recorded_images.lost_images import FOLDERS, recorded_paths
from jobs.claims import requeue
from jobs.refusals import Refused

ROWS_AT_ONCE = 500
YOUNGEST_ORPHAN = timedelta(hours=1)
# The mean difference of two encodings of the same pixels by several versions of the library is far below.
LARGEST_MEAN_DIFFERENCE = 3.0  # of 255
IN_THE_WAY = (IsADirectoryError, NotADirectoryError, FileExistsError)


@dataclass(frozen=True, slots=True)
class VerificationOptions:
    """The changes that a verification may make. `advance` is called after each image.

    asks_endpoints: whether endpoints are asked again for their images, which may cost money.
    """

    deletes: bool = False
    regenerates: bool = False
    asks_endpoints: bool = False
    youngest: timedelta = YOUNGEST_ORPHAN
    advance: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Verified:
    """The result of a verification. lost, damaged: paths of images; orphans: paths of files without a row.

    of_endpoints: how many of the lost and damaged images only the named endpoint could make again.
    blocked: paths of files that cannot be replaced, because a folder is in their place, or a file in their folder's.
    """

    image_count: int = 0
    rendition_count: int = 0
    made_again: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    deleted_count: int = 0
    requeued_count: int = 0
    without_a_job: list[str] = field(default_factory=list)
    of_endpoints: Counter[str] = field(default_factory=Counter)


def image_count() -> int:
    """Return how many image files the rows name."""
    return GeneratedImage.objects.order_by().values("path").distinct().count()


def verify(options: VerificationOptions | None = None) -> Verified:
    """Verify every image file and rendition. Renditions that are missing or damaged are made again.

    Raises StorageAway if the storage does not answer; then nothing is wrong with what was verified before.
    """
    options, found = options or VerificationOptions(), Verified()
    # Listed first: a file that is stored from now on is no orphan, whatever the rows say later.
    listed = [file for folder in FOLDERS for file in files.stored(folder)]
    for image in _images():
        _verify_image(image, found)
        options.advance()
    _verify_orphans(listed, found, options)
    if options.regenerates:
        _regenerate(found, options)
    return found


def _images() -> Iterator[GeneratedImage]:
    """Yield one row of each path. Rows that are added meanwhile are left out."""
    last, ends = 0, GeneratedImage.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    while rows := list(
        GeneratedImage.objects.filter(pk__gt=last, pk__lte=ends)
        .select_related("image_set__diffusion_model", "image_set__prompt")
        .order_by("pk")[:ROWS_AT_ONCE]
    ):
        earlier = set(
            GeneratedImage.objects.filter(path__in=[row.path for row in rows], pk__lte=last).values_list(
                "path", flat=True
            )
        )
        for row in rows:
            if row.path not in earlier:
                earlier.add(row.path)
                yield row
        last = rows[-1].pk


def _verify_image(image: GeneratedImage, found: Verified) -> None:
    found.image_count += 1
    try:
        data = files.read(image.path)
    except FileNotFoundError:
        # Taken back since it was listed?
        if GeneratedImage.objects.filter(pk=image.pk).exists():
            found.lost.append(image.path)
        return
    except OSError:  # a folder in its place, a disk that fails
        found.damaged.append(image.path)
        return
    if files.sha256(data) != image.sha256:
        found.damaged.append(image.path)
        return
    try:
        pixels = files.decoded(data, image.path)
    except Refused:  # stored so, by a version that did not verify what it imported
        found.damaged.append(image.path)
        return
    for name, path in renditions.paths(image.path).items():
        found.rendition_count += 1
        if not _is_rendition(path, name, pixels):
            _make_again(path, renditions.encode(pixels, name), found)


def _make_again(path: str, content: bytes, found: Verified) -> None:
    try:
        files.write(path, content)
    except IN_THE_WAY:
        found.blocked.append(path)
    else:
        found.made_again.append(path)


def _is_rendition(path: str, name: str, pixels: Image.Image) -> bool:
    """Return whether a file shows these pixels: byte by byte, or as another version of the library encodes them."""
    expected = renditions.encode(pixels, name)
    try:
        stored = files.read(path)
    except OSError:  # missing, or a disk that fails
        return False
    if stored == expected:
        return True
    try:
        first, second = (
            np.asarray(Image.open(BytesIO(data), formats=("WEBP",)).convert("RGB"), dtype=np.int16)
            for data in (stored, expected)
        )
    except Exception:  # decoders raise errors of many kinds on damaged files
        return False
    return first.shape == second.shape and float(np.abs(first - second).mean()) <= LARGEST_MEAN_DIFFERENCE


def _verify_orphans(listed: list[StoredFile], found: Verified, options: VerificationOptions) -> None:
    """Find the files that no row names, folder by folder, and delete them if that is wanted."""
    newest = files.now() - options.youngest.total_seconds()
    by_set: dict[str, list[StoredFile]] = {}
    for file in listed:
        by_set.setdefault(PurePosixPath(file.path).parent.name, []).append(file)
    for name, of_set in by_set.items():
        known = recorded_paths(name)
        for file in of_set:
            if file.path in known or file.modified_at > newest:
                continue
            found.orphans.append(file.path)
            # Asked again: a worker may have recorded it since.
            if options.deletes and file.path not in recorded_paths(name):
                files.delete(file.path)
                found.deleted_count += 1
        if options.deletes:
            for folder in FOLDERS:
                files.prune(f"{folder}/{name}")


def _regenerate(found: Verified, options: VerificationOptions) -> None:
    """Queue the jobs of the images whose file is lost, or damaged and therefore deleted, again."""
    queued: set[int] = set()
    damaged = set(found.damaged)
    for path in (*found.lost, *found.damaged):
        jobs = _jobs_of(path)
        endpoint = jobs[0].image_set.diffusion_model.endpoint if jobs else ""
        if not jobs:
            found.without_a_job.append(path)
        elif endpoint and not options.asks_endpoints:
            found.of_endpoints[endpoint] += 1
        elif path not in damaged or _is_deleted(path, found):
            queued.update(job.pk for job in jobs)
    # Queued last: a job that runs makes only what has no file by then.
    found.requeued_count = sum([requeue(GenerationJob.objects.filter(pk=job)) for job in sorted(queued)])


def _is_deleted(path: str, found: Verified) -> bool:
    try:
        files.delete(path)
    except IN_THE_WAY:
        found.blocked.append(path)
        return False
    return True


def _jobs_of(path: str) -> list[GenerationJob]:
    """Return the jobs that make an image: those of the first set that shows it and was generated."""
    images = GeneratedImage.objects.filter(path=path, image_set__origin=ImageSet.Origin.GENERATED)
    for image in images.select_related("image_set").order_by("pk"):
        jobs = image.image_set.jobs.select_related("image_set__diffusion_model")
        if makers := [job for job in jobs if image.seed in job.seeds]:
            return makers
    return []
