"""Convert pixels to one form: sRGB, eight bits, opaque, without metadata. Pure."""

from io import BytesIO

import numpy as np
from PIL import Image

from generation.pictures.png_colours import profile_of
from generation.pictures.profile_colours import shown_colours, shown_greys
from generation.pictures.profiles import space_of
from jobs.refusals import Refused

_SIXTEEN_BITS = ("I", "I;16", "I;16L", "I;16B", "I;16N")
# The colour mode for each of Pillow's modes; alpha is handled separately.
_COLOURS = {mode: mode for mode in ("L", "RGB", "CMYK")}
_COLOURS |= dict.fromkeys(("1", "LA"), "L") | dict.fromkeys(("RGBA", "RGBX", "P", "PA", "YCbCr", "HSV"), "RGB")
# The colour spaces of the profiles that can describe a mode, in order of preference.
_SPACES = {"L": ("GRAY", "RGB"), "RGB": ("RGB",), "CMYK": ("CMYK",)}


def as_srgb(image: Image.Image) -> Image.Image:
    """Return the image as a colour-managed viewer shows it on a white page, in mode RGB and without metadata.

    A colour profile is converted to sRGB; a broken profile, or one for another kind of pixels, is ignored,
    as in browsers. A PNG without a profile is read by its sRGB, gAMA and cHRM chunks. Sixteen bits are scaled to eight,
    transparency is laid over white. An RGB image with none of these keeps its pixels bit for bit. Raises Refused for
    pixels without a defined colour, and for colours that viewers read differently.
    """
    raw_mode = _raw_mode(image)  # before anything decodes the file
    colour, alpha = _apart(image, raw_mode)
    rgb = _in_srgb(colour, image)
    if alpha is not None:
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)
    bare = Image.new("RGB", rgb.size)
    bare.paste(rgb)
    return bare


def png(image: Image.Image) -> bytes:
    """Encode the pixels as lossless PNG; the same bytes for the same pixels and library versions."""
    buffer = BytesIO()
    # Level 3 takes less than half the time of zlib's default 6, for files about a twentieth larger.
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def is_plain(image: Image.Image) -> bool:
    """Return whether an RGB image has only one colour."""
    return all(low == high for low, high in image.getextrema())  # type: ignore[misc]  # of RGB: pairs


def _apart(image: Image.Image, raw_mode: str) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours in mode L, RGB or CMYK, and the opacity, or None if all is opaque."""
    if image.mode in _SIXTEEN_BITS:
        return _from_sixteen_bits(image)
    if image.mode not in _COLOURS:
        raise Refused(f"holds pixels of the kind {image.mode}, which no viewer shows")
    alpha = _opacity(image, raw_mode) if image.has_transparency_data else None
    mode = _COLOURS[image.mode]
    # Through RGBA, because a palette's own opacity would be multiplied in, or lost with a warning.
    colour = image.convert("RGBA").convert("RGB") if mode == "RGB" and alpha else image
    return (colour if colour.mode == mode else colour.convert(mode)), alpha


def _opacity(image: Image.Image, raw_mode: str) -> Image.Image:
    key = image.info.get("transparency")
    if image.mode not in ("1", "L", "RGB") or not isinstance(key, int | tuple):
        return image.convert("RGBA").getchannel("A")
    if raw_mode == "RGB;16B":
        raise Refused("makes one colour of sixteen bits transparent, which cannot be read exactly: save it with alpha")
    # Pillow scales grey of 2 and 4 bits to eight, but not the grey that is transparent.
    scale = {"L;2": 85, "L;4": 17}.get(raw_mode, 1)
    pixels = np.asarray(image.convert("L" if image.mode == "1" else image.mode))
    is_key = pixels == np.array(key) * scale
    return Image.fromarray(np.where(is_key if is_key.ndim == 2 else is_key.all(axis=2), 0, 255).astype(np.uint8))


def _raw_mode(image: Image.Image) -> str:
    """Return how a PNG stores its pixels. Pillow knows this only before it decodes them."""
    tiles = getattr(image, "tile", ())  # only of images that come from files
    arguments = tiles[0].args if tiles else ""
    return arguments if isinstance(arguments, str) else ""


def _from_sixteen_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Scale grey of sixteen bits to eight; Pillow's own conversion would clip it to white."""
    values = np.asarray(image).astype(np.uint32)
    grey = Image.fromarray(((values * 255 + 32767) // 65535).clip(0, 255).astype(np.uint8))
    key = image.info.get("transparency")
    alpha = None if key is None else Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
    return grey, alpha


def _in_srgb(colour: Image.Image, image: Image.Image) -> Image.Image:
    for profile in (image.info.get("icc_profile"), profile_of(image.info)):
        space = space_of(profile) if profile else None
        if profile and space:  # a broken profile is passed over, one for other pixels is not
            return _converted(colour, profile, space) or colour.convert("RGB")
    return colour.convert("RGB")


def _converted(colour: Image.Image, profile: bytes, space: str) -> Image.Image | None:
    """Return the colours in sRGB; None if the profile is for other kinds of pixels."""
    if space not in _SPACES[colour.mode]:
        return None
    if space == "CMYK":  # Chromium and LittleCMS differ by up to 70 of 255, whatever intent and black point it is given
        raise Refused("has a colour profile of printing inks (CMYK), which viewers read differently: save it in sRGB")
    return shown_greys(colour, profile) if space == "GRAY" else shown_colours(colour.convert("RGB"), profile)
