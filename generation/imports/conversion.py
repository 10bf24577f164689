"""Read, convert and write one image file of an import, in a process other than the one that writes rows.

It does not import Django, so that such a process starts quickly.
"""

import hashlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from generation.pictures.generators import generator_of
from generation.pictures.pixels import png
from generation.pictures.reading import Limits, decode, read_bytes
from generation.pictures.thumbnails import SIZES, encode
from jobs.refusals import Refused
from jobs.whole_files import write_part

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FileTask:
    """A file to read, and the local paths beside which its image and renditions are written.

    `size`: the size to fit it to, or None.
    """

    path: Path
    target: Path
    renditions: dict[str, Path]
    limits: Limits
    size: Size | None


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was read. parts: temporary files, the image's first, then its renditions'; source: the original."""

    parts: tuple[Path, ...]
    sha256: str
    size: tuple[int, int]
    byte_count: int
    source: dict[str, Any]

    def discard(self) -> None:
        """Delete the temporary files that were not renamed."""
        for part in self.parts:
            part.unlink(missing_ok=True)


def ignore_interrupts() -> None:
    """Ignore Ctrl-C: the process that writes rows handles it and ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def prepare(task: FileTask) -> ReadFile | str:
    """Read a file and write its image and renditions to temporary files; return the reason if it is refused."""
    try:
        data = read_bytes(task.path, task.limits)
        image = decode(data, suffix=task.path.suffix, limits=task.limits)
        fitted = image if task.size is None else fit(image, task.size)
    except Refused as refusal:
        return str(refusal)
    stored = png(fitted)
    files = [(task.target, stored), *((task.renditions[name], encode(fitted, name)) for name in SIZES)]
    parts: list[Path] = []
    try:
        for place, content in files:
            parts.append(write_part(place, content))
    except BaseException:
        for part in parts:
            part.unlink(missing_ok=True)
        raise
    source: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest(), "byte_count": len(data)}
    if generator := generator_of(data):
        source["generator"] = generator
    if task.size is not None:
        source["size"] = written(task.size)
    return ReadFile(tuple(parts), hashlib.sha256(stored).hexdigest(), fitted.size, len(stored), source)


def fit(image: Image.Image, size: Size) -> Image.Image:
    """Crop an image to the size's aspect ratio and scale it down. Raises Refused if the image is too small."""
    if image.width < size[0] or image.height < size[1]:
        raise Refused(f"is smaller than {written(size)} ({written(image.size)})")
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def written(size: Size) -> str:
    """Return the size in the form of the option --size."""
    return f"{size[0]}x{size[1]}"
