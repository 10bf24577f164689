"""Files that are whole or not there: written beside their place, then renamed. Pure of Django."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_part(target: Path, data: bytes) -> Path:
    """Put the data safely on disk in a temporary file beside `target`, and return that file.

    Its name begins with the target's, so that `sweep` finds what a killed process left.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part


@contextmanager
def written(target: Path, data: bytes) -> Iterator[Path]:
    """A temporary file beside `target` that holds the data; gone when the block ends, put in place or not."""
    part = write_part(target, data)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def put_in_place(part: Path, target: Path) -> None:
    """Rename, and make the name itself safe against a power cut."""
    part.replace(target)
    keep_names(target.parent)


def keep_names(folder: Path) -> None:
    """Make the names in a folder safe against a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(target: Path, data: bytes) -> None:
    """Write a file that is either whole or not there."""
    with written(target, data) as part:
        put_in_place(part, target)


def sweep_folder(folder: Path) -> None:
    """Remove every temporary file in a folder."""
    for part in folder.glob("*.part"):
        part.unlink(missing_ok=True)


def sweep(target: Path) -> None:
    """Remove the temporary files that killed processes left beside `target`."""
    for part in target.parent.glob(f"{target.name}.*.part"):
        part.unlink(missing_ok=True)
