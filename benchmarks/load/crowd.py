"""Simulated annotators over HTTP: each always busy with one request; cheap, since they share the server's cores.

Each has its own connection, which stays open. A vote without a response is sent again with the same id, on a new
connection, until it is answered, as the page does.
"""

import asyncio
import re
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from benchmarks.load.deployment import HOST

KIND = re.compile(rb'"kind": ?"(\w+)"')
ASSIGNMENT = re.compile(rb'"assignment": ?"([\w-]+)"')
SECONDS = re.compile(rb'"seconds": ?(\d+)')
STATE = re.compile(rb'^\{"state": ?"(\w+)"')
LENGTH = re.compile(rb"\r\ncontent-length: ?(\d+)", re.IGNORECASE)
RETRY_SECONDS = 0.1
ANSWER_SECONDS = 30
SHORT_WAIT_SECONDS = 0.25  # a page waits as long as the server says; here many clients ask more often
AGAIN_EVERY = 100  # so many votes until one is sent twice


@dataclass
class Tally:
    """The results of a crowd. `cycles`: seconds of a vote with the next comparison, for those that began in `window`.

    The window ends early if nothing is left to vote on.
    """

    window: tuple[float, float]
    cycles: list[float] = field(default_factory=list)
    acknowledged: dict[uuid.UUID, str] = field(default_factory=dict)
    unanswered: set[uuid.UUID] = field(default_factory=set)
    done: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    broken_lines: int = 0


class Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport
        self.received = bytearray()
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None

    def data_received(self, data: bytes) -> None:
        """Collect bytes until the response is complete."""
        self.received += data
        head_end = self.received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = LENGTH.search(self.received, 0, head_end)
        end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self.received) >= end and self.answer and not self.answer.done():
            self.answer.set_result((int(self.received[9:12]), bytes(self.received[head_end + 4 : end])))
            del self.received[:end]

    def connection_lost(self, error: Exception | None) -> None:
        """Pass the error to the waiting request."""
        if self.answer and not self.answer.done():
            self.answer.set_exception(error or ConnectionResetError())

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and return the status and body of the response."""
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)  # type: ignore[attr-defined]
        return await self.answer


class Person:
    """One simulated annotator."""

    def __init__(self, token: str, port: int, tally: Tally) -> None:
        self.token, self.port, self.tally, self.line = token, port, tally, Line()
        self.head = {verb: self._head(verb) for verb in ("next", "votes")}
        self.is_connected = False

    def _head(self, verb: str) -> bytes:
        """Return the headers of a browser behind the proxy."""
        return (
            f"POST /api/v1/annotators/{self.token}/{verb} HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-Proto: https\r\n"
            "User-Agent: Mozilla/5.0 (X11; Linux) Synthetic\r\nAccept: */*\r\nAccept-Language: en-GB,en;q=0.8\r\n"
            f"Accept-Encoding: gzip, deflate, br\r\nOrigin: https://{HOST}\r\nContent-Type: application/json\r\n"
        ).encode()

    async def vote_until(self, end: float) -> None:
        """Vote on one comparison after another until the time is over or the study is done."""
        body = await self._ask("next", b"{}", end)
        for number in count(1):
            kind = KIND.search(body) if body else None
            if kind is None or time.monotonic() >= end:
                return
            if kind[1] == b"comparison":
                body = await self._vote(body, end, is_sent_again=number % AGAIN_EVERY == 0)
            elif kind[1] == b"wait":
                self.tally.answers["wait"] += 1
                await asyncio.sleep(min(int(SECONDS.findall(body)[0]), SHORT_WAIT_SECONDS))
                body = await self._ask("next", b"{}", end)
            else:
                self.tally.answers[kind[1].decode()] += 1
                if kind[1] == b"done":
                    self.tally.done.append(self.token)
                return

    async def _vote(self, body: bytes, end: float, *, is_sent_again: bool) -> bytes:
        assignment = ASSIGNMENT.findall(body, 0)[0].decode()
        vote_id = uuid.uuid4()
        choice = "left" if vote_id.int % 2 else "right"
        ballot = (
            f'{{"vote_id":"{vote_id}","assignment":"{assignment}","choice":"{choice}",'
            '"response_ms":1234,"rendition":"grid"}'
        ).encode()
        self.tally.unanswered.add(vote_id)
        began = time.monotonic()
        answer = await self._ask("votes", ballot, end)
        if answer and is_sent_again:
            answer = await self._ask("votes", ballot, end)
        elif answer and self.tally.window[0] <= began < self.tally.window[1]:
            self.tally.cycles.append(time.monotonic() - began)
        if answer and (state := STATE.search(answer)):
            self.tally.unanswered.discard(vote_id)
            self.tally.acknowledged[vote_id] = state[1].decode()
            self.tally.answers[state[1].decode()] += 1
            answer = answer.partition(b'"next":')[2].strip()
        return answer

    async def _ask(self, verb: str, body: bytes, end: float) -> bytes:
        """Return the response's body; empty if there was none before the end, or if the server refused."""
        request = self.head[verb] + b"Content-Length: %d\r\n\r\n" % len(body) + body
        while time.monotonic() < end + ANSWER_SECONDS:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._connect()
                    status, answer = await self.line.ask(request)
            except (OSError, TimeoutError):
                self.is_connected = False
                self.tally.broken_lines += 1
            else:
                if status == 200:
                    return answer
                self.tally.errors[f"{status} {answer[:80].decode(errors='replace')}"] += 1
                if status < 500:
                    return b""
            await asyncio.sleep(RETRY_SECONDS)
        return b""

    async def _connect(self) -> None:
        if self.is_connected and not self.line.transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        _transport, self.line = await loop.create_connection(Line, "127.0.0.1", self.port)
        self.is_connected = True


async def vote(tokens: list[str], port: int, *, warm_up: float, seconds: float) -> Tally:
    """Run all annotators at once: a warm-up, then the measured seconds."""
    start = time.monotonic() + warm_up
    tally = Tally((start, start + seconds))
    await asyncio.gather(*(Person(token, port, tally).vote_until(start + seconds) for token in tokens))
    tally.window = (start, min(start + seconds, time.monotonic()))
    return tally
