"""A hub on this machine, in a thread: the few addresses that are asked, redirects to a second host, and faults.

It serves folders as commits, with the hashes and headers of the real one: LFS files (those of 1,000 bytes or more
here) by SHA-256 behind a redirect to another host, others by git's hash.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pytest_django.fixtures import Settings

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1000
SIGNATURE = "signature-of-the-content-network"


@dataclass
class Fault:
    """What the hub does instead of answering, for the next `times` requests whose path holds `part`."""

    part: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes of the body, after which the line drops
    stops_after: int | None = None  # bytes of the body, after which nothing more comes on the open line
    damages: bool = False  # one byte of the body is another
    never_ends: bool = False  # the body goes on after its end
    drips: bool = False  # the body, or with `in_head` the head, comes byte by byte and never ends
    in_head: bool = False
    times: int = 1


class FakeHub:
    """The server: its folders by repository, its faults, and what it was asked."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.lists_sizes = True
        self.listed_too: list[str] = []  # names in the listing of files that are not there
        self.listed_as: dict[str, Any] = {}  # what the listing says of every file, whatever is true
        self.token = ""  # if set, only requests with it are answered
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
                hub._answer(self)

            def log_message(self, *_arguments: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, part: str, status: int = 0, *, times: int = 1, **options: Any) -> None:
        """Answer the next requests whose path holds `part` with a fault."""
        self.faults.append(Fault(part, status, times=times, **options))

    def asked(self, part: str) -> list[str]:
        """Return the paths of the requests that hold `part`."""
        return [path for path, _headers in self.requests if part in path]

    def fetched_files(self) -> set[str]:
        """Return the files of the repositories that were asked for."""
        return {
            unquote(urlsplit(path).path.split("/resolve/")[1].partition("/")[2]) for path in self.asked("/resolve/")
        }

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path)
        fault = next((fault for fault in self.faults if fault.part in request.path and fault.times), None)
        if fault:
            fault.times -= 1
            if fault.status:
                _send(request, fault.status, b"{}", fault.headers)
                return
        is_known = path.startswith("/content/") or request.headers.get("authorization") == f"Bearer {self.token}"
        if fault and fault.drips and (fault.in_head or path.startswith("/api/models/")):
            _drip(request, is_head=fault.in_head)
            return
        if self.token and not is_known:
            _send(request, 401, b"{}", {"X-Error-Code": "GatedRepo"})
            return
        if path.startswith("/api/models/"):
            self._send_listing(request, path)
        elif "/resolve/" in path:
            self._send_file(request, path, fault)
        else:
            self._send_content(request, path, fault)

    def _send_listing(self, request: BaseHTTPRequestHandler, path: str) -> None:
        repository, _, revision = path.removeprefix("/api/models/").partition("/revision/")
        folder = self._folder(request, repository, revision)
        if folder is None:
            return
        siblings = []
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            data = file.read_bytes()
            entry: dict[str, Any] = {
                "rfilename": file.relative_to(folder).as_posix(),
                **({"size": len(data)} if self.lists_sizes else {}),
                "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
            }
            if len(data) >= LARGE:
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
            siblings.append(entry | self.listed_as)
        blob = hashlib.sha1(b"blob 0\0").hexdigest()
        siblings += [{"rfilename": name, "size": 0, "blobId": blob} for name in self.listed_too]
        document = {"id": repository, "sha": revision, "siblings": siblings, "tags": [], "downloads": 0, "likes": 0}
        _send(request, 200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _folder(self, request: BaseHTTPRequestHandler, repository: str, revision: str) -> Path | None:
        if repository not in self.folders:
            _send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision != COMMIT:
            _send(request, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            return self.folders[repository]
        return None

    def _send_file(self, request: BaseHTTPRequestHandler, path: str, fault: Fault | None) -> None:
        repository, _, rest = path.removeprefix("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        folder = self._folder(request, repository, revision)
        if folder is None:
            return
        if not (folder / name).is_file():
            _send(request, 404, b"{}", {"X-Error-Code": "EntryNotFound"})
            return
        data = (folder / name).read_bytes()
        if len(data) < LARGE:
            _send_body(request, data, fault)
            return
        digest = hashlib.sha256(data).hexdigest()
        headers = {
            # Another host: the token must not go there.
            "Location": f"http://localhost:{self.port}/content/{repository}/{name}?X-Signature={SIGNATURE}",
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": str(len(data)),
            "X-Repo-Commit": revision,
        }
        _send(request, 302, b"", headers)

    def _send_content(self, request: BaseHTTPRequestHandler, path: str, fault: Fault | None) -> None:
        owner, name, rest = path.removeprefix("/content/").split("/", 2)
        _send_body(request, (self.folders[f"{owner}/{name}"] / rest).read_bytes(), fault)


def _send_body(request: BaseHTTPRequestHandler, data: bytes, fault: Fault | None) -> None:
    start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
    body = data[start:]
    if fault and fault.damages:
        body = bytes([body[0] ^ 1]) + body[1:]
    request.send_response(206 if "range" in request.headers else 200)
    if fault and fault.drips:
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        _drip(request, body)
        return
    if fault and fault.never_ends:
        request.end_headers()
        with suppress(OSError):  # the other side hangs up
            while True:
                request.wfile.write(body)
        return
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if fault and fault.stops_after is not None:
        request.wfile.write(body[: fault.stops_after])
        request.wfile.flush()
        request.connection.settimeout(60)
        with suppress(OSError):
            request.connection.recv(1)  # until the other side is gone
        return
    request.wfile.write(body if not fault or fault.cut_after is None else body[: fault.cut_after])


def _drip(request: BaseHTTPRequestHandler, body: bytes = b"", *, is_head: bool = False) -> None:
    """Send one byte after the other until the other side hangs up or the body is sent; without one, blanks."""
    if not body:
        request.wfile.write(b"HTTP/1.0 200 OK\r\n" + (b"X-Drip: " if is_head else b"\r\n"))
    with suppress(OSError):
        for byte in body or b" " * 1000:
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            time.sleep(0.02)


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    """Serve while the block runs."""
    hub = FakeHub()
    thread = threading.Thread(target=hub.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()
        thread.join()


@pytest.fixture
def hub(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that huggingface_hub of this process asks, with an empty cache and without a token."""
    settings.VAR_DIR = tmp_path / "var"
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with running_hub() as server:
        for name, value in {
            "ENDPOINT": server.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN_PATH": str(tmp_path / "no-token"),
        }.items():
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        yield server
