"""Score folders of images on disk, without a database or image sets."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from generation.imports.layouts import LEFT_BEHIND
from generation.pictures.files import read_image
from generation.pictures.pixels import is_plain
from generation.pictures.reading import SUFFIXES
from generation.weights.checkpoints import on_disk
from jobs.cores import core_count
from jobs.refusals import Refused
from scoring.consistency import semantic_consistency_score
from scoring.encoder_spec import ImageEncoder

CHUNK_SIZE = 32  # images held decoded at a time
# Formats that cannot be read are included, so that such files are reported and not silently ignored.
UNREAD_SUFFIXES = {".avif", ".bmp", ".gif", ".heic", ".jxl", ".tif", ".tiff"}
IMAGE_SUFFIXES = UNREAD_SUFFIXES.union(*SUFFIXES.values())


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """A folder and the image files in it (by their names), sorted."""

    name: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class NotedImage:
    """A file with a remark: why it was left out, or why it says little."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class FolderScore:
    """The score of one folder over its `image_count` readable images, or None with the reason.

    broken: files that were left out. remarks: on images that count although they say little: of one colour, or equal
    to another one.
    """

    folder: str
    score: float | None
    image_count: int
    reason: str
    broken: tuple[NotedImage, ...]
    remarks: tuple[NotedImage, ...] = ()


def find_image_folders(root: Path) -> list[ImageFolder]:
    """Find every folder with image files, by its path below `root` ("." is `root` itself).

    Hidden files and folders are ignored, links to folders are not followed. Raises Refused if there is no image file.
    """
    if not on_disk(root):
        raise Refused(f"There is no folder {root}.")
    if not root.is_dir():
        raise Refused(f"{root} is not a folder: give the folder that holds the images.")
    with_images = [folder for folder in _walk(root) if folder.files]
    if not with_images:
        raise Refused(f"{root} holds no images, nor do the folders in it: PNG, JPEG and WebP are read.")
    return sorted(with_images, key=lambda folder: folder.name)


def score_image_folder(folder: ImageFolder, encoder: ImageEncoder, *, advance: Callable[[int], None]) -> FolderScore:
    """Score a folder's readable images; `advance` is called with the number of files done."""
    broken: list[NotedImage] = []
    seen = _Seen()
    chunks = []
    for start in range(0, len(folder.files), CHUNK_SIZE):
        files = folder.files[start : start + CHUNK_SIZE]
        chunks.append(encoder.embed(list(_readable(files, broken, seen))))
        advance(len(files))
    embeddings = np.concatenate(chunks)
    score, reason = None, ""
    if len(embeddings) < 2:
        reason = f"a score needs two images, and {len(embeddings)} can be read"
    else:
        try:
            score = semantic_consistency_score(embeddings)
        except ValueError as error:
            reason = str(error)
    return FolderScore(folder.name, score, len(embeddings), reason, tuple(broken), tuple(seen.remarks))


def _refuse(error: OSError) -> None:
    raise Refused(f"{error.filename} cannot be read: {error.strerror}.")


def _walk(root: Path) -> Iterator[ImageFolder]:
    for path, inner, names in os.walk(root, onerror=_refuse):
        inner[:] = [name for name in inner if not name.startswith(".") and name.lower() not in LEFT_BEHIND]
        files = sorted(
            Path(path, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
        )
        yield ImageFolder(Path(path).relative_to(root).as_posix(), tuple(files))


class _Seen:
    """The images of a folder so far, to find images of one colour and repeated ones."""

    def __init__(self) -> None:
        self.remarks: list[NotedImage] = []
        self._first: dict[bytes, str] = {}

    def look(self, read: "_Read", name: str) -> None:
        """Remember the image, and add a remark if it says little."""
        if read.is_plain:
            self.remarks.append(NotedImage(name, "is of one colour"))
        elif (first := self._first.setdefault(read.sha256, name)) != name:
            self.remarks.append(NotedImage(name, f"is the same image as {first}"))


@dataclass(frozen=True, slots=True)
class _Read:
    """An image that could be read. sha256, is_plain: to find repeated images and images of one colour."""

    image: Image.Image
    sha256: bytes
    is_plain: bool


def _read(file: Path) -> _Read | Refused:
    try:
        image = read_image(file)
    except Refused as refusal:
        return refusal
    return _Read(image, hashlib.sha256(repr(image.size).encode() + image.tobytes()).digest(), is_plain(image))


def _readable(files: Sequence[Path], broken: list[NotedImage], seen: _Seen) -> Iterator[Image.Image]:
    """Yield the images of files that can be read; they are read on every core."""
    with ThreadPoolExecutor(core_count(), thread_name_prefix="reading") as pool:
        for file, read in zip(files, pool.map(_read, files), strict=True):
            if isinstance(read, Refused):
                broken.append(NotedImage(file.name, str(read)))
            else:
                seen.look(read, file.name)
                yield read.image
