"""The system's Chromium against a live server, at the sizes of a laptop and a phone."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.annotation.web.drawn_studies import DrawnStudy, draw_study
from tests.object_storage import s3, s3_server  # noqa: F401 - fixtures
from tests.report_worker import report_worker  # noqa: F401 - for every journey

LAPTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without Chromium's own requests for updates and lists.
QUIET = ("--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-sync")
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}

# Long, for a busy machine; nothing here asserts a duration.
PATIENCE_MS = 600_000
expect.set_options(timeout=PATIENCE_MS)
# Playwright's loop runs in the test's thread; Django would refuse the database there otherwise.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


def chromium_path() -> str:
    """Return the path of the system's Chromium."""
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        raise pytest.UsageError("The journeys need Chromium: apt-get install chromium (or put it on the PATH).")
    return found


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # the sandbox refuses root
    return {**browser_type_launch_args, "executable_path": chromium_path(), "args": [*QUIET, *sandbox]}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, **LAPTOP, "locale": "en-GB", "reduced_motion": "reduce"}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the same timeout for every page, also for pages that a test opens itself."""
    new_context = Browser.new_context

    def patient(browser: Browser, **options: Any) -> BrowserContext:
        context = new_context(browser, **options)
        context.set_default_timeout(PATIENCE_MS)
        return context

    monkeypatch.setattr(Browser, "new_context", patient)


@pytest.fixture
def server(live_server: LiveServer) -> str:
    """Return the address of a running site."""
    return str(live_server.url)


@pytest.fixture
def drawn() -> DrawnStudy:
    """Three comparisons of drawn images, with ties."""
    return draw_study(prompt_count=3, images_per_set=4, annotation={"ties": True})


@pytest.fixture
def accessible() -> Callable[[Page], None]:
    """Return a check that fails if axe finds violations of WCAG 2.2 AA."""

    def check(page: Page) -> None:
        found = Axe().run(page, options=WCAG)
        assert found.violations_count == 0, f"{page.url}\n{found.generate_report()}"

    return check
