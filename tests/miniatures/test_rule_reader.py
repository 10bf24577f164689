"""The rules that judge sampled pictures, against drawn pictures whose truth is known."""

import random
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from miniatures.renderer import render
from miniatures.rule_reader import find_object, lab
from miniatures.scenes import STYLES, draw_description, imagine

PICTURES = 200


def test_the_rules_read_drawn_pictures() -> None:
    rng = random.Random(6)
    right: Counter[str] = Counter()
    for index in range(PICTURES):
        scene = imagine(draw_description(rng, thing_count=1), rng, style=STYLES[index % len(STYLES)])
        thing = scene.things[0]
        seen = find_object(render(scene))
        assert seen is not None
        right["colour"] += seen.colour == thing.colour
        right["shape"] += seen.shape == thing.shape
        right["background"] += seen.background == scene.background
        right["style"] += seen.style == scene.style
        right["place"] += abs(seen.x - thing.x) < 0.04 and abs(seen.y - thing.y) < 0.04
    shares = {what: count / PICTURES for what, count in right.items()}
    assert min(shares["colour"], shares["background"], shares["place"]) >= 0.99
    assert shares["shape"] > 0.97
    assert shares["style"] > 0.93


def test_an_empty_picture_shows_nothing() -> None:
    assert find_object(Image.new("RGB", (96, 96), (30, 90, 200))) is None


@pytest.mark.parametrize(
    ("rgb", "expected"), [((255, 255, 255), (100, 0, 0)), ((255, 0, 0), (53.24, 80.09, 67.20)), ((0, 0, 0), (0, 0, 0))]
)
def test_lab_of_known_colours(rgb: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    assert lab(np.array(rgb, dtype=np.float64)) == pytest.approx(expected, abs=0.05)
