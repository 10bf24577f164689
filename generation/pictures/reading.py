"""Read untrusted image files. It does not import Django, so that a process that only reads images starts quickly."""

import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from generation.pictures.container_checks import check_jpeg, check_palette, check_png, check_webp, says_srgb
from generation.pictures.containers import PNG, png_chunks, without_texts
from generation.pictures.orientation import turn_of
from generation.pictures.pixels import as_srgb
from jobs.refusals import Refused

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
# By Pillow's name of the format. MPO is a JPEG followed by more pictures, as phones and cameras write it.
SUFFIXES = {"PNG": (".png",), "JPEG": _JPEG, "MPO": _JPEG, "WEBP": (".webp",)}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG, by its colour type
# Of an interlaced PNG: the first column and row of each pass, and the steps between them.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # in a scan: neither a stuffed zero nor a restart marker
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_ARITHMETIC = range(0xC9, 0xD0)  # frames of this coding may leave zeros out at the end
# Bits that no decoder takes for padding, between all restart markers, so that it finds the one it waits for.
_MORE = b"".join(b"\x5a\xa5\x33" * 40 + bytes((0xFF, 0xD0 + number)) for number in range(8)) * 2


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest file and the largest image that are read."""

    pixel_count: int
    byte_count: int


def read_bytes(path: Path, limits: Limits) -> bytes:
    """Return a file's content. Raises Refused with the reason, which names no path: the caller knows which to show."""
    try:
        if not path.is_file():
            raise Refused("is not a file" if path.exists() else "is not there")
        if path.stat().st_size > limits.byte_count:
            raise Refused(f"is larger than {limits.byte_count:,} bytes")
        return path.read_bytes()
    except OSError as error:  # no permission, a name that is too long, a disk that fails
        raise Refused(f"cannot be read ({error.strerror})") from None


def decode(data: bytes, *, suffix: str, limits: Limits) -> Image.Image:
    """Decode the first picture of an image file fully, and return it converted by `as_srgb`.

    Raises Refused with the reason: not a PNG, JPEG or WebP, a wrong file name extension (`suffix`), animated, more
    pixels than the limit, truncated or damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that Pillow reads nevertheless
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            check_png(data)
            data = without_texts(data)
            with Image.open(BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
                _check_header(image, suffix, limits)
                _settle_colours(data, image)
                decoded = as_srgb(image)
                _check_pixels(data, image)
                turn = turn_of(data, image)
                return decoded if turn is None else decoded.transpose(turn)
    except Refused:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refused(f"has more than {limits.pixel_count:,} pixels") from None
    except Exception as error:  # decoders raise errors of many kinds on damaged files
        if isinstance(error, UnidentifiedImageError) and not _begins_like_an_image(data):
            raise Refused("is not a PNG, JPEG or WebP file") from None
        # Pillow calls pixels that end early truncated, except in an interlaced PNG.
        is_short = "truncated" in str(error) or _png_lacks_pixels(data)
        reason = "pixels are missing" if is_short else "it cannot be decoded"
        raise Refused(f"is truncated or damaged ({reason})") from None


def _begins_like_an_image(data: bytes) -> bool:
    """Return whether a file begins as PNG, JPEG and WebP do. Pillow also fails to identify such a file if its header
    or one of its chunks is damaged, or its pixels have 12 bits."""
    return data.startswith((PNG, b"\xff\xd8\xff")) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _check_header(image: Image.Image, suffix: str, limits: Limits) -> None:
    if image.width * image.height > limits.pixel_count:
        raise Refused(f"has more than {limits.pixel_count:,} pixels")
    if suffix.lower() not in SUFFIXES[str(image.format)]:
        kind = "JPEG" if image.format == "MPO" else image.format
        raise Refused(f"is a {kind} file, which its name does not say")
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise Refused("is animated: one still image is wanted")


def _settle_colours(data: bytes, image: Image.Image) -> None:
    """Refuse contradictory parts, and drop what a PNG's cICP chunk overrides."""
    check_jpeg(data)
    check_webp(data, image)
    if says_srgb(data):
        for overridden in ("icc_profile", "gamma", "chromaticity"):
            image.info.pop(overridden, None)


def _check_pixels(data: bytes, image: Image.Image) -> None:
    """Refuse pixels that end early, which Pillow returns black (PNG) or grey (JPEG), and damaged ones of a PNG."""
    if not data.startswith(PNG):
        if image.format in ("JPEG", "MPO") and _jpeg_lacks_pixels(data, image):
            raise Refused("is truncated or damaged (pixels are missing)")
        return
    check_palette(data, image)
    pixels = [(content, checksum) for kind, content, checksum in png_chunks(data) if kind == b"IDAT"]
    if any(zlib.crc32(b"IDAT" + content) != checksum for content, checksum in pixels):
        raise Refused("is truncated or damaged (the checksum of its pixels is wrong)")
    # Inflating again costs as much as decoding, so only images that end in a black or transparent row are checked.
    ends_black = pixels and not np.asarray(image)[-2:].any(axis=tuple(range(1, np.asarray(image).ndim))).all()
    if ends_black and _png_lacks_pixels(data):
        raise Refused("is truncated or damaged (pixels are missing)")


def _png_lacks_pixels(data: bytes) -> bool:
    """Return whether a file is a PNG with fewer pixels than its header says."""
    packed = b"".join(content for kind, content, _ in png_chunks(data) if kind == b"IDAT")
    try:
        # No further: the rest is never shown, and may be made to fill the memory.
        wanted = _raw_byte_count(data) if data.startswith(PNG) else 0
        return len(zlib.decompressobj().decompress(packed, wanted)) < wanted
    except (zlib.error, struct.error, LookupError):  # damaged in another way
        return False


def _raw_byte_count(data: bytes) -> int:
    """Return the size of a PNG's inflated pixels by its header, with the filter byte of each row."""
    width, height, depth, colour_type, _, _, is_interlaced = struct.unpack(">IIBBBBB", data[16:29])
    bits = depth * _CHANNELS[colour_type]
    count = 0
    for left, top, across, down in _PASSES if is_interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        count += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return count


def _jpeg_lacks_pixels(data: bytes, image: Image.Image) -> bool:
    """Return whether the picture that was decoded from a JPEG file ends before its last pixel.

    The decoder reads such a file without an error and makes the rest grey. Further bits are put before the picture's
    end: a decoder that has all pixels ignores them.
    """
    end = _end_of_image(data)
    if end is None:
        return False
    try:
        with Image.open(BytesIO(data[:end] + _MORE + data[end:]), formats=("JPEG",)) as longer:
            return longer.tobytes() != image.tobytes()
    except OSError:  # it read these bits, and they are no picture
        return True


def _end_of_image(data: bytes) -> int | None:
    """Return the place of the end marker of the first picture; None if that proves nothing."""
    at = 2
    while at + 2 <= len(data) and data[at] == 0xFF:
        kind, at = data[at + 1], at + 2
        if kind == 0xFF:  # padding
            at -= 1
        elif kind == _END_OF_IMAGE:
            return at - 2
        elif kind in _ARITHMETIC and kind != 0xCC:
            return None
        else:
            at += int.from_bytes(data[at : at + 2], "big")
            if kind == _START_OF_SCAN:
                found = _MARKER.search(data, at)
                if found is None:
                    return None
                at = found.end() - 2
    return None
