"""Read a picture of one object by rules on its pixels: colour, shape, place, size, style.

The rules know how the renderer draws but no model, so they judge sampled and drawn pictures alike. The tests measure
how well they read drawn pictures, whose content is known.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from miniatures.renderer import silhouette
from miniatures.scenes import COLOURS, DAB_STYLE, SHAPES

_TEMPLATE = 48
_LEAST_AREA = 40  # pixels; anything smaller is a speck, not an object
_CONTRAST = 22.0  # in Lab: the least distance of an object's pixel from the background
Pixels = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FoundObject:
    """The object in a picture. x, y, radius: as fractions of its side; fit: the overlap with the ideal shape."""

    colour: str
    shape: str
    background: str
    style: str
    x: float
    y: float
    radius: float
    fit: float


def find_object(picture: Image.Image) -> FoundObject | None:
    """Return the largest object of the picture, or None if nothing differs enough from the background."""
    pixels = lab(np.asarray(picture.convert("RGB"), dtype=np.float64))
    ground = np.median(_border(pixels), axis=0)
    mask = _largest(np.linalg.norm(ndimage.median_filter(pixels, size=(3, 3, 1)) - ground, axis=-1) > _CONTRAST)
    if mask is None:
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    shape, fit = _shape(mask[box])
    side = len(mask)
    return FoundObject(
        colour=_colour(pixels, mask),
        shape=shape,
        background=_nearest(ground),
        style=_style(pixels, mask),
        x=(columns[0] + columns[-1] + 1) / 2 / side,
        y=(rows[0] + rows[-1] + 1) / 2 / side,
        radius=max(len(rows), len(columns)) / 2 / side,
        fit=fit,
    )


def lab(rgb: Pixels) -> Pixels:
    """Convert sRGB values 0..255, channels last, to CIE Lab (D65)."""
    linear = np.where(rgb <= 0.04045 * 255, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.95047, 1.0, 1.08883])
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@cache
def _palette() -> Pixels:
    return lab(np.array(list(COLOURS.values()), dtype=np.float64))


@cache
def _templates() -> dict[str, Mask]:
    return {shape: _fitted(silhouette(shape, 4 * _TEMPLATE)) for shape in SHAPES}


def _border(pixels: Pixels) -> Pixels:
    return np.concatenate([pixels[:3].reshape(-1, 3), pixels[-3:].reshape(-1, 3), pixels[:, :3].reshape(-1, 3),
                           pixels[:, -3:].reshape(-1, 3)])  # fmt: skip


def _largest(mask: Mask) -> Mask | None:
    labels, count = ndimage.label(ndimage.binary_opening(mask))
    if not count:
        return None
    areas = np.bincount(labels.ravel())[1:]
    return labels == 1 + int(areas.argmax()) if areas.max() >= _LEAST_AREA else None


def _shape(mask: Mask) -> tuple[str, float]:
    seen = _fitted(mask)
    fits = {name: float((seen & ideal).sum() / (seen | ideal).sum()) for name, ideal in _templates().items()}
    best = max(fits, key=fits.__getitem__)
    return best, fits[best]


def _fitted(mask: Mask) -> Mask:
    """Scale the mask's bounding box to the template's size, with its proportions kept."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = max(cut.shape)
    square = np.zeros((side, side), dtype=np.uint8)
    top, left = (side - cut.shape[0]) // 2, (side - cut.shape[1]) // 2
    square[top : top + cut.shape[0], left : left + cut.shape[1]] = cut * 255
    image = Image.fromarray(square).resize((_TEMPLATE, _TEMPLATE), Image.Resampling.BILINEAR)
    return np.asarray(image) > 127


def _nearest(colour: Pixels) -> str:
    return tuple(COLOURS)[int(np.linalg.norm(_palette() - colour, axis=1).argmin())]


def _inside(mask: Mask) -> Mask:
    """Return the mask without its rim, or the whole mask if nothing else is left."""
    inner = ndimage.binary_erosion(mask, iterations=3)
    return inner if inner.sum() >= _LEAST_AREA // 2 else mask


def _colour(pixels: Pixels, mask: Mask) -> str:
    """Return the palette's colour that is nearest to most pixels of the inside."""
    seen = pixels[_inside(mask)]
    distances = np.linalg.norm(seen[:, None, :] - _palette()[None], axis=-1)
    return tuple(COLOURS)[int(np.bincount(distances.argmin(axis=1), minlength=len(COLOURS)).argmax())]


def _style(pixels: Pixels, mask: Mask) -> str:
    light = pixels[..., 0]
    around = ~ndimage.binary_dilation(mask, iterations=4)
    texture = light[around].std() if around.sum() > _LEAST_AREA else 0.0
    if texture > 2.5:
        return DAB_STYLE
    inner = _inside(mask)
    rim = mask & ~ndimage.binary_erosion(mask, iterations=2)
    if light[inner].std() < 4:
        return "outlined" if np.median(light[inner]) - np.median(light[rim]) > 12 else "flat"
    rows, columns = np.nonzero(inner)
    slope = np.corrcoef(rows + columns, light[inner])[0, 1]
    return "shaded" if slope < -0.6 else "outlined"
