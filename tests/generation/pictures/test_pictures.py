"""The table of modes, depths, formats and profiles: each file is stored as a colour-managed viewer shows it.

The expected pixels are computed here by formula, or by LittleCMS on bare pixels.
"""

import struct
import tracemalloc
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from generation.pictures.pixels import is_plain
from generation.pictures.reading import Limits, decode, read_bytes
from jobs.refusals import Refused
from tests.generation.pictures import made_files as made
from tests.generation.pictures.made_files import GREY, GREY_ALPHA, PALETTE, RGB, RGBA, encoded, exif, iccp, png
from tests.generation.planned_sets import picture

LIMITS = Limits(pixel_count=40_000_000, byte_count=10_000_000)
Floats = npt.NDArray[np.float64]
# Row by row, the numbers of https://www.w3.org/TR/css-color-4/#color-conversion-code.
P3_TO_SRGB = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
ADOBE_TO_SRGB = np.array([[1.3984, -0.3984, 0.0], [0.0, 1.0, 0.0], [0.0, -0.0429, 1.0429]])
ADOBE_CHROMATICITY = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
SAMPLE = (200, 120, 60)
NO_IMAGE = "is not a PNG, JPEG or WebP file"


def read(data: bytes, suffix: str = ".png") -> Image.Image:
    return decode(data, suffix=suffix, limits=LIMITS)


def pixels(data: bytes, suffix: str = ".png") -> list[tuple[int, ...]]:
    return [tuple(pixel) for row in np.asarray(read(data, suffix)).tolist() for pixel in row]


def greys(data: bytes) -> list[int]:
    found = pixels(data)
    assert all(len(set(pixel)) == 1 for pixel in found)
    return [pixel[0] for pixel in found]


