"""Slow or hostile clients: half a head, half a body, or a response that is never read."""

import asyncio
from contextlib import suppress

from benchmarks.load.deployment import HOST

FIELDS = f"Host: {HOST}\r\nX-Forwarded-Proto: https\r\n"
KINDS = (
    f"GET / HTTP/1.1\r\n{FIELDS}X-Unfinished: ".encode(),
    f"POST /resume/ HTTP/1.1\r\n{FIELDS}Content-Length: 100000\r\n\r\ncode=".encode(),
    f"GET /api/v1/openapi.json HTTP/1.1\r\n{FIELDS}\r\n".encode(),
)
SECONDS_BETWEEN_BYTES = 1


async def hang(port: int, count: int) -> None:
    """Run so many of them until cancelled: each sends a byte a second, and reconnects when it is cut off."""
    await asyncio.gather(*(_hang(port, KINDS[number % len(KINDS)]) for number in range(count)))


async def _hang(port: int, beginning: bytes) -> None:
    while True:
        with suppress(OSError):
            _reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            try:
                writer.write(beginning)
                while not writer.is_closing():
                    await asyncio.sleep(SECONDS_BETWEEN_BYTES)
                    writer.write(b"x")
            finally:
                writer.close()
        await asyncio.sleep(SECONDS_BETWEEN_BYTES)
