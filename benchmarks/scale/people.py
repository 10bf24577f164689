"""Staff who read page after page over HTTP, while annotators vote."""

import asyncio
import time
from itertools import cycle, islice

from benchmarks.load.crowd import Line
from benchmarks.load.deployment import HOST

SECONDS_TO_READ = 5.0  # between two pages of one person
PATIENCE_SECONDS = 60.0


async def look(cookie: str, addresses: list[str], port: int, *, people: int, until: float) -> list[float]:
    """Run so many people, each beginning at another page, and return the seconds that each page took."""
    seconds: list[float] = []
    first = [list(islice(cycle(addresses), person, person + len(addresses))) for person in range(people)]
    await asyncio.gather(*(_look(cookie, pages, port, until, seconds) for pages in first))
    return seconds


async def _look(cookie: str, pages: list[str], port: int, until: float, seconds: list[float]) -> None:
    loop = asyncio.get_running_loop()
    _transport, line = await loop.create_connection(Line, "127.0.0.1", port)
    for address in cycle(pages):
        if time.monotonic() >= until:
            line.transport.close()
            return
        request = (
            f"GET {address} HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-Proto: https\r\nAccept: text/html\r\n"
            f"Accept-Language: en\r\nCookie: sessionid={cookie}\r\n\r\n"
        )
        began_at = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            status, _body = await line.ask(request.encode())
        if status >= 400:
            raise SystemExit(f"{address} answers {status}.")
        seconds.append(time.monotonic() - began_at)
        await asyncio.sleep(SECONDS_TO_READ)