def linear(values: Floats) -> Floats:
    """The curve of sRGB."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def as_bytes(light: Floats) -> list[int]:
    """Linear light by the inverse curve of sRGB, as eight bits."""
    light = np.clip(light, 0, 1)
    values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return [round(float(value)) for value in values * 255]


def near(found: object, wanted: object, within: int = 1) -> bool:
    return bool(np.abs(np.array(found, int) - np.array(wanted, int)).max() <= within)


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


# --- depths of grey ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "row", "wanted"),
    [
        (1, b"\x40", [0, 255]),
        (2, b"\x1b", [0, 85, 170, 255]),
        (4, b"\x07\xcf", [0, 119, 204, 255]),
        (8, bytes((0, 64, 128, 255)), [0, 64, 128, 255]),
        (16, words(0, 64 * 257, 128 * 257, 192 * 257, 65535), [0, 64, 128, 192, 255]),
    ],
)
def test_grey_of_every_depth(depth: int, row: bytes, wanted: list[int]) -> None:
    assert greys(png(row, width=len(wanted), depth=depth, kind=GREY)) == wanted


@pytest.mark.parametrize(
    ("depth", "row", "key", "wanted"),
    [
        (1, b"\x40", 0, [255, 255]),
        (2, b"\x1b", 1, [0, 255, 170, 255]),
        (4, b"\x07\xcf", 7, [0, 255, 204, 255]),
        (8, bytes((0, 64, 128, 255)), 64, [0, 255, 128, 255]),
        (16, words(0, 1000, 1001, 65535), 1000, [0, 255, 4, 255]),
    ],
)
def test_one_grey_that_is_transparent(depth: int, row: bytes, key: int, wanted: list[int]) -> None:
    found = greys(png(row, width=len(wanted), depth=depth, kind=GREY, chunks=[(b"tRNS", words(key))]))
    assert found == wanted


# --- colours, palettes, opacity ----------------------------------------------------------------------------------


def test_colours_of_eight_and_sixteen_bits() -> None:
    assert pixels(png(bytes(SAMPLE), width=1)) == [SAMPLE]
    assert near(pixels(png(words(*(value * 257 for value in SAMPLE)), width=1, depth=16)), [SAMPLE])


def test_opacity_is_laid_over_white() -> None:
    half = [round(255 - (255 - value) * 128 / 255) for value in SAMPLE]
    assert near(pixels(png(bytes((*SAMPLE, 128)), width=1, kind=RGBA)), [half])
    assert pixels(png(bytes((*SAMPLE, 0)), width=1, kind=RGBA)) == [(255, 255, 255)]
    sixteen = words(*(value * 257 for value in (*SAMPLE, 128)))
    assert near(pixels(png(sixteen, width=1, depth=16, kind=RGBA)), [half])
    assert near(greys(png(bytes((100, 128)), width=1, kind=GREY_ALPHA)), [177])
    assert near(greys(png(words(100 * 257, 128 * 257), width=1, depth=16, kind=GREY_ALPHA)), [177])
    assert pixels(png(bytes((*SAMPLE, 1, 2, 3)), width=2, chunks=[(b"tRNS", words(*SAMPLE))])) == [
        (255, 255, 255),
        (1, 2, 3),
    ]


@pytest.mark.parametrize(("depth", "row"), [(1, b"\x40"), (2, b"\x10"), (4, b"\x01"), (8, b"\0\1")])
def test_palettes(depth: int, row: bytes) -> None:
    palette = (b"PLTE", bytes((*SAMPLE, 1, 2, 3)))
    chunks = [palette, (b"tRNS", b"\x80")]
    half = [round(255 - (255 - value) * 128 / 255) for value in SAMPLE]
    assert pixels(png(row, width=2, depth=depth, kind=PALETTE, chunks=[palette])) == [SAMPLE, (1, 2, 3)]
    assert near(pixels(png(row, width=2, depth=depth, kind=PALETTE, chunks=chunks)), [half, (1, 2, 3)])


def test_webp_and_jpeg() -> None:
    block = Image.new("RGB", (16, 16), SAMPLE)
    assert pixels(encoded(block, "WEBP", lossless=True), ".webp")[0] == SAMPLE
    assert near(pixels(encoded(block, "JPEG", quality=100), ".jpg")[0], SAMPLE, within=2)
    assert near(
        pixels(encoded(block.convert("L"), "JPEG", quality=100), ".jpeg")[0], [block.convert("L").getpixel((0, 0))] * 3
    )
    clear = Image.new("RGBA", (16, 16), (*SAMPLE, 0))
    assert pixels(encoded(clear, "WEBP", lossless=True), ".webp")[0] == (255, 255, 255)


def test_cmyk_as_adobe_writes_it() -> None:
    ink = Image.new("CMYK", (16, 16), (0, 128, 255, 51))
    wanted = [round(255 * (1 - part / 255) * 0.8) for part in (0, 128, 255)]
    assert near(pixels(encoded(ink, "JPEG", quality=100), ".jpg")[0], wanted, within=3)


# --- profiles ----------------------------------------------------------------------------------------------------

P3_SAMPLE = as_bytes(P3_TO_SRGB @ linear(np.array(SAMPLE) / 255))


@pytest.mark.parametrize("kind", [RGB, RGBA, PALETTE])
def test_display_p3_in_a_png(kind: int) -> None:
    row = {RGB: bytes(SAMPLE), RGBA: bytes((*SAMPLE, 255)), PALETTE: b"\0"}[kind]
    chunks = [iccp(made.p3_profile())] + ([(b"PLTE", bytes(SAMPLE))] if kind == PALETTE else [])
    assert near(pixels(png(row, width=1, kind=kind, chunks=chunks)), [P3_SAMPLE], within=2)


@pytest.mark.parametrize(("form", "suffix"), [("JPEG", ".jpg"), ("WEBP", ".webp"), ("MPO", ".jpg")])
def test_display_p3_in_the_other_formats(form: str, suffix: str) -> None:
    block = Image.new("RGB", (16, 16), SAMPLE)
    options = {"lossless": True} if form == "WEBP" else {"quality": 100, "subsampling": 0}
    data = encoded(block, form, icc_profile=made.p3_profile(), **options)
    assert near(pixels(data, suffix)[0], P3_SAMPLE, within=3)


def test_colours_are_converted_before_they_are_laid_over_white() -> None:
    data = png(bytes((*SAMPLE, 128)), width=1, kind=RGBA, chunks=[iccp(made.p3_profile())])
    assert near(pixels(data), [[round(255 - (255 - value) * 128 / 255) for value in P3_SAMPLE]], within=2)


@pytest.mark.parametrize(("kind", "row"), [(GREY, b"\x80"), (GREY_ALPHA, b"\x80\xff")])
def test_a_grey_profile(kind: int, row: bytes) -> None:
    wanted = as_bytes(np.array([(128 / 255) ** 1.8]))
    assert near(greys(png(row, width=1, kind=kind, chunks=[iccp(made.grey_profile(1.8))])), wanted)
    sixteen = words(128 * 257)
    assert near(greys(png(sixteen, width=1, depth=16, kind=GREY, chunks=[iccp(made.grey_profile(1.8))])), wanted)


def test_grey_with_a_profile_of_colours_is_converted_by_it() -> None:
    assert near(greys(png(b"\x80", width=1, kind=GREY, chunks=[iccp(made.p3_profile())])), [128])


def test_a_cmyk_profile_of_inks_is_refused_because_viewers_differ() -> None:
    ink = Image.new("CMYK", (16, 16), (30, 128, 200, 51))
    data = encoded(ink, "JPEG", quality=100, icc_profile=made.cmyk_profile())
    with pytest.raises(Refused, match=r"printing inks \(CMYK\), which viewers read differently: save it in sRGB"):
        pixels(data, ".jpg")


@pytest.mark.parametrize(
    "profile", [b"nothing of the kind", made.srgb_profile()[:200], made.grey_profile(1.8), made.cmyk_profile()]
)
def test_a_profile_that_is_broken_or_of_other_pixels_is_ignored(profile: bytes) -> None:
    assert pixels(png(bytes(SAMPLE), width=1, chunks=[iccp(profile)])) == [SAMPLE]


# --- what a PNG says of colours without a profile ----------------------------------------------------------------


def gama(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def chrm(*numbers: int) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *numbers)


@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8, 1 / 2.6])
def test_gamma_is_honoured(gamma: float) -> None:
    wanted = as_bytes((np.array(SAMPLE) / 255) ** (1 / gamma))
    assert near(pixels(png(bytes(SAMPLE), width=1, chunks=[gama(gamma)])), [wanted])
    assert near(
        greys(png(b"\x80", width=1, kind=GREY, chunks=[gama(gamma)])), as_bytes(np.array([(128 / 255) ** (1 / gamma)]))
    )


def test_chromaticities_are_honoured() -> None:
    chunks = [gama(1 / 2.2 * 1.1), chrm(*ADOBE_CHROMATICITY)]
    light = (np.array(SAMPLE) / 255) ** (2.2 / 1.1)
    assert near(pixels(png(bytes(SAMPLE), width=1, chunks=chunks)), [as_bytes(ADOBE_TO_SRGB @ light)], within=2)


@pytest.mark.parametrize(
    "chunks",
    [
        [gama(0.45455)],
        [gama(0)],
        [gama(1.0), (b"sRGB", b"\0")],
        [gama(1.0), iccp(made.srgb_profile())],
        [chrm(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)],
        [chrm(0, 0, 0, 0, 0, 0, 0, 0)],
        [chrm(31270, 32900, 64000, 33000, 64000, 33000, 15000, 6000)],
        [(b"cICP", bytes((1, 13, 0, 1)))],
    ],
)
def test_what_says_srgb_or_nonsense_changes_nothing(chunks: made.Chunks) -> None:
    assert near(pixels(png(bytes(SAMPLE), width=1, chunks=chunks)), [SAMPLE])


# --- orientation, frames, names, what is refused -----------------------------------------------------------------


@pytest.mark.parametrize(("form", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg")])
@pytest.mark.parametrize("orientation", range(9))
def test_orientation(form: str, suffix: str, orientation: int) -> None:
    values = np.zeros((16, 32, 3), np.uint8)
    values[:8, :16] = 255  # white above left, as stored
    options = {"quality": 100} if form == "JPEG" else {}
    found = np.asarray(read(encoded(Image.fromarray(values), form, exif=exif(orientation), **options), suffix))
    turned = {2: values[:, ::-1], 3: values[::-1, ::-1], 4: values[::-1]}
    turned |= {5: values.transpose(1, 0, 2), 6: np.rot90(values, -1), 8: np.rot90(values)}
    turned |= {7: np.rot90(values, 2).transpose(1, 0, 2)}
    assert near(found, turned.get(orientation, values), within=2)


def test_broken_exif_is_no_fault_of_the_picture() -> None:
    data = encoded(
        Image.new("RGB", (16, 16), SAMPLE), "WEBP", lossless=True, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken"
    )
    assert pixels(data, ".webp")[0] == SAMPLE


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg", ".jfif"])
def test_the_first_of_a_multi_picture_jpeg(suffix: str) -> None:
    first, second = Image.new("RGB", (16, 16), SAMPLE), Image.new("RGB", (8, 8), "blue")
    data = encoded(first, "MPO", save_all=True, append_images=[second], quality=100)
    assert near(pixels(data, suffix)[0], SAMPLE, within=2)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_every_shape(size: tuple[int, int]) -> None:
    assert read(encoded(Image.new("RGB", size, SAMPLE), "PNG")).size == size


@pytest.mark.parametrize(
    ("data", "suffix", "reason"),
    [
        (encoded(picture(), "PNG", save_all=True, append_images=[picture(1)]), ".png", "is animated"),
        (encoded(picture(), "WEBP", save_all=True, append_images=[picture(1)]), ".webp", "is animated"),
        (encoded(picture(), "MPO", save_all=True, append_images=[picture(1)]), ".png", "is a JPEG file"),
        (png(words(1, 2, 3), width=1, depth=16, chunks=[(b"tRNS", words(1, 2, 3))]), ".png", "sixteen bits"),
        (png(bytes(SAMPLE), width=1, chunks=[(b"cICP", bytes((9, 16, 0, 1)))]), ".png", "as cICP"),
        (png(b"", width=0), ".png", "truncated or damaged"),
        (encoded(picture(size=(99, 99)), "JPEG")[:900], ".jpg", "truncated or damaged"),
        (encoded(picture(), "MPO", save_all=True, append_images=[picture(1)])[:700], ".jpg", "truncated or damaged"),
        (png(b"\0\0\0", width=1, chunks=[(b"eXIf", b"a")]).replace(b"eXIfa", b"eXIfb"), ".png", "truncated or damaged"),
        (encoded(picture(), "GIF"), ".png", NO_IMAGE),
        (encoded(picture(), "AVIF"), ".jpg", NO_IMAGE),
        (b"", ".png", NO_IMAGE),
    ],
)
def test_refused(data: bytes, suffix: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        read(data, suffix)


def test_foreign_bytes_never_end_in_another_error() -> None:
    """Change every byte of small files in turn: each file is read or refused."""
    for data, suffix in (
        (png(bytes(SAMPLE), width=1, chunks=[gama(1.0), (b"tRNS", words(*SAMPLE))]), ".png"),
        (encoded(Image.new("RGB", (2, 2)), "WEBP", exif=exif(3)), ".webp"),
    ):
        for at in range(len(data)):
            broken = data[:at] + bytes((data[at] ^ 0xFF,)) + data[at + 1 :]
            with suppress(Refused):
                assert read(broken, suffix).mode == "RGB"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "1.png").touch()
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(Refused, match=r"cannot be read \(Permission denied\)"):
        read_bytes(tmp_path / "1.png", LIMITS)


def test_of_one_colour() -> None:
    image = Image.new("RGB", (5, 5), SAMPLE)
    assert is_plain(image)
    image.putpixel((4, 4), (200, 120, 61))
    assert not is_plain(image)


@pytest.mark.parametrize("interlace", [0, 1])
def test_a_png_whose_pixels_end_early_is_refused_and_one_that_is_black_is_not(interlace: int) -> None:
    black = BytesIO()
    Image.new("RGB", (9, 16)).save(black, "PNG")
    assert read(black.getvalue()).getpixel((0, 15)) == (0, 0, 0)
    header = made.chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 16, 8, 2, 0, 0, interlace))
    few = made.chunk(b"IDAT", zlib.compress((b"\0" + b"\xc8" * 27) * 5))
    with pytest.raises(Refused, match="pixels are missing"):
        read(b"\x89PNG\r\n\x1a\n" + header + few + made.chunk(b"IEND", b""))


def test_a_png_that_is_packed_to_fill_a_memory_is_inflated_no_further_than_its_pixels() -> None:
    packer = zlib.compressobj()
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(64)) + packer.flush()
    header = made.chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 16, 8, RGB, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + made.chunk(b"IDAT", packed) + made.chunk(b"IEND", b"")
    tracemalloc.start()
    assert read(data).getpixel((0, 15)) == (0, 0, 0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**23


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("keeps_its_end", [True, False])
def test_a_png_whose_pixels_break_off_is_refused_in_our_words(interlace: int, keeps_its_end: bool) -> None:
    header = made.chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, interlace))
    # From 0 to 4 each byte may be the filter of a row, wherever a pass has one.
    packed = zlib.compress(np.random.default_rng(1).integers(0, 5, 64 * 64 * 3 + 200, np.uint8).tobytes())
    part = made.chunk(b"IDAT", packed[: len(packed) // 2])
    data = b"\x89PNG\r\n\x1a\n" + header + (part + made.chunk(b"IEND", b"") if keeps_its_end else part[:-40])
    with pytest.raises(Refused) as refused:
        read(data)
    assert str(refused.value) == "is truncated or damaged (pixels are missing)"


@pytest.mark.parametrize(("form", "suffix"), [("JPEG", ".jpg"), ("WEBP", ".webp"), ("PNG", ".png"), ("MPO", ".jpg")])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_was_cut_off_is_refused_in_our_words(form: str, suffix: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8))
    data = encoded(noise, form)
    with pytest.raises(Refused) as refused:
        read(data[: int(len(data) * share)], suffix)
    ours = ("pixels are missing", "it cannot be decoded")
    assert str(refused.value) in (*(f"is truncated or damaged ({reason})" for reason in ours), NO_IMAGE)


def test_a_png_with_a_wrong_checksum_of_its_pixels_is_refused() -> None:
    data = bytearray(encoded(picture(1), "PNG"))
    data[data.index(b"IDAT") + 20] ^= 0xFF
    with pytest.raises(Refused, match="truncated or damaged"):
        read(bytes(data))


def test_an_orientation_in_xmp_is_passed_over_as_viewers_do() -> None:
    xmp = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    wide = Image.new("RGB", (8, 4), "red")
    assert read(encoded(wide, "JPEG", xmp=xmp), ".jpg").size == (8, 4)
