"""What becomes of one image file while it is imported: the work of the processes beside the one that writes rows.

Pure of Django, so that such a process starts at once.
"""

import hashlib
import signal
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from generation.pictures import Limits, decode, read_bytes
from generation.pixels import png
from generation.refusals import Refused
from generation.thumbnails import SIZES, encode
from generation.whole_files import write_part

Ratio = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FileTask:
    """A file to read, and where its image and renditions are to lie. `crop` is the shape to cut it to, if any."""

    path: Path
    target: Path
    renditions: dict[str, Path]
    limits: Limits
    crop: Ratio | None


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What a file came to. The parts lie beside their places, the image's own first; `source` names the original."""

    parts: tuple[tuple[Path, Path], ...]
    sha256: str
    size: tuple[int, int]
    byte_count: int
    source: dict[str, str | int]

    def discard(self) -> None:
        """Remove what was not put in place."""
        for part, _ in self.parts:
            part.unlink(missing_ok=True)


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that writes rows: it ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def prepare(task: FileTask) -> ReadFile | str:
    """Read a file and write its image and renditions beside their places; the reason if it cannot be taken."""
    try:
        data = read_bytes(task.path, task.limits)
        image = decode(data, suffix=task.path.suffix, limits=task.limits)
        cropped = image if task.crop is None else crop(image, task.crop)
    except Refused as refusal:
        return str(refusal)
    stored = png(cropped)
    files = [(task.target, stored), *((task.renditions[name], encode(cropped, name)) for name in SIZES)]
    parts: list[tuple[Path, Path]] = []
    try:
        for place, content in files:
            parts.append((write_part(place, content), place))
    except BaseException:
        for part, _ in parts:
            part.unlink(missing_ok=True)
        raise
    source: dict[str, str | int] = {"sha256": hashlib.sha256(data).hexdigest(), "byte_count": len(data)}
    if task.crop is not None:
        source["crop"] = shape(task.crop)
    return ReadFile(tuple(parts), hashlib.sha256(stored).hexdigest(), cropped.size, len(stored), source)


def crop(image: Image.Image, ratio: Ratio) -> Image.Image:
    """The largest piece of exactly this shape from the middle. Raises Refused if not even the smallest fits."""
    unit = min(image.width // ratio[0], image.height // ratio[1])
    if not unit:
        raise Refused(f"is too small to be cut to {shape(ratio)}")
    width, height = unit * ratio[0], unit * ratio[1]
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def shape(ratio: Ratio) -> str:
    """As --crop takes it."""
    return f"{ratio[0]}:{ratio[1]}"
