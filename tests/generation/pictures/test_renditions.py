"""Renditions: sizes, no metadata, the same bytes each time, made again where missing."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from generation.models import GeneratedImage
from generation.pictures import renditions
from generation.recorded_images.records import record_image
from jobs.refusals import Refused
from tests.generation.planned_sets import picture, planned

pytestmark = pytest.mark.django_db


def recorded(image: Image.Image) -> GeneratedImage:
    return record_image(image_set=planned(), seed=1, image=image, provenance={})


def decoded(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data), formats=("WEBP",))


@pytest.mark.parametrize(
    ("size", "zoom"),
    [
        ((64, 64), (64, 64)),
        ((512, 512), (512, 512)),
        ((768, 512), (768, 512)),
        ((1536, 1024), (1024, 683)),
        ((2048, 1024), (1024, 512)),
        ((1, 3000), (1, 1024)),
        ((3000, 1), (1024, 1)),
    ],
)
def test_sizes(size: tuple[int, int], zoom: tuple[int, int]) -> None:
    image = recorded(picture(size=size))
    assert decoded(renditions.read(image, "grid")).size == (160, 160)
    assert decoded(renditions.read(image, "grid2x")).size == (320, 320)
    assert decoded(renditions.read(image, "zoom")).size == zoom


def test_thumbnails_cover_their_square_from_the_middle() -> None:
    wide = Image.new("RGB", (300, 100), "red")
    wide.paste("blue", (100, 0, 200, 100))
    thumbnail = decoded(renditions.read(recorded(wide), "grid")).convert("RGB")
    red, _, blue = thumbnail.getpixel((80, 80))  # type: ignore[misc]
    corner = thumbnail.getpixel((4, 4))
    assert blue > 200 > 50 > red
    assert corner[2] > 200  # type: ignore[index]


@pytest.mark.parametrize("name", list(renditions.SIZES))
def test_nothing_but_pixels(name: str) -> None:
    image = picture()
    image.info |= {"exif": b"Exif\0\0MM", "icc_profile": b"x", "comment": b"sdxl"}
    data = renditions.read(recorded(picture()), name)
    assert renditions.encode(image, name) == renditions.encode(picture(), name)
    assert {key for key in decoded(data).info if key not in ("loop", "background", "timestamp", "duration")} == set()
    assert not any(chunk in data for chunk in (b"EXIF", b"ICCP", b"XMP "))


@pytest.mark.parametrize("name", list(renditions.SIZES))
def test_a_missing_one_is_made_again_as_it_was(media_root: Path, name: str) -> None:
    image = recorded(picture())
    before = renditions.read(image, name)
    for file in media_root.glob("renditions/*/*"):
        file.unlink()
    assert renditions.read(image, name) == before


def test_a_lost_original_is_said() -> None:
    image = recorded(picture())
    image.path = "image_sets/elsewhere/1.png"
    with pytest.raises(Refused, match="is not there"):
        renditions.read(image, "grid")
