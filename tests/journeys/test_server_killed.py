"""kill -9 of the web server before and after it takes a vote: the browser sends again, the vote is stored once."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from django.conf import settings
from django.db import connection
from playwright.sync_api import Page, Route, expect

from annotation.models import Vote
from tests.annotation.web.scenes import draw_study
from tests.journeys.test_comparisons import begin, until_votable, votes_of

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 60


class Server:
    """A web server of its own process over the test's database and media."""

    def __init__(self, var: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "SEMBLANCE_VAR": str(var),
            "SECRET_KEY": settings.SECRET_KEY,
            "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEBUG": "1",  # static files without collectstatic
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            command, env=self.environment, cwd=settings.BASE_DIR, start_new_session=True, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                urlopen(self.url).close()
                return
            except OSError:  # refused, or reset while it comes up
                time.sleep(0.1)
        raise TimeoutError("the web server did not come up")

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None


@pytest.fixture
def own_server(media_root: Path) -> Iterator[Server]:
    server = Server(media_root.parent)
    server.start()
    yield server
    server.kill()


def test_votes_survive_a_killed_server(page: Page, own_server: Server) -> None:
    annotator = draw_study(prompt_count=3, images_per_set=2).invite("Ada")
    begin(page, own_server.url, annotator)
    until_votable(page, 1)

    own_server.kill()
    page.keyboard.press("1")
    expect(page.locator("#state")).to_have_text("Offline (1 waiting)")
    assert votes_of(annotator) == []
    own_server.start()
    until_votable(page, 2)

    def kill_before_the_answer(route: Route) -> None:
        route.fetch()
        own_server.kill()
        route.abort()

    page.route("**/votes", kill_before_the_answer, times=1)
    page.keyboard.press("2")
    expect(page.locator("#state")).to_have_text("Offline (1 waiting)")
    own_server.start()
    until_votable(page, 3)
    page.keyboard.press("1")
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you. You have finished.")
    assert [choice for _prompt, choice in votes_of(annotator)] == ["left", "right", "left"]
    assert set(Vote.objects.values_list("state", flat=True)) == {"standing"}
