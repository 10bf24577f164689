"""deploy/Caddyfile in a real Caddy, before the real web server: its limits hold, and slow clients hold nobody up."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import settings

from tests.server.test_slow_clients import (
    HALF_BODY,
    HALF_HEAD,
    MANY,
    PATIENCE_SECONDS,
    Server,
    assert_is_up,
    response,
    serving,
    wait_until,
)
from tests.services.servers import free_port

CADDYFILE: Path = settings.BASE_DIR / "deploy" / "Caddyfile"


class Proxy(Server):
    """The proxy, with the given time-outs instead of the file's."""

    def __init__(self, web: Server, folder: Path, **seconds: str) -> None:
        self.port, file = free_port(), folder / "Caddyfile"
        text = CADDYFILE.read_text().replace("web:8000", f"127.0.0.1:{web.port}")
        for name, value in seconds.items():
            assert f"{name} " in text
            text = "\n".join(f"{name} {value}" if line.split()[:1] == [name] else line for line in text.splitlines())
        file.write_text(text)
        site = {"SITE_HOST": f"http://127.0.0.1:{self.port}", "HOME": str(folder)}
        self.process = subprocess.Popen(
            ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"],
            env={**os.environ, **site},
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers)


@pytest.fixture(scope="module")
def web() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture(scope="module")
def proxy(web: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The proxy without buffers: the hardest case for the server behind it."""
    one = Proxy(web, tmp_path_factory.mktemp("proxy"), read_header="300ms")
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("beginning", [HALF_HEAD, HALF_BODY])
def test_others_are_answered_while_many_clients_hang(proxy: Server, beginning: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(proxy.connect(beginning))
        assert_is_up(proxy)


def test_half_a_head_is_given_up(proxy: Server) -> None:
    with proxy.connect(HALF_HEAD) as client:
        assert ends(client)


def test_a_body_that_is_too_large_is_refused(proxy: Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (16 * 2**20 + 1)
    with proxy.connect(head.replace(b"Host: x", b"Host: 127.0.0.1:%d" % proxy.port)) as client:
        assert response(client)[0] == 413


@pytest.mark.parametrize("word", ["", "buffer_requests"])
def test_this_version_of_caddy_reads_the_file(tmp_path: Path, word: str) -> None:
    command = ["caddy", "validate", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
    site = {"SITE_HOST": "semblance.example", "HOME": str(tmp_path), "PROXY_BUFFERS": word}
    assert subprocess.run(command, env={**os.environ, **site}, capture_output=True).returncode == 0


def ends(client: socket.socket) -> bool:
    """Return whether the other side closes the connection, whatever it sends before."""
    while client.recv(4096):
        pass
    return True
