"""A bounded cache of renditions on this machine's disk, for pages whose images lie in an object storage.

A rendition is determined by its image's pixels, so a copy is named by the image's hash and never grows stale. What was
not asked for longest goes first. Any file of the cache may be deleted at any time.
"""

import hashlib
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from jobs.whole_files import write_without_sync

KEPT_SHARE = 0.9  # of the limit, after making room
LOOKS_PER_BOUND = 50  # a process lists the files again after it has written this share of the limit
SECONDS_BETWEEN_TOUCHES = 3600  # a file that was asked for again is marked at most so often


class PageCache:
    """The cache in one folder, which all web processes of a machine share."""

    def __init__(self, folder: Path, byte_count: int) -> None:
        self._folder = folder
        self._most = byte_count
        self._unseen = byte_count  # bytes since the last look: a new process looks at its first write
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return a stored content, or None."""
        file = self._file(key)
        try:
            content = file.read_bytes()
            if time.time() - file.stat().st_mtime > SECONDS_BETWEEN_TOUCHES:
                os.utime(file)
        except OSError:
            return None
        # A power cut may leave half of a copy: copies are not flushed to the disk.
        digest, content = content[:32], content[32:]
        return content if hashlib.sha256(content).digest() == digest else None

    def put(self, key: str, content: bytes) -> None:
        """Store a content. A disk that is full or cannot be written to only makes the pages slower."""
        if len(content) > self._most:
            return
        with suppress(OSError):
            write_without_sync(self._file(key), hashlib.sha256(content).digest() + content)
            self._make_room(len(content) + 32)

    def _make_room(self, written: int) -> None:
        with self._lock:
            self._unseen += written
            if self._unseen < self._most / LOOKS_PER_BOUND:
                return
            self._unseen = 0
        files = []
        for place, _, names in os.walk(self._folder):
            for name in names:
                with suppress(FileNotFoundError):
                    status = Path(place, name).stat()
                    files.append((status.st_mtime, status.st_size, Path(place, name)))
        total = sum(size for _, size, _ in files)
        for _, size, file in sorted(files) if total > self._most else ():
            if total <= self._most * KEPT_SHARE:
                break
            file.unlink(missing_ok=True)
            total -= size

    def _file(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / name
