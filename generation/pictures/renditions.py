"""Make the renditions of an image when it is recorded, and again if one is missing."""

from contextlib import suppress
from pathlib import PurePosixPath

from generation.models import GeneratedImage
from generation.pictures.files import media, open_image
from generation.pictures.thumbnails import SIZES, encode
from jobs.whole_files import sweep, write

__all__ = ["SIZES", "encode", "forget", "make", "mend", "paths", "read"]


def make(image: GeneratedImage) -> None:
    """Make every rendition. The same pixels give the same bytes (with the same library versions)."""
    original = open_image(image)
    for name, path in paths(image.path).items():
        write(media(path), encode(original, name))


def mend(image: GeneratedImage) -> None:
    """Delete the temporary files of a killed process, and make the missing renditions."""
    files = [media(path) for path in paths(image.path).values()]
    for file in files:
        sweep(file)
    if not all(file.exists() for file in files):
        make(image)


def read(image: GeneratedImage, name: str) -> bytes:
    """Return one rendition's WebP bytes; a missing file is made again. KeyError for a name not in SIZES."""
    file = media(paths(image.path)[name])
    try:
        return file.read_bytes()
    except FileNotFoundError:
        make(image)
        return file.read_bytes()


def paths(image_path: str) -> dict[str, str]:
    """Return the path of each rendition below the media folder: renditions/<set uid>/<seed>-<name>-<side>.webp."""
    file = PurePosixPath(image_path)
    return {name: f"renditions/{file.parent.name}/{file.stem}-{name}-{side}.webp" for name, side in SIZES.items()}


def forget(image_path: str) -> None:
    """Delete every rendition of a deleted image, including those of earlier versions."""
    file = PurePosixPath(image_path)
    folder = media(f"renditions/{file.parent.name}")
    for rendition in folder.glob(f"{file.stem}-*.webp"):
        rendition.unlink(missing_ok=True)
    with suppress(OSError):  # others lie in it
        folder.rmdir()
