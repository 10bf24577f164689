"""Refuse files whose colours viewers read differently, because their parts contradict each other or are damaged."""

import zlib

import numpy as np
from PIL import Image

from generation.pictures.containers import jpeg_segments, png_chunks, webp_chunks
from jobs.refusals import Refused

_SRGB_BY_CICP = bytes((1, 13, 0, 1))
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_COLOURS = (b"PLTE", b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP")  # at most once, before the pixels
_MOST_PROFILE = 2**20  # bytes; Pillow reads no larger one from a PNG
_APP2, _ICC = 0xE2, b"ICC_PROFILE\0"
_HAS_ALPHA = 0x10  # of the flags in VP8X
_PALETTE = 3


def check_png(data: bytes) -> None:
    """Refuse a PNG with a colour chunk that is damaged, misplaced or repeated, or one that is not known.

    Of two chunks, Pillow uses the last and browsers the first. Only Pillow uses chunks behind the pixels. Browsers
    end the pixels at the first other chunk.
    """
    seen: set[bytes] = set()
    last = b""
    for kind, content, checksum in png_chunks(data):
        if kind in _COLOURS:
            is_misplaced = bool(seen & {b"IDAT", kind}) or (_is_of_palette(data, kind) and b"PLTE" not in seen)
            if is_misplaced or zlib.crc32(kind + content) != checksum or not _is_whole(kind, content, data):
                raise Refused(f"has a chunk {kind.decode()} that is damaged, misplaced or repeated: save it again")
        elif kind[:1].isupper() and kind not in _CRITICAL:
            raise Refused("needs a kind of chunk that is not known: save it as a plain PNG")
        elif kind == b"IDAT" and kind in seen and last != kind:
            raise Refused("has another chunk between its pixels: save it again")
        seen.add(kind)
        last = kind


def check_palette(data: bytes, image: Image.Image) -> None:
    """Refuse a PNG whose pixels use colours that its palette lacks."""
    if image.mode == "P":
        palette = next((content for kind, content, _ in png_chunks(data) if kind == b"PLTE"), b"")
        if int(np.asarray(image).max()) >= len(palette) // 3:
            raise Refused("is damaged: it uses colours that its palette lacks")


def check_jpeg(data: bytes) -> None:
    """Refuse a JPEG whose colour profile lacks a piece or has one twice."""
    pieces = [tuple(content[12:14]) for kind, content in jpeg_segments(data) if kind == _APP2 and content[:12] == _ICC]
    if sorted(pieces) != [(number, len(pieces)) for number in range(1, len(pieces) + 1)]:
        raise Refused("has a colour profile with pieces that are missing or repeated: save it in sRGB")


def check_webp(data: bytes, image: Image.Image) -> None:
    """Refuse a WebP with transparent pixels whose header says that it has none."""
    flags = next((content[:1] for kind, content in webp_chunks(data) if kind == b"VP8X"), b"")
    if flags and not flags[0] & _HAS_ALPHA and image.mode == "RGBA":
        raise Refused("is damaged: its header says that it is opaque, and its pixels are not")


def says_srgb(data: bytes) -> bool:
    """Return whether a PNG has a cICP chunk of sRGB, which overrides all its other colour chunks.

    Raises Refused for one of other colours: Pillow does not read it.
    """
    found = next((content for kind, content, _ in png_chunks(data) if kind == b"cICP"), None)
    if found not in (None, _SRGB_BY_CICP):
        raise Refused("gives its colours as cICP (wide gamut or HDR), which is not read: save it in sRGB")
    return found is not None


def _is_of_palette(data: bytes, kind: bytes) -> bool:
    return kind == b"tRNS" and data[25] == _PALETTE


def _is_whole(kind: bytes, content: bytes, data: bytes) -> bool:
    """Return whether a chunk has the size and the values that the PNG standard allows."""
    if kind == b"iCCP":
        return _is_packed_profile(content)
    if kind == b"sRGB":
        return len(content) == 1 and content[0] < 4
    if kind in (b"gAMA", b"cHRM"):  # whole numbers of 31 bits
        return len(content) == (4 if kind == b"gAMA" else 32) and all(high < 0x80 for high in content[::4])
    if kind == b"tRNS":
        return _is_transparent_tone(content, depth=data[24], channels={0: 1, 2: 3}.get(data[25], 0))
    return True


def _is_packed_profile(content: bytes) -> bool:
    name, _, packed = content.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(packed[1:], _MOST_PROFILE)
    except zlib.error:
        return False
    return bool(name) and packed[:1] == b"\0" and unpacker.eof


def _is_transparent_tone(content: bytes, *, depth: int, channels: int) -> bool:
    tones = [int.from_bytes(content[at : at + 2], "big") for at in range(0, len(content), 2)]
    return not channels or (len(content) == 2 * channels and max(tones) < 1 << depth)
