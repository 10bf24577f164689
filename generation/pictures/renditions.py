"""Make the renditions of an image when it is recorded, and again if one is missing."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from PIL import Image

from generation.models import GeneratedImage
from generation.pictures import files
from generation.pictures.image_storage import Damaged
from generation.pictures.thumbnails import SIZES, encode

__all__ = ["SIZES", "encode", "forget", "make", "mend", "paths", "read"]


def make(image: GeneratedImage, original: Image.Image | None = None) -> None:
    """Make every rendition. The same pixels give the same bytes (with the same library versions).

    original: the image's pixels, if they are in memory; else its file is read.
    """
    pixels = original or files.open_image(image)
    for name, path in paths(image.path).items():
        files.write(path, encode(pixels, name))


def mend(images: Iterable[GeneratedImage]) -> None:
    """Delete the temporary files of a killed process, and make the missing renditions."""
    for image in images:
        wanted = paths(image.path).values()
        for path in wanted:
            files.sweep(path)
        if not all(files.exists(path) for path in wanted):
            make(image)


def read(image: GeneratedImage, name: str) -> bytes:
    """Return one rendition's WebP bytes for a page; a missing or cut file is made again. KeyError for another name.

    Raises Refused if the image is lost, StorageAway if the storage does not answer.
    """
    path = paths(image.path)[name]
    key = f"{image.sha256} {name}"
    if copy := files.copy_of(key):
        return copy
    content = _stored(path)
    if not content:
        content = encode(files.open_image(image, is_brisk=True), name)
        files.write(path, content, is_brisk=True)
    files.keep_copy(key, content)
    return content


def _stored(path: str) -> bytes:
    """Return a rendition's content; empty if its file is missing, damaged or shorter than its header says."""
    try:
        content = files.read(path, is_brisk=True)
    except (FileNotFoundError, Damaged):
        return b""
    return content if len(content) == int.from_bytes(content[4:8], "little") + 8 else b""


def paths(image_path: str) -> dict[str, str]:
    """Return the path of each rendition: renditions/<set uid>/<seed>-<name>-<side>.webp."""
    file = PurePosixPath(image_path)
    return {name: f"{folder(image_path)}/{file.stem}-{name}-{side}.webp" for name, side in SIZES.items()}


def folder(image_path: str) -> str:
    """Return the folder of the renditions of an image's set."""
    return f"renditions/{PurePosixPath(image_path).parent.name}"


def forget(image_path: str) -> None:
    """Delete every rendition of a deleted image, including those of earlier versions."""
    beginning = f"{folder(image_path)}/{PurePosixPath(image_path).stem}-"
    for file in list(files.stored(folder(image_path))):
        if file.path.startswith(beginning) and file.path.endswith(".webp"):
            files.delete(file.path)
