"""The limits on a client's time and bytes, and the refusals of what exceeds them or breaks the rules of HTTP.

docs/operations.md explains the variable of each limit.
"""

import json
from dataclasses import dataclass
from io import BytesIO

from config.environment import Environment

TOO_LATE = 408, "Request Timeout", "The request did not arrive in time. Check your connection and send it again."
TOO_LONG_A_HEAD = 431, "Request Header Fields Too Large", "The address or the header fields are too long."
TOO_LARGE = 413, "Content Too Large", "The request is too large. Nothing of it was used."
TOO_MANY_CHUNKS = 413, "Content Too Large", "The request comes in too many small chunks. Nothing of it was used."
FULL = 503, "Service Unavailable", "Too much is being sent at the moment. Nothing is lost: try again in a minute."
Refusal = tuple[int, str, str]
SENTENCES = {
    "414": TOO_LONG_A_HEAD[2],
    "431": TOO_LONG_A_HEAD[2],
    "500": "Something went wrong here. Try again in a minute.",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. A body, or a response, gets its seconds and one more for each `slowest_rate` bytes.

    Neither ever has more than its seconds left, so a client that was fast may not pause for longer.
    """

    head_seconds: float = 10
    body_seconds: float = 30
    response_seconds: float = 30
    slowest_rate: int = 4096  # bytes a second
    idle_seconds: float = (
        75  # above the 60 s of deploy/Caddyfile: the proxy closes first, so it never sends into a void
    )
    linger_seconds: float = 2  # for a client to read an answer that closes the connection
    most_head_bytes: int = 64 * 2**10
    most_body_bytes: int = 16 * 2**20
    most_chunks: int = 100_000  # gunicorn takes 3 s for a million, whether the body is read or dropped
    most_held_bytes: int = 128 * 2**20  # of all requests that one process has not read whole
    most_waiting_bytes: int = 512 * 2**10  # of one response, until its thread waits for the client


def limits_from_environment() -> Limits:
    """Return the limits with the operator's settings; ImproperlyConfigured for a value that is no number."""
    shipped, env = Limits(), Environment()
    return Limits(
        head_seconds=env.float("REQUEST_HEAD_SECONDS", default=shipped.head_seconds),
        body_seconds=env.float("REQUEST_BODY_SECONDS", default=shipped.body_seconds),
        response_seconds=env.float("RESPONSE_SECONDS", default=shipped.response_seconds),
        most_body_bytes=env.int("REQUEST_MOST_BYTES", default=shipped.most_body_bytes),
    )


class FaultPage(BytesIO):
    """Takes gunicorn's own page about a fault: it is HTML, and quotes what was sent."""

    sendall = BytesIO.write

    def gettimeout(self) -> float:
        """Gunicorn asks before it writes: nothing here blocks."""
        return 0.0

    @property
    def refusal(self) -> Refusal:
        """The status of the page, in our words."""
        _, status, reason = self.getvalue().partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
        if status == "500" and reason != "Internal Server Error":  # its word for a header that only a proxy may set
            status = "400"
        return int(status), reason, SENTENCES.get(status, "The request breaks the rules of HTTP, so it was not read.")


def response(refusal: Refusal, *, is_for_a_program: bool) -> bytes:
    """Return the whole response of a refusal: JSON for a program, else text. The connection closes after it."""
    status, reason, sentence = refusal
    kind, body = (
        ("application/json", json.dumps({"message": sentence})) if is_for_a_program else ("text/plain", sentence)
    )
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    wait = "Retry-After: 5\r\n" if status in (TOO_LATE[0], FULL[0]) else ""
    return f"{head}{wait}Connection: close\r\n\r\n{body}".encode()
