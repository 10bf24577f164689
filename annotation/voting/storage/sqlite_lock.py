"""Turns among the processes that write to one SQLite file: nobody comes twice before another who waits."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GATE, DESK = 0, 1  # the bytes that are locked


class Turnstile:
    """Whoever has the gate is next, whoever has the desk writes.

    Who leaves the desk and wants it again must pass the gate, which is shut while another one waits for the desk. Two
    processes so take turns; of more, those before the gate are in the kernel's hands. One process uses it from one
    thread at a time. The kernel opens the locks of a process that dies.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # for as long as the process lives

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Inside, this process writes and no other one that came this way."""
        self._shut(GATE)
        try:
            self._shut(DESK)
        finally:
            self._open(GATE)
        try:
            yield
        finally:
            self._open(DESK)

    def _shut(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, byte)

    def _open(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)
