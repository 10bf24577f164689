"""The image files of this installation: the only module that reads, writes, lists or deletes them.

They lie in the storage "images" of Django's STORAGES: a local folder, or an object storage.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import cast

from django.conf import settings
from django.core.files.storage import storages
from PIL import Image

from generation.models import GeneratedImage
from generation.pictures.image_storage import ImageStorage, Staged, StoredFile
from generation.pictures.page_cache import PageCache
from generation.pictures.reading import Limits, decode, read_bytes
from jobs.cores import core_count
from jobs.refusals import Refused


def storage() -> ImageStorage:
    """Return the storage of the image files."""
    return cast(ImageStorage, storages["images"])


def media_path(relative: str) -> Path:
    """Return the local path below the media folder, where an import writes temporary files whatever the storage is."""
    return Path(settings.MEDIA_ROOT) / relative


def limits() -> Limits:
    """Return the size limits of this installation."""
    return Limits(pixel_count=settings.IMAGE_MOST_PIXELS, byte_count=settings.IMAGE_MOST_BYTES)


def decoded(data: bytes, path: str) -> Image.Image:
    """Return the pixels of a file's content, mode RGB. Raises Refused with the reason, which names no path."""
    return decode(data, suffix=Path(path).suffix, limits=limits())


def open_image(image: GeneratedImage, *, is_brisk: bool = False) -> Image.Image:
    """Return the pixels of a recorded image, mode RGB. Raises Refused naming set, seed and file if it is unreadable.

    Raises StorageAway if the storage does not answer. is_brisk: for a page, which does not wait for long.
    """
    try:
        return decoded(_content(image.path, is_brisk), image.path)
    except Refused as refusal:
        raise _unreadable(image, refusal) from None


def open_images(images: Sequence[GeneratedImage]) -> list[Image.Image]:
    """Return the pixels of recorded images in their order, decoded on every core. Raises as `open_image`."""
    return [picture for _chunk, pictures in opened_in_chunks(images, max(len(images), 1)) for picture in pictures]


def opened_in_chunks(
    images: Sequence[GeneratedImage], size: int
) -> Iterator[tuple[Sequence[GeneratedImage], list[Image.Image]]]:
    """Yield recorded images, `size` at a time, with their pixels; raises as `open_image`.

    They are decoded on every core, and the next ones while the caller works: `2 * size` are held in memory.
    """
    chunks = [images[start : start + size] for start in range(0, len(images), size)]
    pool = ThreadPoolExecutor(core_count(), thread_name_prefix="decoding")
    try:
        decoding = [_decoding(pool, chunk) for chunk in chunks[:1]]
        for number, chunk in enumerate(chunks):
            decoding += [_decoding(pool, following) for following in chunks[number + 1 : number + 2]]
            yield chunk, [_pixels(image, future) for image, future in zip(chunk, decoding.pop(0), strict=True)]
    finally:
        pool.shutdown(cancel_futures=True)


def _decoding(pool: ThreadPoolExecutor, images: Sequence[GeneratedImage]) -> "list[Future[Image.Image]]":
    return [pool.submit(lambda path: decoded(_content(path, False), path), image.path) for image in images]


def _pixels(image: GeneratedImage, future: "Future[Image.Image]") -> Image.Image:
    # The sentence is made here and not in the thread, because naming a set may ask the database.
    try:
        return future.result()
    except Refused as refusal:
        raise _unreadable(image, refusal) from None


def _unreadable(image: GeneratedImage, why: Refused) -> Refused:
    return Refused(f"The image of {image.image_set}, seed {image.seed} ({image.path}) {why}.")


def read_image(path: Path) -> Image.Image:
    """Read an untrusted image file: fully decoded, as sRGB, without metadata. Raises Refused with the reason.

    The reason names no path: the caller knows which one to show.
    """
    return decode(read_bytes(path, limits()), suffix=path.suffix, limits=limits())


def stage(path: str, data: bytes, *, is_named_by_content: bool = True) -> AbstractContextManager[Staged]:
    """Write a file before the transaction that records it; `put` gives it its final name inside the transaction."""
    return storage().stage(path, data, is_named_by_content=is_named_by_content)


def sync(folder: str) -> None:
    """Make the names that `put` gave to files of a folder safe against a power cut."""
    storage().sync(folder)


def read(path: str, *, is_brisk: bool = False) -> bytes:
    """Return a file's content. Raises FileNotFoundError, or StorageAway if the storage does not answer."""
    return storage().read(path, is_brisk=is_brisk)


def write(path: str, data: bytes, *, is_brisk: bool = False) -> None:
    """Write a file that is whole or absent. An error is one that a job retries."""
    storage().write(path, data, is_brisk=is_brisk)


def exists(path: str) -> bool:
    """Return whether a file is there."""
    return storage().exists(path)


def delete(path: str) -> None:
    """Delete a file if it is there."""
    storage().delete(path)


def prune(folder: str) -> None:
    """Delete a folder if it is empty."""
    storage().prune(folder)


def sweep(path: str) -> None:
    """Delete the temporary files that killed processes left beside a path."""
    storage().sweep(path)


def stored(folder: str) -> Iterator[StoredFile]:
    """Yield every file below a folder, temporary ones too."""
    return storage().files(folder)


def now() -> float:
    """Return the time of the clock that dates the stored files: seconds since 1970."""
    return storage().now()


def copy_of(key: str) -> bytes | None:
    """Return this machine's copy of a file in an object storage; None if there is none, or files are local anyway."""
    return _copies().get(key) if storage().is_remote else None


def keep_copy(key: str, content: bytes) -> None:
    """Keep a copy of a file in an object storage on this machine, within IMAGE_CACHE_BYTES."""
    if storage().is_remote:
        _copies().put(key, content)


def _copies() -> PageCache:
    return _cache_in(Path(settings.IMAGE_CACHE_ROOT), settings.IMAGE_CACHE_BYTES)


@lru_cache
def _cache_in(folder: Path, byte_count: int) -> PageCache:
    return PageCache(folder, byte_count)


def sha256(data: bytes) -> str:
    """Return the hash under which a file's content is recorded."""
    return hashlib.sha256(data).hexdigest()


def _content(path: str, is_brisk: bool) -> bytes:
    """Return a file's content; raise Refused with the reason if this very file cannot be read."""
    try:
        return read(path, is_brisk=is_brisk)
    except FileNotFoundError:
        raise Refused("is not there") from None
    except OSError as error:  # a folder in its place, no permission, a disk that fails
        raise Refused(f"cannot be read ({error.strerror})") from None
