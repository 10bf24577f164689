"""The image files of this installation: their paths, and reading them within its limits."""

from pathlib import Path

from django.conf import settings
from PIL import Image

from generation.models import GeneratedImage
from generation.pictures.reading import Limits, decode, read_bytes
from jobs.refusals import Refused


def media(relative: str) -> Path:
    """Return the absolute path of a path below the media folder."""
    return Path(settings.MEDIA_ROOT) / relative


def limits() -> Limits:
    """Return the size limits of this installation."""
    return Limits(pixel_count=settings.IMAGE_MOST_PIXELS, byte_count=settings.IMAGE_MOST_BYTES)


def open_image(image: GeneratedImage) -> Image.Image:
    """Return the pixels of a recorded image, mode RGB. Raises Refused naming set, seed and file if it is unreadable."""
    try:
        return read_image(media(image.path))
    except Refused as refusal:
        raise Refused(f"The image of {image.image_set}, seed {image.seed} ({image.path}) {refusal}.") from None


def read_image(path: Path) -> Image.Image:
    """Read an untrusted image file: fully decoded, as sRGB, without metadata. Raises Refused with the reason.

    The reason names no path: the caller knows which one to show.
    """
    return decode(read_bytes(path, limits()), suffix=path.suffix, limits=limits())
