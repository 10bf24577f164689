"""Image files in a folder of this machine, or one that it shares: whole or absent, and safe against a power cut."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from django.core.files.storage import FileSystemStorage

from generation.pictures.image_storage import StoredFile
from jobs import whole_files


@dataclass(frozen=True, slots=True)
class _Part:
    """A temporary file, flushed to disk in its final folder."""

    path: str
    part: Path
    target: Path

    def put(self) -> None:
        """Rename the file; `sync` makes the name durable, once for a folder."""
        self.part.replace(self.target)


class LocalFolder(FileSystemStorage):
    """Django's storage of files in MEDIA_ROOT, with durable writing."""

    is_remote = False

    @contextmanager
    def stage(self, path: str, data: bytes, *, is_named_by_content: bool = True) -> Iterator[_Part]:
        """Yield a temporary file with the data; it is deleted afterwards unless it was put."""
        target = self._at(path)
        with whole_files.written(target, data) as part:
            yield _Part(path, part, target)

    def path_of(self, path: str, sha256: str) -> str:
        """Return the path itself: a rename inside the transaction needs no other name for other content."""
        return path

    def before_rows(self, part: Path, path: str) -> None:
        """Do nothing: the temporary file lies in its folder."""

    def after_rows(self, part: Path, path: str) -> None:
        """Rename a temporary file; `sync` makes the name durable, once for a folder."""
        part.replace(self._at(path))

    def sync(self, folder: str) -> None:
        """Flush the names of a folder to the disk."""
        whole_files.sync_names(self._at(folder))

    def write(self, path: str, data: bytes, *, is_brisk: bool = False) -> None:
        """Write a file, or replace it."""
        whole_files.write(self._at(path), data)

    def read(self, path: str, *, is_brisk: bool = False) -> bytes:
        """Return a file's content. Raises FileNotFoundError."""
        return self._at(path).read_bytes()

    def delete(self, name: str) -> None:
        """Delete a file if it is there."""
        self._at(name).unlink(missing_ok=True)

    def prune(self, folder: str) -> None:
        """Delete a folder if it is empty."""
        with suppress(OSError):  # it holds files, or is gone
            self._at(folder).rmdir()

    def sweep(self, path: str) -> None:
        """Delete the temporary files that killed processes left beside a path."""
        whole_files.sweep(self._at(path))

    def files(self, folder: str) -> Iterator[StoredFile]:
        """Yield every file below a folder, temporary ones too."""
        root = self._at("")
        for place, _, names in os.walk(self._at(folder)):
            for name in names:
                file = Path(place, name)
                with suppress(FileNotFoundError):  # renamed or deleted meanwhile
                    yield StoredFile(file.relative_to(root).as_posix(), file.lstat().st_mtime)

    def now(self) -> float:
        """Return the date of a new file: on a shared folder that of its server."""
        try:
            with TemporaryFile(dir=self._at("")) as file:
                return os.fstat(file.fileno()).st_mtime
        except OSError:  # missing, or read-only, so that nothing is deleted from it either
            return time.time()

    def _at(self, path: str) -> Path:
        return Path(self.location, path)
