"""Files whose parts contradict each other or are damaged. Each is stored as Chromium shows it, or refused."""

import struct
import zlib
from collections.abc import Iterator
from itertools import product

import numpy as np
from PIL import Image, ImageCms

from tests.generation.pictures import made_files as made
from tests.generation.pictures.made_files import PALETTE, encoded, exif, iccp, png

SAMPLE = (200, 120, 60)
BLOCK = Image.new("RGB", (16, 8), SAMPLE)
BLOCK.paste("white", (0, 0, 8, 4))
P3 = made.p3_profile()
LINEAR = (b"gAMA", struct.pack(">I", 100_000))
ADOBE = (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))
Case = tuple[str, bytes, str | None]  # its name, the bytes, the reason for the refusal
_REFUSED = "viewers read differently"
_CHUNK = "damaged, misplaced or repeated"
_CURVE = "a curve that viewers read differently"
_INKS = "printing inks"
_PIECES = "pieces that are missing or repeated"


def changed(profile: bytes, at: int, value: bytes) -> bytes:
    """The profile with other bytes at a place."""
    return profile[:at] + value + profile[at + len(value) :]


def _profiles() -> Iterator[Case]:
    yield "sound", P3, None
    yield "bytes behind the profile", P3 + bytes(7), None
    for size in (0, 100, len(P3) - 1, len(P3) + 1, 2**31):
        yield f"a header of {size} bytes", changed(P3, 0, struct.pack(">I", size)), None
    yield "version 5", changed(P3, 8, b"\5"), None
    yield "another white", changed(P3, 68, bytes(12)), None
    yield "no signature", changed(P3, 36, b"none"), None
    yield "grey", made.grey_profile(1.8), None
    yield "cmyk", made.cmyk_profile(), None
    for kind in ("LAB", "XYZ"):
        yield kind, ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes(), _REFUSED
    for space in (b"Lab ", b"YCbr", b"none"):
        yield f"space {space.decode()}", changed(P3, 16, space), _REFUSED
    for kind in ("link", "abst", "none"):
        yield f"class {kind}", changed(P3, 12, kind.encode()), _REFUSED
    yield "a cicp tag", P3.replace(b"chrm", b"cicp", 1), _REFUSED
    yield "tables for one intent only", P3.replace(b"chrm", b"A2B1", 1), _REFUSED
    yield "tags that overlap", made.overlapping_tags(80), None
    yield "more tags than some viewers read", made.overlapping_tags(100), _REFUSED
    yield "a column that is no colour", changed(P3, P3.index(b"XYZ ", 300), b"zzzz"), None
    yield "an impossible colour", changed(P3, P3.index(b"XYZ ", P3.index(b"sf32")) + 8, b"\1"), "impossible colours"
    yield "a curve of gamma -1", changed(P3, P3.index(b"para") + 12, struct.pack(">i", -65536)), None


CURVES: list[tuple[str, bytes, str | None]] = [
    ("linear", made.tabulated(), None),
    ("gamma 0.5", made.parametric(0, 0.5), None),
    ("gamma 1/256", made.tabulated(1), None),
    ("gamma 256", made.tabulated(65535), None),
    ("beyond white", made.parametric(3, 2.4, 1.8, 0.3, 2.3, 0.04), None),
    ("beyond white and below black", made.parametric(4, 2.4, 1.4, 0, 0.08, 0.04, 0.1, -0.1), None),
    ("black that is grey", made.tabulated(8000, 65535), None),
    ("white that is grey", made.tabulated(0, 32768), None),
    ("negative", made.tabulated(65535, 0), None),
    ("up and down", made.tabulated(0, 65535, 30000, 65535), None),
    ("a jump", made.parametric(3, 2.4, 1, 0, 1, 0.5), None),
    ("gamma 0", made.parametric(0, 0), _CURVE),
    ("gamma 0 as a table", made.tabulated(0), _CURVE),
    ("type 1", made.parametric(1, 2.2, 1.2, -0.2), _CURVE),
    ("type 2", made.parametric(2, 2.2, 1, 0, 0.1), _CURVE),
    ("steep", made.parametric(3, 2.4, 17, 0, 1, 0.5), _CURVE),
]


