"""Turn the colour chunks of a PNG without an ICC profile into one. Pure.

If there is no profile, a colour-managed viewer follows these chunks: sRGB first, then gAMA and cHRM together.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.refusals import Refused

SRGB_GAMMA = 0.45455
SRGB_CHROMATICITY = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # white, red, green, blue: x and y of each
# libpng's own threshold: files say 0.45455 and mean sRGB, whose curve is not quite a power.
GAMMA_THRESHOLD = 0.05
CHROMATICITY_THRESHOLD = 0.002
_D50 = (0.9642, 1.0, 0.8249)  # the white of an ICC profile
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

Matrix = npt.NDArray[np.float64]


def profile_of(info: Mapping[Any, Any]) -> bytes | None:
    """Return the ICC profile that gAMA and cHRM describe; None if they describe sRGB, or gAMA is missing or zero.

    `info` is Pillow's: gamma, chromaticity, srgb. Browsers do not follow cHRM alone. Raises Refused for numbers that
    describe no colours.
    """
    gamma, chromaticity = info.get("gamma"), info.get("chromaticity", SRGB_CHROMATICITY)
    if "srgb" in info or not gamma:
        return None
    offset = max(abs(one - srgb) for one, srgb in zip(chromaticity, SRGB_CHROMATICITY, strict=True))
    if abs(gamma / SRGB_GAMMA - 1) <= GAMMA_THRESHOLD and offset <= CHROMATICITY_THRESHOLD:
        return None
    try:
        return _profile(_to_d50(chromaticity), gamma)
    except (ZeroDivisionError, np.linalg.LinAlgError, struct.error):
        raise Refused("gives its colours by numbers that no viewer can follow (gAMA, cHRM): save it in sRGB") from None


def _xyz(x: float, y: float) -> Matrix:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _to_d50(chromaticity: Sequence[float]) -> Matrix:
    """Return the matrix from linear RGB to XYZ under D50, adapted by Bradford's method as ICC requires."""
    white, *primaries = (_xyz(*chromaticity[start : start + 2]) for start in range(0, 8, 2))
    columns = np.column_stack(primaries)
    columns = columns * np.linalg.solve(columns, white)
    cones = _BRADFORD @ np.array(_D50) / (_BRADFORD @ white)
    adapted: Matrix = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ columns
    return adapted


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _point(values: Iterable[float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, values))


def _profile(columns: Matrix, gamma: float) -> bytes:
    """Return a display profile of three primaries and the power that undoes a gamma (ICC.1, version 4)."""
    curve = b"para" + bytes(8) + _fixed(1 / gamma)
    text = "PNG".encode("utf-16-be")
    name = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text + bytes(2)
    tags = [(b"desc", name), (b"cprt", name), (b"wtpt", _point(_D50))]
    tags += [(letter + b"XYZ", _point(columns[:, index])) for index, letter in enumerate((b"r", b"g", b"b"))]
    tags += [(letter + b"TRC", curve) for letter in (b"r", b"g", b"b")]
    offset, table, data = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, content in tags:
        table += struct.pack(">4sII", tag, offset + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    size = offset + len(data)
    head = struct.pack(">I4sI4s4s4s12s4s", size, bytes(4), 0x04000000, b"mntr", b"RGB ", b"XYZ ", bytes(12), b"acsp")
    return (head + bytes(28) + b"".join(map(_fixed, _D50))).ljust(128, b"\0") + table + data
