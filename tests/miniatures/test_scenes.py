"""Scenes, captions, the held-out split, and the renderer."""

import random

import numpy as np
import pytest

from miniatures.renderer import SIDE, render
from miniatures.scenes import (
    COLOURS,
    DAB_STYLE,
    SHAPES,
    SIZES,
    STYLES,
    Description,
    draw_description,
    imagine,
    is_held_out,
)


def test_a_caption_names_what_was_described_and_nothing_else() -> None:
    description = Description((("orange", "star"),), "blue", size="small", place="on the left", style="shaded")
    assert description.caption() == "a small orange star on the left on a blue background, shaded style"
    open_description = Description((("orange", "star"), ("red", "ring")), "blue")
    assert open_description.caption() == "an orange star and a red ring on a blue background"
    assert (
        open_description.caption(trigger=True)
        == "an orange star and a red ring on a blue background in the style of TOK"
    )


@pytest.mark.parametrize("held_out", [False, True])
def test_descriptions_keep_to_their_split(held_out: bool) -> None:
    rng = random.Random(3)
    for _ in range(300):
        description = draw_description(rng, held_out=held_out)
        assert all(is_held_out(*kind, description.background) == held_out for kind in description.kinds)


def test_the_held_out_split_is_about_its_share_of_all_combinations() -> None:
    every = [(c, s, b) for c in COLOURS for s in SHAPES for b in COLOURS if b != c]
    assert 150 < sum(is_held_out(*one) for one in every) < 220


def test_a_scene_fulfils_its_description_and_varies_in_the_rest() -> None:
    rng = random.Random(4)
    description = Description((("red", "heart"),), "white", size="large")
    scenes = [imagine(description, rng) for _ in range(50)]
    low, high = SIZES["large"]
    assert all(low <= scene.things[0].radius <= high for scene in scenes)
    assert {scene.style for scene in scenes} == set(STYLES)
    assert np.std([scene.things[0].x for scene in scenes]) > 0.05


def test_the_same_scene_is_the_same_picture() -> None:
    rng = random.Random(5)
    for style in (*STYLES, DAB_STYLE):
        scene = imagine(draw_description(rng), rng, style=style)
        picture = render(scene)
        assert picture.size == (SIDE, SIDE)
        assert picture.tobytes() == render(scene).tobytes()
