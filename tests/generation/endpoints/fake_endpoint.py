"""A server that makes images, of the tests' own: this project's contract, the images API, ComfyUI, and faults."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

from pytest_django.fixtures import Settings

from tests.generation.planned_sets import picture

KEY = "the-key-of-the-endpoint"


def image_file(seed: int = 0, size: tuple[int, int] = (64, 64)) -> bytes:
    """A PNG of random pixels."""
    buffer = BytesIO()
    picture(seed, size).save(buffer, "PNG")
    return buffer.getvalue()


def in_base64(data: bytes) -> str:
    """The data as an answer holds it."""
    return base64.b64encode(data).decode()


@dataclass
class Response:
    """What the server sends. stated: the Content-Length, if it is not true; drip: seconds between single bytes."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stated: int | None = None
    drip: float = 0.0


def as_json(document: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer; the underscores of headers become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, json.dumps(document).encode(), named)


@dataclass
class Request:
    """What the server was asked."""

    method: str
    path: str
    headers: dict[str, str]
    document: dict[str, Any]


Respond = Callable[[Request], Response]


class FakeEndpoint:
    """The server. `respond` answers each request, unless `faults` holds an answer that goes first."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.faults: list[Response] = []
        self.requests: list[Request] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fake._answer(self, "POST")

            def do_GET(self) -> None:
                fake._answer(self, "GET")

            def log_message(self, *_arguments: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def _answer(self, handler: BaseHTTPRequestHandler, method: str) -> None:
        data = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(method, handler.path, headers, json.loads(data) if data else {})
        with self._lock:
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            response = self.faults.pop(0) if self.faults else None
        try:
            _send(handler, response or self.respond(request))
        finally:
            with self._lock:
                self._at_once -= 1

    def seeds(self) -> list[int]:
        """The seeds that were asked for, in order."""
        return [request.document["seed"] for request in self.requests]


def _send(handler: BaseHTTPRequestHandler, response: Response) -> None:
    handler.send_response(response.status)
    length = len(response.body) if response.stated is None else response.stated
    for name, value in {"Content-Length": str(length), **response.headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    with suppress(OSError):  # the other side hung up
        for byte in [response.body] if not response.drip else (bytes([one]) for one in response.body):
            handler.wfile.write(byte)
            handler.wfile.flush()
            time.sleep(response.drip)


@contextmanager
def fake_endpoint(respond: Respond) -> Iterator[FakeEndpoint]:
    """A running server on this machine."""
    fake = FakeEndpoint(respond)
    thread = threading.Thread(target=fake.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.server.shutdown()
        fake.server.server_close()
        thread.join()


def own_contract(request: Request) -> Response:
    """Answer by this project's contract: the picture of the seed."""
    asked = request.document
    return as_json(
        {
            "image": in_base64(image_file(asked["seed"] or 0)),
            "model": "painter 3.1",
            "provenance": {"sampler": "brush", "key_seen": request.headers.get("authorization", "")},
        }
    )


def define(folder: Path, settings: Settings, text: str) -> None:
    """Write the worker's file of endpoints."""
    file = folder / "endpoints.toml"
    file.write_text(text)
    settings.ENDPOINTS_FILE = str(file)
