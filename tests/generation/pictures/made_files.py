"""Image files made without an encoder: every kind of PNG, chunk by chunk, and ICC profiles."""

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO

from PIL import Image, ImageCms

Chunks = Sequence[tuple[bytes, bytes]]
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # PNG's colour types
# Columns of Apple's Display P3, adapted to D50.
P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))


def png(row: bytes, *, width: int, depth: int = 8, kind: int = RGB, chunks: Chunks = ()) -> bytes:
    """A PNG of one row."""
    head = struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in parts)


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG, with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    """A PNG's chunk that holds a profile."""
    return b"iCCP", b"profile\0\0" + zlib.compress(profile)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """A file that Pillow writes."""
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    """EXIF that holds an orientation only."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def srgb_profile() -> bytes:
    """Pillow's own."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def p3_profile() -> bytes:
    """The sRGB profile with the primaries of Display P3."""
    data = bytearray(srgb_profile())
    for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), P3, strict=True):
        at = data.index(tag)  # in the table of tags: signature, offset, size
        start = int.from_bytes(data[at + 4 : at + 8], "big") + 8
        data[start : start + 12] = b"".join(_fixed(value) for value in column)
    return bytes(data)


def grey_profile(gamma: float) -> bytes:
    """A grey ICC profile whose tone curve is a power function."""
    return grey_curve_profile(parametric(0, gamma))


def curve_profile(curve: bytes) -> bytes:
    """An RGB profile with the colours of sRGB and one curve for all three."""
    names = ((b"r", (0.4361, 0.2225, 0.0139)), (b"g", (0.3851, 0.7169, 0.0971)), (b"b", (0.1431, 0.0606, 0.7141)))
    tags = {name + b"XYZ": b"XYZ " + bytes(4) + b"".join(map(_fixed, column)) for name, column in names}
    return _profile(b"RGB ", b"mntr", b"XYZ ", tags | {name + b"TRC": curve for name, _column in names})


def grey_curve_profile(curve: bytes) -> bytes:
    """A grey profile with a curve."""
    return _profile(b"GRAY", b"mntr", b"XYZ ", {b"kTRC": curve})


def parametric(kind: int, *numbers: float) -> bytes:
    """A parametric curve of ICC.1, table 67."""
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + b"".join(map(_fixed, numbers))


def tabulated(*values: int) -> bytes:
    """A curve of ICC.1 given by a table of 16-bit values; of one value, by a gamma in 256ths."""
    return b"curv" + bytes(4) + struct.pack(f">I{len(values)}H", len(values), *values)


def cmyk_profile() -> bytes:
    """A CMYK profile whose every corner but bare paper is some grey: far from the naive conversion."""
    corners = b"".join(
        bytes((255 - 40 * corner.bit_count() - 20 * (corner & 1), 128 + 5 * (corner & 1), 128 - 4 * (corner >> 3)))
        for corner in range(16)
    )
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + b"".join(map(_fixed, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    return _profile(b"CMYK", b"prtr", b"Lab ", {b"A2B0": lut + ramp * 4 + corners + ramp * 3})


def overlapping_tags(count: int) -> bytes:
    """A sound profile of half a megabyte with this many more tags, each nearly as large as the profile."""
    data = srgb_profile() + bytes(2**19)
    start = 132 + 12 * int.from_bytes(data[128:132], "big")
    shifted = 12 * count
    table = [struct.unpack_from(">4sII", data, at) for at in range(132, start, 12)]
    size = len(data) + shifted
    entries = [(name, at + shifted, length) for name, at, length in table]
    entries += [(f"{number:04}".encode(), 1, size - 1) for number in range(count)]
    packed = b"".join(struct.pack(">4sII", *entry) for entry in entries)
    return struct.pack(">I", size) + data[4:128] + struct.pack(">I", len(entries)) + packed + data[start:]


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _profile(space: bytes, device: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    white = b"".join(map(_fixed, (0.9642, 1, 0.8249)))
    tags = {b"wtpt": b"XYZ " + bytes(4) + white, **tags}
    at, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s28s12s", at + len(body), b"", 0x02400000, device, space, connection, b"", b"acsp", b"", white
    )
    return head.ljust(128, b"\0") + table + body
