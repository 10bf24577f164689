"""What annotators are served: WebP without metadata, made when an image is recorded and again where one is missing."""

from io import BytesIO
from pathlib import PurePosixPath

from PIL import Image, ImageOps

from generation.image_files import media, open_image
from generation.models import GeneratedImage
from generation.whole_files import sweep, write

# Side lengths in pixels: two square thumbnails, cropped to cover, and the whole image, never enlarged.
SIZES = {"grid": 160, "grid2x": 320, "zoom": 1024}
QUALITY = 75


def make(image: GeneratedImage) -> None:
    """Make every rendition. The same pixels give the same bytes (with the same library versions)."""
    original = open_image(image)
    for name in SIZES:
        write(media(_path(image, name)), encode(original, name))


def mend(image: GeneratedImage) -> None:
    """Finish what a killed process began: its temporary files go, and renditions that are missing are made."""
    files = [media(_path(image, name)) for name in SIZES]
    for file in files:
        sweep(file)
    if not all(file.exists() for file in files):
        make(image)


def read(image: GeneratedImage, name: str) -> bytes:
    """One rendition's WebP bytes; made anew where the file is missing. KeyError for a name not in SIZES."""
    file = media(_path(image, name))
    try:
        return file.read_bytes()
    except FileNotFoundError:
        make(image)
        return file.read_bytes()


def encode(original: Image.Image, name: str) -> bytes:
    """A rendition of an sRGB image, as WebP with neither EXIF nor profile."""
    side = SIZES[name]
    if name == "zoom":
        small = ImageOps.contain(original, (side, side)) if max(original.size) > side else original
    else:
        small = ImageOps.fit(original, (side, side), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    small.save(buffer, "WEBP", quality=QUALITY, exif=b"", icc_profile=b"")
    return buffer.getvalue()


def _path(image: GeneratedImage, name: str) -> str:
    """Beside nothing that names a model: renditions/<set uid>/<seed>-<name>-<side>.webp, from the image's own path."""
    file = PurePosixPath(image.path)
    return f"renditions/{file.parent.name}/{file.stem}-{name}-{SIZES[name]}.webp"
