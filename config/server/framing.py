"""Find the end of a request in the received bytes. Gunicorn parses the request itself, in a thread.

An invalid request counts as complete: gunicorn refuses it, and the rest of its connection is never read.
"""

import re
from dataclasses import dataclass

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked[ \t]*\r\n", re.IGNORECASE)
EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
CHUNK_LINE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;|$)")
MOST_LINE_BYTES = 8 * 2**10
MOST_TRAILER_BYTES = 32 * 2**10


@dataclass(slots=True)
class Framing:
    """The request at the start of a buffer. Call `look` as the buffer grows; it reads no part twice."""

    head_size: int = 0  # 0: the head is not whole yet
    size: int = 0  # of head and body, or the least that they can be; exact once the request is whole
    is_whole: bool = False
    expects_continue: bool = False
    chunk_count: int = 0  # of those that were found so far
    _is_chunked: bool = False
    _at: int = 0  # everything before this place has been parsed

    def look(self, buffer: bytearray) -> bool:
        """Return whether the request is complete."""
        if not self.head_size:
            self._find_head(buffer)
        if self.head_size and self._is_chunked and not self.is_whole:
            self._find_last_chunk(buffer)
        elif self.head_size:
            self.is_whole = len(buffer) >= self.size
        return self.is_whole

    def _find_head(self, buffer: bytearray) -> None:
        end = buffer.find(b"\r\n\r\n", self._at)
        if end < 0:
            self._at = max(0, len(buffer) - 3)
            return
        self.head_size = self._at = end + 4
        length = LENGTH.search(buffer, 0, self.head_size)
        self.size = self.head_size + (int(length[1]) if length else 0)
        self._is_chunked = CHUNKED.search(buffer, 0, self.head_size) is not None
        self.expects_continue = EXPECTS.search(buffer, 0, self.head_size) is not None

    def _find_last_chunk(self, buffer: bytearray) -> None:
        while not self.is_whole:
            line_end = buffer.find(b"\r\n", self._at, self._at + MOST_LINE_BYTES)
            if line_end < 0:
                return self._or_broken(buffer, len(buffer) - self._at >= MOST_LINE_BYTES)
            line = CHUNK_LINE.match(buffer, self._at, line_end)
            if line is None:
                return self._or_broken(buffer, True)
            length = int(line[1], 16)
            if not length:
                return self._find_trailers(buffer, line_end)
            self.size = line_end + 2 + length + 2
            if len(buffer) < self.size:
                return None
            self._at = self.size
            self.chunk_count += 1
        return None

    def _find_trailers(self, buffer: bytearray, line_end: int) -> None:
        """Find the end of the trailers, which begin with the line break after the last chunk's size."""
        end = buffer.find(b"\r\n\r\n", line_end, line_end + MOST_TRAILER_BYTES)
        if end < 0:
            self._or_broken(buffer, len(buffer) - line_end >= MOST_TRAILER_BYTES)
        else:
            self.size, self.is_whole = end + 4, True

    def _or_broken(self, buffer: bytearray, is_broken: bool) -> None:
        if is_broken:
            self.size, self.is_whole = len(buffer), True
