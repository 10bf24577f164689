"""Decide whether an ICC profile is applied, ignored as in browsers, or refused. Pure."""

import struct
from collections.abc import Mapping, Sequence

from jobs.refusals import Refused

_CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")
_SPACES = (b"RGB ", b"GRAY", b"CMYK")
_D50 = (0.9642, 1.0, 0.8249)
_FAR = 0.3
_STEEP = 16
_NEWEST = 4  # the major version; LittleCMS also reads version 5, browsers do not
_IMPOSSIBLE = "has a colour profile with a curve that viewers read differently: save it in sRGB"
# Tags that LittleCMS obeys and browsers ignore, or the other way round.
_DISPUTED = (b"cicp", b"D2B0", b"D2B1", b"D2B2")
COLUMNS, CURVES = (b"rXYZ", b"gXYZ", b"bXYZ"), (b"rTRC", b"gTRC", b"bTRC")
# How many numbers a parametric curve has, by its type (ICC.1, table 67).
NUMBER_COUNTS = (1, 3, 4, 5, 7)
_MOST_TAGS = 100  # as LittleCMS; a profile of a camera or a screen has about 20
_NONE = memoryview(b"")
_UNUSUAL = "has a colour profile of an unusual kind, which viewers read differently: save it in sRGB"


def space_of(profile: bytes) -> str | None:
    """Return the colour space of a profile's pixels, RGB, GRAY or CMYK; None if browsers ignore it as broken.

    Raises Refused for a profile that viewers read differently: for other kinds of pixels than an image has, with tags
    that only some of them follow, or with tables, between whose entries they interpolate in their own ways.
    """
    tags = tags_of(profile)
    if tags is None:
        return None
    kind, space = profile[12:16], profile[16:20]
    has_tables = b"A2B0" in tags
    is_disputed = any(tag in tags for tag in _DISPUTED) or (b"A2B1" in tags and not has_tables)
    is_table = has_tables and space != b"CMYK"
    if kind not in _CLASSES or space not in _SPACES or is_disputed or is_table:
        raise Refused(_UNUSUAL)
    if space == b"RGB ":
        return _rgb_of_columns([tags.get(tag, _NONE) for tag in COLUMNS], [tags.get(tag, _NONE) for tag in CURVES])
    is_whole = space == b"CMYK" or _is_curve(tags.get(b"kTRC", _NONE))
    return space.decode().strip() if is_whole else None


def _rgb_of_columns(columns: Sequence[memoryview], curves: Sequence[memoryview]) -> str | None:
    """Return RGB if three colours and their curves are whole, else None."""
    are_colours = all(bytes(column[:4]) == b"XYZ " and len(column) >= 20 for column in columns)
    if not are_colours or not all(map(_is_curve, curves)):
        return None
    sums = map(sum, zip(*(struct.unpack_from(">3i", column, 8) for column in columns), strict=True))
    # Old profiles add up to the white of their screen; the arithmetic of viewers differs far from any white.
    if any(abs(value / 65536 - wanted) > _FAR for value, wanted in zip(sums, _D50, strict=True)):
        raise Refused("has a colour profile with impossible colours: save it in sRGB")
    return "RGB"


def tags_of(profile: bytes) -> Mapping[bytes, memoryview] | None:
    """Return a profile's tags by their names; None if its header or its table of tags is not sound.

    The tags are views, not copies: a small file could fill the memory with tags that overlap. Raises Refused for more
    tags than some viewers read.
    """
    try:
        size, version = struct.unpack_from(">I4xB", profile)
        white = struct.unpack_from(">3i", profile, 68)
        (count,) = struct.unpack_from(">I", profile, 128)
        # A file may hold bytes behind its profile, never fewer than the header says.
        if profile[36:40] != b"acsp" or not 132 + 12 * count <= size <= len(profile) or version > _NEWEST:
            return None
        if any(abs(value / 65536 - wanted) > 0.01 for value, wanted in zip(white, _D50, strict=True)):
            return None
        if count > _MOST_TAGS:
            raise Refused(_UNUSUAL)
        entries = [struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(count)]
    except struct.error:
        return None
    if any(length < 4 or start + length > size for _, start, length in entries):
        return None
    whole = memoryview(profile)
    return {name: whole[start : start + length] for name, start, length in reversed(entries)}


def _is_curve(tag: memoryview) -> bool:
    """Return whether a tag is a curve that has all its numbers and is defined everywhere."""
    if bytes(tag[:4]) == b"curv" and len(tag) >= 12:
        if bytes(tag[8:14]) == b"\0\0\0\1\0\0":
            raise Refused(_IMPOSSIBLE)  # gamma 0
        return len(tag) >= 12 + 2 * int.from_bytes(tag[8:12], "big")
    kind = int.from_bytes(tag[8:10], "big")
    if bytes(tag[:4]) == b"para" and kind < len(NUMBER_COUNTS) and len(tag) >= 12 + 4 * NUMBER_COUNTS[kind]:
        return _is_defined(numbers_of(tag, NUMBER_COUNTS[kind]))
    return False


def numbers_of(tag: memoryview, count: int) -> list[float]:
    """Return the numbers of a parametric curve."""
    return [value / 65536 for value in struct.unpack_from(f">{count}i", tag, 12)]


def _is_defined(numbers: Sequence[float]) -> bool:
    """Return whether (a x + b) ** g for x >= d, and c x below it, is defined. numbers: g; or g, a, b, c, d and more.

    Raises Refused for the types 1 and 2, whose d is -b / a: viewers round it differently.
    """
    gamma, *others = numbers
    if max(map(abs, numbers)) > _STEEP or gamma == 0 or len(others) in (2, 3):
        raise Refused(_IMPOSSIBLE)
    if not others:
        return gamma > 0
    scale, offset, slope, bound = others[:4]
    return min(gamma, scale, slope, bound) >= 0 and scale * bound + offset >= 0
