"""Untrusted image files: what is read, what is refused and why."""

from pathlib import Path

import pytest
from PIL import Image
from pytest_django.fixtures import Settings

from generation.pictures.files import read_image
from jobs.refusals import Refused
from tests.generation.pictures.made_files import encoded
from tests.generation.planned_sets import picture


@pytest.mark.parametrize("name", ["1.png", "1.jpg", "1.JPEG", "1.webp"])
def test_the_three_formats_are_read(tmp_path: Path, name: str) -> None:
    picture().save(tmp_path / name)
    assert read_image(tmp_path / name).size == (40, 30)


def test_png_pixels_arrive_as_they_were(tmp_path: Path) -> None:
    picture().save(tmp_path / "1.png")
    assert read_image(tmp_path / "1.png").tobytes() == picture().tobytes()


def make(path: Path, content: str) -> None:
    if content == "text":
        path.write_text("not an image")
    elif content == "empty":
        path.touch()
    elif content == "folder":
        path.mkdir()
    elif content == "truncated":
        picture().save(path, "PNG")
        path.write_bytes(path.read_bytes()[:-200])
    elif content == "jpeg":
        picture().save(path, "JPEG")
    elif content == "gif":
        picture().save(path, "GIF")
    elif content == "animated":
        picture().save(path, "PNG", save_all=True, append_images=[picture(1)])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("text", "is not a PNG, JPEG or WebP"),
        ("empty", "is not a PNG, JPEG or WebP"),
        ("gif", "is not a PNG, JPEG or WebP file"),
        ("folder", "is not a file"),
        ("nothing", "is not there"),
        ("truncated", "is truncated or damaged"),
        ("jpeg", "is a JPEG file, which its name does not say"),
        ("animated", "is animated"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    make(tmp_path / "1.png", content)
    with pytest.raises(Refused, match=reason):
        read_image(tmp_path / "1.png")


@pytest.mark.parametrize("name", ["1.jpg", "1.webp"])
def test_truncated_files_of_other_formats(tmp_path: Path, name: str) -> None:
    picture(size=(200, 200)).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(Refused, match="truncated or damaged"):
        read_image(tmp_path / name)


JPEG_KINDS: tuple[dict[str, object], ...] = (
    {},
    {"progressive": True},
    {"subsampling": 0},
    {"optimize": True, "quality": 20},
    {"restart_marker_blocks": 3},
    {"restart_marker_rows": 1, "progressive": True},
)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", JPEG_KINDS, ids=str)
def test_a_jpeg_that_was_cut_and_ended_is_no_whole_picture(tmp_path: Path, kind: dict[str, object], mode: str) -> None:
    path = tmp_path / "1.jpg"
    whole = encoded(picture(size=(200, 120), mode=mode), "JPEG", **kind)
    path.write_bytes(whole + b"behind the picture")
    assert read_image(path).size == (200, 120)
    scan = whole.rindex(b"\xff\xda") + 14
    for share in (0.2, 0.5, 0.8):
        path.write_bytes(whole[: scan + int((len(whole) - scan) * share)] + b"\xff\xd9")
        with pytest.raises(Refused, match=r"is truncated or damaged \(pixels are missing\)"):
            read_image(path)


def test_caps_are_on_bytes_and_on_pixels_before_decoding(tmp_path: Path, settings: Settings) -> None:
    picture().save(tmp_path / "1.png")
    settings.IMAGE_MOST_PIXELS = 40 * 30
    settings.IMAGE_MOST_BYTES = (tmp_path / "1.png").stat().st_size
    read_image(tmp_path / "1.png")
    settings.IMAGE_MOST_PIXELS -= 1
    with pytest.raises(Refused, match="has more than 1,199 pixels"):
        read_image(tmp_path / "1.png")
    settings.IMAGE_MOST_BYTES -= 1
    with pytest.raises(Refused, match="is larger than"):
        read_image(tmp_path / "1.png")


@pytest.mark.parametrize("side", [10_000, 20_000])  # beyond what Pillow warns of, and what it refuses itself
def test_a_decompression_bomb(tmp_path: Path, side: int) -> None:
    Image.new("1", (side, side)).save(tmp_path / "1.png")
    with pytest.raises(Refused, match="has more than 40,000,000 pixels"):
        read_image(tmp_path / "1.png")
