"""The limits behind the shipped proxy: Caddy with deploy/Caddyfile before gunicorn, visitors from several addresses."""

import http.client
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml
from django.conf import settings

from annotation.models import Annotator
from annotation.web.annotator.joining import MOST_RESUME_TRIES
from tests.factories import make_study
from tests.journeys.web_process import WebProcess
from tests.services.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 600  # with a busy machine; nothing asserts a duration
FIRST, SECOND = "127.0.0.2", "127.0.0.3"
PLACES = 3
COMPOSE = yaml.safe_load((settings.BASE_DIR / "docker-compose.yml").read_text())


@pytest.fixture
def web(media_root: Path) -> Iterator[WebProcess]:
    """Two web processes with the embedded queue and the number of proxies of docker-compose.yml."""
    process = WebProcess(
        media_root.parent,
        *("--config", "python:config.gunicorn", "--preload"),
        WEB_CONCURRENCY="2",
        CELERY_BROKER_URL="memory://",
        TRUSTED_PROXIES=COMPOSE["services"]["web"]["environment"]["TRUSTED_PROXIES"],
        OPEN_LINK_JOINS_PER_MINUTE=str(PLACES),
    )
    process.start()
    yield process
    process.kill()


@pytest.fixture
def proxy(web: WebProcess, tmp_path: Path) -> Iterator[int]:
    """The port of the shipped proxy: only its site's address and its upstream are replaced."""
    port, file = free_port(), tmp_path / "Caddyfile"
    text = (settings.BASE_DIR / "deploy" / "Caddyfile").read_text()
    assert "web:8000" in text
    file.write_text(text.replace("web:8000", f"127.0.0.1:{web.port}"))
    process = subprocess.Popen(
        ["caddy", "run", "--config", file, "--adapter", "caddyfile"],
        env={**os.environ, "SITE_HOST": f"http://127.0.0.1:{port}", "HOME": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the proxy did not come up")


def send(port: int, address: str, path: str, *, forwarded: str = "", **fields: str) -> int:
    """Return the status of a form that a browser at this address opened and sent."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    with closing(http.client.HTTPConnection("127.0.0.1", port, source_address=(address, 0))) as connection:
        connection.request("GET", path, headers=headers)
        page = connection.getresponse()
        token = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page.read())
        assert token
        headers |= {"Cookie": (page.getheader("Set-Cookie") or "").partition(";")[0]}
        headers |= {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"csrfmiddlewaretoken": token[1].decode(), **fields})
        connection.request("POST", path, body, headers)
        return connection.getresponse().status


def resume(port: int, address: str, forwarded: str = "") -> int:
    return send(port, address, "/resume/", forwarded=forwarded, code="BCDFGHJKM9")


def test_each_visitor_behind_the_proxy_has_limits_of_their_own(web: WebProcess, proxy: int) -> None:
    first = [resume(proxy, FIRST) for _ in range(MOST_RESUME_TRIES + 1)]
    assert first == [400] * MOST_RESUME_TRIES + [429], "both processes count together"
    assert resume(proxy, SECOND) == 400
    for forged in ("1.2.3.4", f"{SECOND}, {SECOND}", "garbage", "[::1]:80", ",", "9" * 4000):
        assert resume(proxy, FIRST, forged) == 429, forged
    assert resume(proxy, SECOND, FIRST) == 400
    link = f"/join/{make_study(comparisons=1).open_link_token}/"
    assert [send(proxy, FIRST, link) for _ in range(PLACES + 1)] == [302] * PLACES + [429]
    assert send(proxy, SECOND, link) == 302
    assert Annotator.objects.count() == PLACES + 1
