"""A fair lock between processes that write to one SQLite file: no process writes twice while another one waits."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GATE, DESK = 0, 1  # the bytes that are locked


class FairLock:
    """The process that holds GATE writes next; the process that holds DESK is writing.

    A process that has written and wants to write again must first get GATE, which another process holds while it waits
    for DESK. So two processes take turns; among more than two the kernel chooses which one gets GATE. A process uses
    the lock from one thread at a time. If a process dies, the kernel releases its locks.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # stays open until the process ends

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Inside, no other process that uses this lock writes."""
        self._lock(GATE)
        try:
            self._lock(DESK)
        finally:
            self._release(GATE)
        try:
            yield
        finally:
            self._release(DESK)

    def _lock(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, byte)

    def _release(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)