def _colours() -> Iterator[tuple[str, bytes, str, str | None]]:
    """Every mode that a format stores, with every kind of profile."""
    colours = Image.new("RGB", (32, 8), "white")
    for place, colour in enumerate((SAMPLE, (8, 8, 8), (0, 90, 255))):
        colours.paste(colour, (8 * place, 0, 8 * place + 8, 8))
    inks = Image.new("CMYK", (32, 8))
    for place, ink in enumerate(((0, 128, 255, 51), (30, 128, 200, 200), (255, 255, 255, 255))):
        inks.paste(ink, (8 * place, 0, 8 * place + 8, 8))
    grey, half = colours.convert("L"), Image.new("L", colours.size, 128)
    sixteen = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    opacities = {mode: one.copy() for mode, one in (("LA", grey.convert("LA")), ("RGBA", colours.convert("RGBA")))}
    for one in opacities.values():
        one.putalpha(half)
    images = {"L": grey, "RGB": colours, "P": colours.quantize(8), "I;16": sixteen, "CMYK": inks, **opacities}
    tables = P3.replace(b"chrm", b"A2B0", 1)
    profiles: list[tuple[str, bytes | None]] = [("none", None), ("broken", b"nothing"), ("tables", tables)]
    profiles += [("sRGB", made.srgb_profile()), ("P3", P3), ("grey", made.grey_profile(1.8))]
    profiles += [("CMYK", made.cmyk_profile()), ("beyond white", made.curve_profile(CURVES[4][1]))]
    formats: list[tuple[str, str, tuple[str, ...], dict[str, object]]] = [
        ("PNG", ".png", ("L", "LA", "P", "RGB", "RGBA", "I;16"), {}),
        ("JPEG", ".jpg", ("L", "RGB", "CMYK"), {"quality": 100, "subsampling": 0}),
        ("WEBP", ".webp", ("RGB", "RGBA"), {"lossless": True}),
    ]
    for form, suffix, modes, options in formats:
        for mode, (name, profile) in product(modes, profiles):
            data = encoded(images[mode], form, **options, **({"icc_profile": profile} if profile else {}))
            reason = _INKS if (mode, name) == ("CMYK", "CMYK") else _REFUSED if name == "tables" else None
            yield f"{form} {mode}: profile {name}", data, suffix, reason
    for name, curve, reason in CURVES:
        profile, of_grey = made.curve_profile(curve), made.grey_curve_profile(curve)
        yield f"png: curve {name}", encoded(colours, "PNG", icc_profile=profile), ".png", reason
        yield f"png: curve {name} of greys", encoded(grey, "PNG", icc_profile=of_grey), ".png", reason


def _png(*chunks: tuple[bytes, bytes], behind: made.Chunks = (), damages: bool = False) -> bytes:
    """A PNG of one pixel; `damages`: the checksum of its last chunk before the pixels."""
    parts = [made.chunk(*part) for part in chunks]
    if damages:
        parts[-1] = parts[-1][:-1] + bytes((parts[-1][-1] ^ 1,))
    head, pixels, end = (data := png(bytes(SAMPLE), width=1))[:33], data[33:-12], data[-12:]
    return head + b"".join(parts) + pixels + b"".join(made.chunk(*part) for part in behind) + end


