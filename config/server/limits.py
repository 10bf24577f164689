"""Limits on a client's time and bytes; docs/operations.md explains each variable."""

from dataclasses import dataclass

from config.environment import Environment


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
