"""A stand-in for the client's socket: gunicorn's threads read a complete request from it and write into a buffer."""

import errno
import os
import socket
import threading
import time
from collections.abc import Callable

from config.server.limits import Limits

PIECE_BYTES = 256 * 2**10
NEVER = float("inf")


class Readers:
    """The threads that wait for a client to read. If there are too many, the most idle client is cut off."""

    def __init__(self, most: int) -> None:
        self._most, self._guard, self._waiting = most, threading.Lock(), set["BufferedSocket"]()

    def add(self, waiting: "BufferedSocket") -> None:
        """Count a waiting thread."""
        with self._guard:
            self._waiting.add(waiting)
            slowest = min(self._waiting, key=lambda one: one.moved_at) if len(self._waiting) > self._most else None
        if slowest:
            slowest.break_off()

    def remove(self, waiting: "BufferedSocket") -> None:
        """Remove a thread that no longer waits."""
        with self._guard:
            self._waiting.discard(waiting)


class BufferedSocket:
    """One connection's socket. The event loop calls `flush` and `give`; gunicorn calls the rest in a thread."""

    def __init__(
        self, own: socket.socket, *, limits: Limits, readers: Readers, ask_to_flush: Callable[[], None]
    ) -> None:
        self._own, self._limits, self._readers, self._ask_to_flush = own, limits, readers, ask_to_flush
        self._request, self._read = b"", 0
        self._changed, self._waiting = threading.Condition(), bytearray()
        self.is_broken = self.has_answered = False
        self.moved_at = 0.0  # when the client last accepted bytes
        self.deadline = NEVER  # by which the client must have accepted all bytes that wait

    def give(self, request: bytes) -> None:
        """Set the bytes that `recv` returns, followed by the end of the stream."""
        self._request, self._read, self.has_answered = request, 0, False

    @property
    def is_of_a_program(self) -> bool:
        """Whether the request is one to the API, which is answered in JSON."""
        return b" /api/" in self._request[:2000].partition(b"\r\n")[0]

    def recv(self, size: int) -> bytes:
        """Return the next bytes of the request."""
        piece = self._request[self._read : self._read + size]
        self._read += len(piece)
        return piece

    def sendall(self, data: bytes) -> None:
        """Send what the connection accepts and leave the rest to the event loop; wait only if the rest is large."""
        self.has_answered = True
        with self._changed:
            if self.is_broken:
                raise _broken()
            sent = 0 if self._waiting else self._send(data)
            if sent == len(data):
                return
            is_first = not self._waiting
            if is_first:
                self.deadline = time.monotonic() + self._limits.response_seconds
            self._waiting += memoryview(data)[sent:]
            is_much = len(self._waiting) > self._limits.most_waiting_bytes
        if is_first:
            self._ask_to_flush()
        if is_much:
            self._wait()

    def flush(self) -> bool:
        """Send waiting bytes as far as the connection accepts them, and return whether none are left."""
        with self._changed:
            sent = self._send(self._waiting[:PIECE_BYTES])
            del self._waiting[:sent]
            longer = self.deadline + sent / self._limits.slowest_rate
            # Never more than the seconds of a response: a client that was fast may not pause for minutes.
            self.deadline = min(longer, time.monotonic() + self._limits.response_seconds) if self._waiting else NEVER
            self._changed.notify_all()
            return self.is_broken or not self._waiting

    def break_off(self) -> None:
        """Drop the client and the waiting bytes; the writing thread gets an error."""
        with self._changed:
            self.is_broken = True
            self._waiting.clear()
            self._changed.notify_all()

    def has_waiting(self) -> bool:
        """Whether bytes are still to be sent."""
        return bool(self._waiting)

    def _send(self, data: bytes | bytearray) -> int:
        try:
            sent = self._own.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.is_broken = True
            self._waiting.clear()
            self._changed.notify_all()
            return len(data)
        self.moved_at = time.monotonic()
        return sent

    def _wait(self) -> None:
        most = self._limits.most_waiting_bytes
        self._readers.add(self)
        try:
            with self._changed:
                self._changed.wait_for(lambda: self.is_broken or len(self._waiting) <= most // 2)
                if self.is_broken:
                    raise _broken()
        finally:
            self._readers.remove(self)

    def gettimeout(self) -> float:
        """Return 0: nothing blocks. Gunicorn asks before it sends an error."""
        return 0.0

    def setblocking(self, flag: bool) -> None:
        """Do nothing: the socket belongs to the event loop."""

    def shutdown(self, how: int) -> None:
        """Refuse: the event loop closes the connection after the client has received everything."""
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    def close(self) -> None:
        """Do nothing: the event loop closes the connection."""


def _broken() -> BrokenPipeError:
    return BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