def _pngs() -> Iterator[Case]:
    profile, tone = iccp(P3), (b"tRNS", struct.pack(">3H", *SAMPLE))
    by_cicp = (b"cICP", bytes((1, 13, 0, 1)))
    yield "chromaticities alone", _png(ADOBE), None
    yield "chromaticities and gamma", _png(LINEAR, ADOBE), None
    yield "chromaticities and the gamma of sRGB", _png((b"gAMA", struct.pack(">I", 45_455)), ADOBE), None
    yield "a profile for grey, and gamma", _png(iccp(made.grey_profile(1.8)), LINEAR), None
    yield "a broken profile, and gamma", _png(iccp(b"nothing"), LINEAR), None
    yield "cICP of sRGB, and a profile", _png(by_cicp, profile), None
    yield "cICP of sRGB, and gamma", _png(by_cicp, LINEAR), None
    yield "two profiles", _png(profile, iccp(made.srgb_profile())), _CHUNK
    yield "two gammas", _png(LINEAR, (b"gAMA", struct.pack(">I", 50_000))), _CHUNK
    yield "a profile without its end", _png((b"iCCP", profile[1][:-20])), _CHUNK
    yield "a profile without a name", _png((b"iCCP", profile[1][7:])), _CHUNK
    yield "sRGB with intent 4", _png(LINEAR, (b"sRGB", b"\4")), _CHUNK
    yield "gamma of eight bytes", _png((b"gAMA", LINEAR[1] * 2)), _CHUNK
    yield "gamma 0.00001", _png((b"gAMA", struct.pack(">I", 1))), "no viewer can follow"
    yield "a white without light", _png(LINEAR, (b"cHRM", bytes(32))), "no viewer can follow"
    for part in (profile, LINEAR, tone):
        yield f"{part[0].decode()} behind the pixels", _png(behind=[part]), _CHUNK
        yield f"{part[0].decode()} with a wrong checksum", _png(part, damages=True), _CHUNK
    yield "a tone beyond eight bits", _png((b"tRNS", struct.pack(">3H", 456, 376, 316))), _CHUNK
    palette = (b"PLTE", bytes(SAMPLE))
    before = png(b"\0", width=1, kind=PALETTE, chunks=[(b"tRNS", b"\x80"), palette])
    yield "opacity before the palette", before, _CHUNK
    yield "a colour that is not there", png(b"\5", width=1, kind=PALETTE, chunks=[palette]), "its palette lacks"
    yield "a chunk that is needed and not known", _png((b"ABCD", b"")), "not known"
    pixels = zlib.compress(b"\0" + bytes(SAMPLE))
    parted = made.chunk(b"IDAT", pixels[:6]) + made.chunk(b"tEXt", b"Title\0a") + made.chunk(b"IDAT", pixels[6:])
    yield "a text between the pixels", (whole := _png())[:33] + parted + whole[-12:], "between its pixels"
    yield "EXIF before the pixels", _png((b"eXIf", exif(6)[6:])), None
    yield "EXIF behind the pixels", _png(behind=[(b"eXIf", exif(6)[6:])]), _REFUSED
    yield "EXIF of no turn behind the pixels", _png(behind=[(b"eXIf", exif(1)[6:])]), None
    yield "EXIF as in a JPEG", _png((b"eXIf", exif(6))), _REFUSED


def _jpegs() -> Iterator[Case]:
    plain = encoded(BLOCK, "JPEG", quality=100, subsampling=0)

    def with_segments(*segments: tuple[int, bytes]) -> bytes:
        packed = (b"\xff" + bytes((kind,)) + struct.pack(">H", len(data) + 2) + data for kind, data in segments)
        return plain[:2] + b"".join(packed) + plain[2:]

    def piece(number: int, count: int, data: bytes = P3) -> tuple[int, bytes]:
        return 0xE2, b"ICC_PROFILE\0" + bytes((number, count)) + data

    yield "two pieces, swapped", with_segments(piece(2, 2, P3[300:]), piece(1, 2, P3[:300])), None
    yield "a piece twice", with_segments(piece(1, 1), piece(1, 1)), _PIECES
    yield "a piece too few", with_segments(piece(1, 2)), _PIECES
    yield "a piece of number 0", with_segments(piece(0, 1)), _PIECES
    big, long = exif(6), b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\4\0\1\0\0\0\6\0\0\0\0\0\0\0"
    yield "EXIF", with_segments((0xE1, big)), None
    yield "EXIF with another byte behind its name", with_segments((0xE1, b"Exif\0\xff" + big[6:])), _REFUSED
    yield "EXIF with a long number", with_segments((0xE1, long)), _REFUSED
    yield "EXIF that is cut off", with_segments((0xE1, big[:20])), None


def _webps() -> Iterator[Case]:
    for turn in range(2, 9):
        yield f"EXIF {turn}", encoded(BLOCK, "WEBP", lossless=True, exif=exif(turn)), _REFUSED
    for turn in (0, 1, 9):
        yield f"EXIF {turn}", encoded(BLOCK, "WEBP", lossless=True, exif=exif(turn)), None
    pixels = encoded(Image.new("RGBA", (16, 8), (*SAMPLE, 128)), "WEBP", lossless=True)[12:]
    body = b"WEBPVP8X" + struct.pack("<IIHBHB", 10, 0, 15, 0, 7, 0) + pixels
    yield "opaque by its header only", b"RIFF" + struct.pack("<I", len(body)) + body, "is opaque"


def _cases() -> Iterator[tuple[str, bytes, str, str | None]]:
    for name, profile, reason in _profiles():
        yield f"png: {name}", _png(iccp(profile)), ".png", reason
        yield f"jpeg: {name}", encoded(BLOCK, "JPEG", quality=100, icc_profile=profile), ".jpg", reason
        yield f"webp: {name}", encoded(BLOCK, "WEBP", lossless=True, icc_profile=profile), ".webp", reason
    for suffix, cases in ((".png", _pngs()), (".jpg", _jpegs()), (".webp", _webps())):
        yield from ((f"{suffix[1:]}: {name}", data, suffix, reason) for name, data, reason in cases)
    yield from _colours()


CASES = list(_cases())
