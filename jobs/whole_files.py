"""Write files that are whole or absent: into a temporary file beside the target, which is then renamed.

Pure of Django.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from jobs.refusals import Refused


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `target` if the block succeeds; otherwise nothing is left.

    Missing folders are created; of a link, the file that it leads to is replaced. Raises Refused if the file cannot be
    written or is a device or a pipe, and the block's own OSError if another file is at fault.
    """
    real = Path(os.path.realpath(target))  # root would replace /dev/stdout itself
    try:
        if real.is_dir():
            raise Refused(f"{target} cannot be written: it is a folder. Name a file in it.")
        if real.exists() and not real.is_file():
            raise Refused(f"{target} is a device or a pipe: name a file, which is written whole or not at all.")
        part = _part_path(real)
        try:
            yield part
            _sync(part)
            put_in_place(part, real)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if not _is_of(real, error):
            raise
        raise Refused(f"{target} cannot be written: {error.strerror or error}.") from error


def write_part(target: Path, data: bytes) -> Path:
    """Write the data to a temporary file beside `target`, safe against a power cut, and return that file."""
    part = _part_path(target)
    try:
        part.write_bytes(data)
        _sync(part)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part


@contextmanager
def written(target: Path, data: bytes) -> Iterator[Path]:
    """Yield a temporary file beside `target` that holds the data; delete it afterwards unless it was put in place."""
    part = write_part(target, data)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def put_in_place(part: Path, target: Path) -> None:
    """Rename the temporary file, and make its new name safe against a power cut."""
    part.replace(target)
    sync_names(target.parent)


def sync_names(folder: Path) -> None:
    """Make the names in a folder safe against a power cut."""
    _sync(folder)


def write(target: Path, data: bytes) -> None:
    """Write a file that is whole or absent. Raises OSError, which a job retries; `whole_file` refuses instead."""
    with written(target, data) as part:
        put_in_place(part, target)


def write_without_sync(target: Path, data: bytes) -> None:
    """Write a file that is whole or absent while the machine runs; a power cut may lose or shorten it."""
    part = _part_path(target)
    try:
        part.write_bytes(data)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_all_or_refuse(files: Mapping[Path, bytes]) -> list[Path]:
    """Write all files or none, and return their paths; the first one is put in place last.

    Raises Refused as `whole_file` does.
    """
    with ExitStack() as parts:
        for target, data in files.items():
            parts.enter_context(whole_file(target)).write_bytes(data)
    return list(files)


def sweep_folder(folder: Path) -> None:
    """Delete every temporary file in a folder."""
    for part in folder.glob("*.part"):
        part.unlink(missing_ok=True)


def sweep(target: Path) -> None:
    """Delete the temporary files that killed processes left beside `target`."""
    for part in target.parent.glob(f"{target.name}.*.part"):
        part.unlink(missing_ok=True)


def _is_of(target: Path, error: OSError) -> bool:
    """Return whether an error names the file, a temporary file beside it, or a folder above it; or names nothing.

    An error of writing to an open file, such as a full disk, names nothing.
    """
    if error.filename is None:
        return True
    path = Path(os.fsdecode(error.filename))
    return path.suffix == ".part" or path in (target, *target.parents)


def _part_path(target: Path) -> Path:
    """Return a new name beside `target` that `sweep` finds; its folder exists afterwards."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f"{target.name}.{secrets.token_hex(8)}.part")


def _sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
