"""The storage of the image files: Django's storage API, and four promises that it does not make.

A file is whole or absent; a file that was put survives a power cut; a path is never written by two workers with other
contents; and an outage is distinguished from a file that is missing.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from jobs.refusals import SetBack

PAUSE = timedelta(minutes=1)  # of a job that met a storage that does not answer


class StorageAway(SetBack):
    """The storage does not answer, or refuses. A page answers 503; a job waits for a minute and is run again.

    is_counted: whether waiting may not help (a wrong key, a missing bucket), so that the job fails in the end.
    """

    def __init__(self, sentence: str, *, is_counted: bool = False) -> None:
        super().__init__(sentence, pause=PAUSE, is_counted=is_counted)


class Damaged(OSError):  # noqa: N818 - it names what happened
    """The content of a file is not what was stored, as the storage's own checksum says."""


class Staged(Protocol):
    """A file that is written, but has its final name only after `put`, which is called inside a transaction."""

    path: str

    def put(self) -> None:
        """Give the file its final name, which lasts after the storage's `sync`. No other writer waits long for it."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as a listing shows it. modified_at: seconds since 1970."""

    path: str
    modified_at: float


class ImageStorage(Protocol):
    """A Django storage of image files: a local folder or an object storage. Paths are relative, with slashes."""

    is_remote: bool  # whether reading takes a request, so that pages keep a copy

    def stage(self, path: str, data: bytes, *, is_named_by_content: bool = True) -> AbstractContextManager[Staged]:
        """Write a file before the transaction that records it. If it is never put, no row names it.

        is_named_by_content: whether the storage may add the content's hash to the name.
        """

    def path_of(self, path: str, sha256: str) -> str:
        """Return the path under which a file with this content is stored."""

    def before_rows(self, part: Path, path: str) -> None:
        """Store a temporary local file, if that takes long; called before the transaction that records it."""

    def after_rows(self, part: Path, path: str) -> None:
        """Give a temporary local file its final name, inside the transaction. Raises FileNotFoundError."""

    def sync(self, folder: str) -> None:
        """Make the names of a folder safe against a power cut."""

    def write(self, path: str, data: bytes, *, is_brisk: bool = False) -> None:
        """Write a file, or replace it. is_brisk: for a page, which does not wait for long."""

    def read(self, path: str, *, is_brisk: bool = False) -> bytes:
        """Return a file's content. Raises FileNotFoundError, or Damaged if the storage notices it."""

    def exists(self, path: str) -> bool:
        """Return whether a file is there."""

    def delete(self, name: str) -> None:
        """Delete a file if it is there."""

    def prune(self, folder: str) -> None:
        """Delete a folder if it is empty and there are folders."""

    def sweep(self, path: str) -> None:
        """Delete the temporary files that killed processes left beside a path."""

    def files(self, folder: str) -> Iterator[StoredFile]:
        """Yield every file below a folder, temporary ones too."""

    def now(self) -> float:
        """Return the time of the clock that dates the files, which is not this host's: seconds since 1970."""
