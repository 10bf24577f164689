"""Render a scene: drawn by Pillow at three times the size, then reduced."""

import math
import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from miniatures.scenes import COLOURS, DAB_STYLE, Scene, Thing

SIDE = 96
_SCALE = 3
_CANVAS = SIDE * _SCALE
_Points = list[tuple[float, float]]


def render(scene: Scene) -> Image.Image:
    """Render the scene in RGB, SIDE x SIDE pixels. Equal scenes give equal pictures, byte for byte."""
    rng = random.Random(scene.seed)
    canvas = Image.new("RGB", (_CANVAS, _CANVAS), COLOURS[scene.background])
    for thing in scene.things:
        _paint(canvas, thing, scene.style)
    if scene.style == DAB_STYLE:
        canvas = _dabbed(canvas, rng)
    return canvas.resize((SIDE, SIDE), Image.Resampling.BOX)


def silhouette(shape: str, size: int) -> NDArray[np.bool_]:
    """Return a mask of the shape that fills a square of `size` pixels."""
    mask = Image.new("L", (size, size))
    _draw_shape(ImageDraw.Draw(mask), shape, ((size - 1) / 2, (size - 1) / 2, size / 2))
    return np.asarray(mask) > 127


def _paint(canvas: Image.Image, thing: Thing, style: str) -> None:
    disc = (thing.x * _CANVAS, thing.y * _CANVAS, thing.radius * _CANVAS)
    mask = Image.new("L", canvas.size)
    _draw_shape(ImageDraw.Draw(mask), thing.shape, disc)
    fill = Image.new("RGB", canvas.size, COLOURS[thing.colour])
    if style == "shaded":
        fill = _lit(fill, disc)
    elif style == "outlined":
        wide = mask.filter(ImageFilter.MaxFilter(9))
        canvas.paste(_darker(COLOURS[thing.colour]), (0, 0, *canvas.size), wide)
    canvas.paste(fill, (0, 0), mask)


def _draw_shape(draw: ImageDraw.ImageDraw, shape: str, disc: tuple[float, float, float]) -> None:
    x, y, r = disc
    if shape == "circle":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    elif shape == "ring":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
        draw.ellipse((x - r * 0.52, y - r * 0.52, x + r * 0.52, y + r * 0.52), fill=0)
    elif shape == "heart":
        _draw_heart(draw, disc)
    else:
        draw.polygon([(x + r * dx, y + r * dy) for dx, dy in _OUTLINES[shape]], fill=255)


def _draw_heart(draw: ImageDraw.ImageDraw, disc: tuple[float, float, float]) -> None:
    x, y, r = disc
    points: _Points = []
    for step in range(72):
        t = step * math.tau / 72
        across = math.sin(t) ** 3
        down = -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t) + 2.5) / 14.5
        points.append((x + r * across, y + r * down))
    draw.polygon(points, fill=255)


def _star() -> _Points:
    radii = (1.0, 0.42)
    return [
        (radii[k % 2] * math.sin(k * math.pi / 5), -radii[k % 2] * math.cos(k * math.pi / 5) + 0.05) for k in range(10)
    ]


_ARM = 0.32
_OUTLINES: dict[str, _Points] = {
    "square": [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
    "triangle": [(0, -0.95), (1, 0.85), (-1, 0.85)],
    "diamond": [(0, -1), (0.8, 0), (0, 1), (-0.8, 0)],
    "star": _star(),
    "cross": [
        (-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM),
        (_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM),
    ],
}  # fmt: skip


def _darker(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (round(channel * 0.35) for channel in colour)
    return red, green, blue


def _lit(fill: Image.Image, disc: tuple[float, float, float]) -> Image.Image:
    """Add light from the upper left and shadow at the lower right."""
    x, y, r = disc
    down, across = np.mgrid[0:_CANVAS, 0:_CANVAS]
    slope = ((across - x) + (down - y)) / (2 * r)
    pixels = np.asarray(fill, dtype=np.float32)
    light = np.clip(-slope, 0, 1)[..., None] * 0.55
    dark = np.clip(slope, 0, 1)[..., None] * 0.55
    pixels = pixels * (1 - dark) * (1 - light) + 255 * light * (1 - dark)
    return Image.fromarray(pixels.round().astype(np.uint8))


def _dabbed(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Repaint the picture in short slanted dabs of slightly varied colour."""
    source = np.asarray(picture)
    result = picture.copy()
    draw = ImageDraw.Draw(result)
    for _ in range(650):
        x, y = rng.randrange(_CANVAS), rng.randrange(_CANVAS)
        tone = rng.gauss(0, 30)
        ink = tuple(int(min(max(c + tone + rng.gauss(0, 10), 0), 255)) for c in source[y, x])
        reach = rng.uniform(8, 15)
        lean = rng.uniform(-0.9, -0.5)
        dx, dy = reach * math.cos(lean), reach * math.sin(lean)
        draw.line((x - dx, y - dy, x + dx, y + dy), fill=ink, width=11)
    return result
