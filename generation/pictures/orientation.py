"""Read from EXIF how an image must be turned."""

import struct

from PIL import ExifTags, Image

from generation.pictures.containers import jpeg_segments, png_chunks
from jobs.refusals import Refused

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_APP1 = 0xE1
_SHORT = 3  # EXIF's type of whole numbers of two bytes
_ENTRY = 12  # bytes


def turn_of(data: bytes, image: Image.Image) -> Image.Transpose | None:
    """Return the turn that shows an image file upright; None if it is upright, or its EXIF is broken.

    Raises Refused if viewers differ: browsers ignore the EXIF of a WebP, one behind the pixels of a PNG, and
    orientations in another form than the standard's, and other programs follow it. `image` is what Pillow opened.
    """
    of_browsers, of_others = TURNS.get(_of_browsers(data)), TURNS.get(_of_pillow(image))
    if of_browsers != of_others:
        raise Refused("has an EXIF orientation that viewers read differently: save it upright, without EXIF")
    return of_browsers


def _of_browsers(data: bytes) -> int:
    for kind, content, _ in png_chunks(data):
        if kind == b"IDAT":
            break
        if kind == b"eXIf":
            return _in_tiff(content)
    for marker, content in jpeg_segments(data):
        if marker == _APP1 and content[:5] == b"Exif\0":
            return _in_tiff(content[6:])
    return 1


def _in_tiff(data: bytes) -> int:
    """Return the orientation in a block of EXIF, or 1."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    try:
        if order is not None:
            (start,) = struct.unpack_from(f"{order}I", data, 4)
            (count,) = struct.unpack_from(f"{order}H", data, start)
            for at in range(start + 2, start + 2 + count * _ENTRY, _ENTRY):
                tag, kind, values, value = struct.unpack_from(f"{order}HHIH", data, at)
                if (tag, kind, values) == (ExifTags.Base.Orientation, _SHORT, 1):
                    return int(value)
    except struct.error:  # it is cut off
        pass
    return 1


def _of_pillow(image: Image.Image) -> int:
    """Return the orientation that Pillow reads, or 1.

    Viewers ignore an orientation in XMP or in a text chunk, which Pillow's getexif() would accept.
    """
    try:
        image.load()  # a PNG may carry EXIF behind its pixels
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # its decoder raises errors of many kinds on damaged files
        return 1
