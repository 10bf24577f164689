"""The comparison page on a slow connection: bytes, requests, and the time from a key press to the next comparison.

    python -m benchmarks.page [--comparisons 30] [--look 2] [--folder FOLDER] [--prepare] [--s3]

Chromium votes through a study of 2 x 20 photographs by keyboard, on a line of 10 Mbit/s and 50 ms (its own throttling),
once at each screen density, looking `look` seconds at every comparison. Beside it, in the same run: plain pages that
show the same 40 images in full, as JPEG (quality 90) and as PNG. Painted means that every image is decoded and the
frame that shows them is over. `--folder` keeps the study for another run; `--prepare` only makes it. With `--s3` the
images lie in an S3 server on this machine, and the web server begins with an empty cache of them.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, sync_playwright

LINE = {"offline": False, "latency": 50, "downloadThroughput": 10e6 / 8, "uploadThroughput": 10e6 / 8}
MOST_MS = 120_000
PLAIN_PAGES = {"jpg": 6, "png": 3}  # how many of each are gone through: a page of PNG takes half a minute
WATCH = """window.took = []; let pressed = 0;
addEventListener('keydown', event => { pressed = event.timeStamp; }, true);
new PerformanceObserver(list => list.getEntriesByName('painted').forEach(mark =>
  window.took.push(mark.startTime - pressed))).observe({type: 'mark', buffered: true});"""
VOTABLE = "() => document.querySelector('footer .choice').getAttribute('aria-disabled') === 'false'"
SHOWN = "() => [...document.querySelectorAll('.cell img')].map(image => image.currentSrc)"


@dataclass
class Traffic:
    """The traffic by URL, in bytes with the headers."""

    bytes_of: dict[str, float] = field(default_factory=dict)
    _url_of: dict[str, str] = field(default_factory=dict)

    def watch(self, line: CDPSession) -> None:
        """Record the browser's own count."""
        line.on("Network.requestWillBeSent", lambda event: self._sent(event))
        line.on("Network.loadingFinished", lambda event: self._finished(event))

    def _sent(self, event: dict[str, Any]) -> None:
        self._url_of[event["requestId"]] = event["request"]["url"]

    def _finished(self, event: dict[str, Any]) -> None:
        url = self._url_of.get(event["requestId"], "")
        self.bytes_of[url] = self.bytes_of.get(url, 0) + event["encodedDataLength"]


@dataclass(frozen=True)
class Measured:
    """One way of showing comparisons: ms from key press to painted, kilobytes and requests of each comparison."""

    name: str
    took_ms: list[float]
    kilobytes: list[float]
    requests: int

    def line(self) -> str:
        """Return the row of the table."""
        ordered = sorted(self.took_ms)
        p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
        return (
            f"{self.name:34} {max(self.kilobytes):9,.0f} kB {self.requests:4} requests   "
            f"median {median(ordered):9,.1f} ms   p95 {p95:9,.1f} ms   n = {len(ordered)}"
        )


def on_the_line(browser: Browser, density: int) -> tuple[BrowserContext, Page, Traffic]:
    """Open a browser with an empty cache, on the slow connection."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, device_scale_factor=density, bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(MOST_MS)
    line, traffic = context.new_cdp_session(page), Traffic()
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", LINE)
    traffic.watch(line)
    return context, page, traffic


def measure_study(browser: Browser, address: str, density: int, comparisons: int, look_seconds: float) -> Measured:
    """Vote through the study with the key 1."""
    context, page, traffic = on_the_line(browser, density)
    page.add_init_script(WATCH)
    page.goto(address)
    kilobytes = []
    for number in range(1, comparisons + 1):
        page.wait_for_function(f"() => window.took.length >= {number}")
        page.wait_for_function(VOTABLE)
        page.wait_for_timeout(look_seconds * 1000)
        shown = page.evaluate(SHOWN)
        kilobytes.append(sum(traffic.bytes_of[url] for url in shown) / 1000)
        if number < comparisons:
            page.keyboard.press("1")
    took = page.evaluate("window.took")[1:]  # the first came with the page, not with a key
    context.close()
    # Beside the images one request: the vote, whose answer brings what comes next.
    return Measured(f"Semblance, density {density}", took, kilobytes, len(shown) + 1)


def measure_plain(browser: Browser, address: str, kind: str, pages: int) -> Measured:
    """Go through the plain pages with a key."""
    context, page, traffic = on_the_line(browser, 1)
    took, kilobytes, requests = [], [], 0
    for number in range(pages):
        before, known = sum(traffic.bytes_of.values()), len(traffic.bytes_of)
        if number:
            page.keyboard.press("n")
            page.wait_for_url(f"**/{number}.html")
        else:
            page.goto(f"{address}/0.html")
        took.append(page.wait_for_function("() => window.took").json_value())
        kilobytes.append((sum(traffic.bytes_of.values()) - before) / 1000)
        requests = len(traffic.bytes_of) - known
    context.close()
    return Measured(f"plain page, {kind} in full", took[1:], kilobytes, requests)


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Measure everything in one run of one browser."""
    from benchmarks.page_study import PlainPages, WebServer, new_link
    from tests.journeys.conftest import QUIET, chromium_path

    arguments = [*QUIET, *([] if os.geteuid() else ["--no-sandbox"])]
    plain = {kind: PlainPages(folder / f"plain-{kind}", kind, pages) for kind, pages in PLAIN_PAGES.items()}
    links = {density: new_link() for density in (1, 2)}
    with WebServer() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=arguments)
        print(f"Chromium {browser.version}, 10 Mbit/s, 50 ms; the most kB of a comparison; key press to painted")
        for density, link in links.items():
            found = measure_study(browser, address + link, density, options.comparisons, options.look)
            print(found.line(), flush=True)
        for kind, pages in PLAIN_PAGES.items():
            with plain[kind] as plain_address:
                print(measure_plain(browser, plain_address, kind, pages).line(), flush=True)
        browser.close()


def main() -> None:
    """Make the study if it is missing, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=30)
    parser.add_argument("--look", type=float, default=2.0, help="seconds of looking at each comparison")
    parser.add_argument("--folder", type=Path, help="where the study is kept (default: a temporary one)")
    parser.add_argument("--prepare", action="store_true", help="make the study and stop")
    parser.add_argument("--s3", action="store_true", help="keep the images in an S3 server (not with --folder)")
    options = parser.parse_args()
    if options.s3 and options.folder:
        parser.error("--s3 keeps no study for another run: leave --folder out.")
    with object_storage() if options.s3 else nullcontext():
        run(options)


@contextmanager
def object_storage() -> Iterator[None]:
    """Start an S3 server, and let the settings find it."""
    from tests.object_storage import object_storage_server

    with object_storage_server() as server:
        client = server.client()
        client.create_bucket(Bucket="images")
        client.close()
        os.environ |= server.variables("images")
        yield


def run(options: argparse.Namespace) -> None:
    """Make the study in a folder, and measure."""
    with tempfile.TemporaryDirectory(prefix="semblance-page-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        os.environ |= {
            "SEMBLANCE_VAR": str(folder),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright's loop runs in this thread
        }
        prepare(options.comparisons)
        if not options.prepare:
            measure(options, folder)


def prepare(comparisons: int) -> None:
    """Make the database, the static files and the study."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)

    from benchmarks.page_study import make_study

    make_study(comparisons)


if __name__ == "__main__":
    main()
