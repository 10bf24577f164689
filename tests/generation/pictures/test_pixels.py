"""Pixels in one form: what changes and what must not."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageCms

from generation.pictures.pixels import as_srgb, png
from tests.generation.pictures import made_files as made
from tests.generation.planned_sets import picture


def test_rgb_pixels_stay_bit_for_bit() -> None:
    image = picture()
    image.info["comment"] = "made by sdxl"
    plain = as_srgb(image)
    assert plain.tobytes() == image.tobytes()
    assert plain.info == {}


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    assert as_srgb(Image.new(mode, (5, 4))).mode == "RGB"


def test_transparency_is_laid_over_white() -> None:
    assert as_srgb(Image.new("RGBA", (1, 1), (255, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)
    assert as_srgb(Image.new("RGBA", (1, 1), (255, 0, 0, 255))).getpixel((0, 0)) == (255, 0, 0)


def test_a_profile_is_converted_and_gone() -> None:
    image = Image.new("RGB", (4, 4), (120, 60, 30))
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = as_srgb(image)
    assert np.abs(np.asarray(same, int) - np.asarray(image, int)).max() <= 1
    assert same.info == {}


def test_a_broken_profile_is_ignored() -> None:
    image = picture()
    image.info["icc_profile"] = b"nothing of the kind"
    assert as_srgb(image).tobytes() == image.tobytes()


def test_tags_that_overlap_do_not_fill_the_memory() -> None:
    image = picture()
    image.info["icc_profile"] = made.overlapping_tags(80)
    tracemalloc.start()
    try:
        as_srgb(image)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


def test_the_same_pixels_are_the_same_bytes() -> None:
    assert png(picture(1)) == png(picture(1)) != png(picture(2))
