"""One HTTP request and its answer: to a checked address only, without redirects and proxies, bounded in size and time.

http.client, because the connection must go to the address that was checked while the certificate is still verified for
the host's name, and no library of a higher level can do that.
"""

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from generation.endpoints.addresses import Network, Place, find_place
from generation.endpoints.outcomes import TemporaryFailure
from jobs.refusals import Refused

CHUNK = 2**16
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Bounds:
    """The limits of a request: seconds in all, bytes of the answer, and the private addresses that are listed."""

    seconds: float
    byte_count: int
    private_addresses: Sequence[Network] = ()


@dataclass(frozen=True)
class Reply:
    """An answer that came whole."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def document(self) -> dict[str, Any]:
        """Return the body as a JSON object; empty if it is none."""
        try:
            read = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return read if isinstance(read, dict) else {}


def exchange(
    method: str, url: str, *, bounds: Bounds, owner: str, headers: Mapping[str, str] | None = None, sent: Any = None
) -> Reply:
    """Send a request, with `sent` as JSON if it is given, and return the whole answer, of any status but a redirect.

    Raises TemporaryFailure for a dropped connection, and an answer that is cut short or too slow; Refused for a
    forbidden address, a redirect and an answer that is too large. No sentence holds the address or a header.
    """
    parts = urlsplit(url)
    place = find_place(
        parts.hostname or "",
        parts.port or PORTS[parts.scheme],
        allowed=bounds.private_addresses,
        owner=owner,
    )
    connection = _Connection(place, is_secure=parts.scheme == "https", seconds=bounds.seconds)
    watchdog = threading.Timer(bounds.seconds, connection.cut)  # a server that sends byte by byte would never time out
    watchdog.daemon = True
    watchdog.start()
    try:
        body = None if sent is None else json.dumps(sent).encode()
        own = {"Accept-Encoding": "identity", "User-Agent": "semblance"}
        own |= {"Content-Type": "application/json"} if body is not None else {}
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body=body, headers={**own, **(headers or {})})
        with connection.getresponse() as response:
            _check_head(response, bounds, owner)
            body = _body(response, bounds, owner)
        if connection.is_cut:
            raise TimeoutError
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
    except (OSError, http.client.HTTPException) as error:
        is_late = connection.is_cut or isinstance(error, TimeoutError)
        if isinstance(error, ssl.SSLCertVerificationError):
            raise Refused(f"{owner}: its certificate is not valid for the host ({error.verify_message}).") from None
        never_sent = isinstance(error, ConnectionRefusedError)
        broken = "accepts no connection" if never_sent else "dropped the connection"
        what = f"did not answer within {bounds.seconds:g} s" if is_late else broken
        raise TemporaryFailure(f"{owner}: the server {what}", was_refused=never_sent) from None
    finally:
        watchdog.cancel()
        connection.close()


def _check_head(response: http.client.HTTPResponse, bounds: Bounds, owner: str) -> None:
    if 300 <= response.status < 400:
        raise Refused(f"{owner}: the server answers with a redirect ({response.status}), and none is followed.")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused(f"{owner}: the server packs its answer although it was asked not to.")
    if (response.length or 0) > bounds.byte_count:
        raise _too_large(bounds, owner)


def _body(response: http.client.HTTPResponse, bounds: Bounds, owner: str) -> bytes:
    body = bytearray()
    while chunk := response.read1(CHUNK):
        body += chunk
        if len(body) > bounds.byte_count:
            raise _too_large(bounds, owner)
    if response.length:  # the rest that was promised
        raise http.client.IncompleteRead(b"")
    return bytes(body)


def _too_large(bounds: Bounds, owner: str) -> Refused:
    return Refused(f"{owner}: the server's answer is larger than {bounds.byte_count:,} bytes.")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Connection(http.client.HTTPConnection):
    """A connection to the checked IP address of a place. The certificate is verified for the place's host."""

    def __init__(self, place: Place, *, is_secure: bool, seconds: float) -> None:
        super().__init__(place.host, place.port, timeout=seconds)
        self._place = place
        self._is_secure = is_secure
        self.is_cut = False
        self.default_port = PORTS["https" if is_secure else "http"]  # so that the header Host names no usual port

    def connect(self) -> None:
        """Connect to the checked address, whatever the name resolves to by now."""
        self.sock = socket.create_connection((self._place.address, self._place.port), self.timeout)
        if self._is_secure:
            self.sock = _tls().wrap_socket(self.sock, server_hostname=self._place.host)

    def cut(self) -> None:
        """End the connection from another thread: its reader gets an error at once."""
        self.is_cut = True
        sock = self.sock
        if sock is not None:
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # of the plain socket: TLS would wait for its end
            except OSError:
                return
