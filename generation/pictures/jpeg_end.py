"""Find JPEGs whose pixels end early. The decoder reads such a file without an error and makes the rest grey."""

import re
from io import BytesIO

from PIL import Image

_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # in a scan: neither a stuffed zero nor a restart marker
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_ARITHMETIC = range(0xC9, 0xD0)  # frames of this coding may leave zeros out at the end
# Bits that no decoder takes for padding, between all restart markers, so that it finds the one it waits for.
_MORE = b"".join(b"\x5a\xa5\x33" * 40 + bytes((0xFF, 0xD0 + number)) for number in range(8)) * 2


def lacks_pixels(data: bytes, image: Image.Image) -> bool:
    """Return whether the picture that was decoded from a JPEG file ends before its last pixel.

    Further bits are put before the picture's end: a decoder that has all pixels ignores them.
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
