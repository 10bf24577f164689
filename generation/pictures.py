"""Read untrusted image files. Pure of Django, so that a process that only reads images starts at once."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from generation.pixels import as_srgb
from generation.refusals import Refused

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
# By Pillow's name of the format. MPO is a JPEG with further pictures behind the first, as phones and cameras write.
SUFFIXES = {"PNG": (".png",), "JPEG": _JPEG, "MPO": _JPEG, "WEBP": (".webp",)}
_SRGB_BY_CICP = bytes((1, 13, 0, 1))


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an image file may be."""

    pixel_count: int
    byte_count: int


def read_bytes(path: Path, limits: Limits) -> bytes:
    """A file's content. Raises Refused with the reason; it names no path: the caller knows which is worth showing."""
    try:
        if not path.is_file():
            raise Refused("is not a file" if path.exists() else "is not there")
        if path.stat().st_size > limits.byte_count:
            raise Refused(f"is larger than {limits.byte_count:,} bytes")
        return path.read_bytes()
    except OSError as error:  # no permission, a name that is too long, a disk that fails
        raise Refused(f"cannot be read ({error.strerror})") from None


def decode(data: bytes, *, suffix: str, limits: Limits) -> Image.Image:
    """The first picture of an image file as `as_srgb` gives it, decoded to the end.

    Raises Refused with the reason: not a PNG, JPEG or WebP, named as another format than it is (`suffix`), animated,
    more pixels than the limit, truncated or damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Pillow reads all the same
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
                _check_header(image, suffix, limits)
                _check_cicp(data)
                return as_srgb(image)
    except Refused:
        raise
    except UnidentifiedImageError:
        raise Refused("is not an image: PNG, JPEG and WebP are read") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refused(f"has more than {limits.pixel_count:,} pixels") from None
    except Exception as error:  # what decoders raise on foreign bytes has no end
        raise Refused(f"is truncated or damaged ({error})") from None


def _check_header(image: Image.Image, suffix: str, limits: Limits) -> None:
    if image.width * image.height > limits.pixel_count:
        raise Refused(f"has more than {limits.pixel_count:,} pixels")
    if suffix.lower() not in SUFFIXES[str(image.format)]:
        kind = "JPEG" if image.format == "MPO" else image.format
        raise Refused(f"is a {kind} file, which its name does not say")
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise Refused("is animated: one still image is wanted")


def _check_cicp(data: bytes) -> None:
    """PNG's cICP stands above every other word on colours, and Pillow does not read it."""
    if any(kind == b"cICP" and content != _SRGB_BY_CICP for kind, content in _png_head(data)):
        raise Refused("gives its colours as cICP (wide gamut or HDR), which is not read: save it in sRGB")


def _png_head(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG before its pixels; nothing for other files."""
    at = 8 if data.startswith(b"\x89PNG\r\n\x1a\n") else len(data)
    while at + 8 <= len(data) and (kind := data[at + 4 : at + 8]) != b"IDAT":
        length = int.from_bytes(data[at : at + 4], "big")
        yield kind, data[at + 8 : at + 8 + length] if kind == b"cICP" else b""
        at += 12 + length
