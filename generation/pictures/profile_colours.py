"""Convert pixels by a sound ICC profile of curves, as browsers do: in floating point, without a black point. Pure.

LittleCMS computes in steps of sixteen bits: dark tones come out up to 70 of 255 off, and white turns black where a
curve goes beyond it.
"""

import struct

import numpy as np
import numpy.typing as npt
from PIL import Image

from generation.pictures.profiles import COLUMNS, CURVES, NUMBER_COUNTS, numbers_of, tags_of

Values = npt.NDArray[np.float64]
# The columns of sRGB, adapted to the white of profiles (IEC 61966-2-1 Amd 1 with the chromatic adaptation of ICC.1).
_SRGB = np.array([[0.436066, 0.385147, 0.143066], [0.222488, 0.716888, 0.060608], [0.013916, 0.097076, 0.714096]])
_STEPS = 2**16  # of linear light; the first of 255 shown values spans 20 of them
_PIXELS_AT_ONCE = 2**20


def shown_greys(grey: Image.Image, profile: bytes) -> Image.Image:
    """Return what is shown of an image in mode L by a profile of greys, in mode RGB."""
    light = _light((tags_of(profile) or {})[b"kTRC"])
    return grey.point(_encoded(light).tolist()).convert("RGB")


def shown_colours(colours: Image.Image, profile: bytes) -> Image.Image:
    """Return what is shown of an image in mode RGB by a profile of three colours and their curves, in mode RGB."""
    tags = tags_of(profile) or {}
    columns = np.array([struct.unpack_from(">3i", tags[tag], 8) for tag in COLUMNS]).T / 65536
    light = [_light(tags[tag]).astype(np.float32) for tag in CURVES]
    to_srgb = np.linalg.solve(_SRGB, columns).astype(np.float32)
    shown = _encoded(np.arange(_STEPS) / (_STEPS - 1))
    pixels = np.asarray(colours).reshape(-1, 3)
    found = np.empty_like(pixels)
    for start in range(0, len(pixels), _PIXELS_AT_ONCE):
        some = pixels[start : start + _PIXELS_AT_ONCE]
        linear = np.column_stack([light[place][some[:, place]] for place in range(3)]) @ to_srgb.T
        found[start : start + _PIXELS_AT_ONCE] = shown[np.rint(linear.clip(0, 1) * (_STEPS - 1)).astype(np.uint16)]
    return Image.fromarray(found.reshape(colours.height, colours.width, 3))


def _encoded(light: Values) -> npt.NDArray[np.uint8]:
    """Return sRGB values of linear light; what is beyond black or white is cut."""
    light = light.clip(0, 1)
    values: Values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * values).astype(np.uint8)


def _light(curve: memoryview) -> Values:
    """Return what a sound curve makes of the 256 values of a pixel."""
    values = np.arange(256) / 255
    if bytes(curve[:4]) == b"curv":
        count = int.from_bytes(curve[8:12], "big")
        table = np.frombuffer(curve, ">u2", count, 12)
        if count < 2:
            return values ** (table[0] / 256) if count else values
        return np.interp(values, np.linspace(0, 1, count), table / 65535)
    gamma, *others = numbers_of(curve, NUMBER_COUNTS[int.from_bytes(curve[8:10], "big")])
    scale, offset, slope, bound, above, below = (*others, *(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)[len(others) :])
    power = np.maximum(scale * values + offset, 0) ** gamma + above
    return np.where(values >= bound, power, slope * values + below)
