"""Image files: read what others made with suspicion, write our own so that a crash leaves whole files only."""

import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from PIL import Image, UnidentifiedImageError

from generation.models import GeneratedImage
from generation.pixels import as_srgb
from generation.refusals import Refused

SUFFIXES = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "WEBP": (".webp",)}


def media(relative: str) -> Path:
    """Where a path below the media folder lies."""
    return Path(settings.MEDIA_ROOT) / relative


def open_image(image: GeneratedImage) -> Image.Image:
    """The pixels of a recorded image, mode RGB. Raises Refused naming set, seed and file where it cannot be read."""
    try:
        return read_image(media(image.path))
    except Refused as refusal:
        raise Refused(f"The image of {image.image_set}, seed {image.seed} ({image.path}) {refusal}.") from None


def read_image(path: Path) -> Image.Image:
    """An untrusted image file, decoded to the end, as sRGB without metadata.

    Raises Refused with the reason: not a PNG, JPEG or WebP, named as another format than it is, animated, more
    than settings.IMAGE_MOST_BYTES or settings.IMAGE_MOST_PIXELS, truncated or damaged. The reason names no path:
    the caller knows which one is worth showing.
    """
    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=tuple(SUFFIXES)) as image:
                _check_header(image, path)
                return as_srgb(image)
    except UnidentifiedImageError:
        raise Refused("is not an image: PNG, JPEG and WebP are read") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refused(f"has more than {settings.IMAGE_MOST_PIXELS:,} pixels") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise on broken data
        raise Refused(f"is truncated or damaged ({error})") from None


def _check_file(path: Path) -> None:
    try:
        if not path.is_file():
            raise Refused("is not there" if not path.exists() else "is not a file")
    except OSError as error:  # a name that is too long, say
        raise Refused(f"cannot be read ({error.strerror})") from None
    if path.stat().st_size > settings.IMAGE_MOST_BYTES:
        raise Refused(f"is larger than {settings.IMAGE_MOST_BYTES:,} bytes")


def _check_header(image: Image.Image, path: Path) -> None:
    if image.width * image.height > settings.IMAGE_MOST_PIXELS:
        raise Refused(f"has more than {settings.IMAGE_MOST_PIXELS:,} pixels")
    if path.suffix.lower() not in SUFFIXES[str(image.format)]:
        raise Refused(f"is a {image.format} file, which its name does not say")
    if getattr(image, "is_animated", False):
        raise Refused("is animated: one still image is wanted")


@contextmanager
def written(target: Path, data: bytes) -> Iterator[Path]:
    """A temporary file beside `target` that holds the data safely on disk; whoever wants it puts it in place.

    It is gone when the block ends, put in place or not. Its name begins with the target's, so that `sweep` finds
    what a killed process left.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield part
    finally:
        part.unlink(missing_ok=True)


def put_in_place(part: Path, target: Path) -> None:
    """Rename, and make the name itself safe against a power cut."""
    part.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write(target: Path, data: bytes) -> None:
    """Write a file that is either whole or not there."""
    with written(target, data) as part:
        put_in_place(part, target)


def sweep(target: Path) -> None:
    """Remove the temporary files that killed processes left beside `target`."""
    for part in target.parent.glob(f"{target.name}.*.part"):
        part.unlink(missing_ok=True)
