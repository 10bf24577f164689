"""The report's page in a browser: time to the first paint, bytes of the page, and of the self-contained file.

    python -m benchmarks.report_page [--comparisons 10000] [--votes 3] [--looks 7] [--var FOLDER]

The server runs as in production over SQLite; the report is made before. Chromium opens the page again and again with
a warm cache, and afterwards the self-contained file from disk. The login page is the alternative: a page of the same
server with nothing on it. Times are the browser's own: navigation to first-contentful-paint.
"""

import argparse
import os
import tempfile
from io import StringIO
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, sync_playwright

from benchmarks.page_study import WebServer

SLUG, GOAL_MS, GOAL_BYTES = "voted", 300, 15_000_000
MOST_MS = 300_000  # the first look draws every figure
PAINT = """() => new Promise(done => new PerformanceObserver(list => {
  const paint = list.getEntriesByName('first-contentful-paint')[0];
  if (paint) done([paint.startTime, performance.getEntriesByType('navigation')[0].responseEnd]);
}).observe({type: 'paint', buffered: true}))"""


def looks(page: Page, address: str, times: int) -> str:
    """Open the address again and again; return the first paint of the first time, and the median of the others."""
    paints = []
    for _time in range(times + 1):
        page.goto(address, wait_until="load")
        paints.append(page.evaluate(PAINT))
    first, *others = paints
    elements = page.evaluate("document.querySelectorAll('*').length")
    return (
        f"first paint {first[0]:.0f} ms, then median {median(one[0] for one in others):.0f} "
        f"(longest {max(one[0] for one in others):.0f}); answered in {median(one[1] for one in others):.0f}; "
        f"{elements:,} elements"
    )


def prepare(comparisons: int, votes: int, file: Path) -> str:
    """Make the study and its report, write the self-contained file, and return the key of an admin's session."""
    import django
    from django.core.management import call_command

    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client

    from annotation.models import Study
    from annotation.reports.report_jobs.report_jobs import request_report
    from annotation.tasks import make_report
    from benchmarks.load import stored_studies

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    if not Study.objects.filter(slug=SLUG).exists():
        stored_studies.store_scores(
            stored_studies.store_votes(slug=SLUG, comparisons=comparisons, count=comparisons * votes)
        )
    make_report(request_report(Study.objects.get(slug=SLUG)).pk)
    call_command("report", SLUG, format="html", out=file, stdout=StringIO())
    client = Client()
    client.force_login(User.objects.get_or_create(username="admin", is_superuser=True, is_staff=True)[0])
    return client.cookies["sessionid"].value


def main() -> None:
    """Make the study, then look at its report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=10_000)
    parser.add_argument("--votes", type=int, default=3, help="votes on each comparison")
    parser.add_argument("--looks", type=int, default=7)
    parser.add_argument("--var", type=Path, help="where the study is kept (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="semblance-report-") as temporary:
        folder = (options.var or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        os.environ |= {
            "SEMBLANCE_VAR": str(folder),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright's loop runs in this thread
        }
        file = folder / "report.html"
        session = prepare(options.comparisons, options.votes, file)
        measure(session, file, options.looks)


def measure(session: str, file: Path, times: int) -> None:
    """Print the times of the page, of a page with nothing on it, and of the file."""
    from tests.journeys.conftest import QUIET, chromium_path

    arguments = [*QUIET, *([] if os.geteuid() else ["--no-sandbox"])]
    with WebServer() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=arguments)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.set_default_timeout(MOST_MS)
        print(f"Chromium {browser.version}, 1440 x 900; goal {GOAL_MS} ms", flush=True)
        print(f"login page:   {looks(page, f'{address}/accounts/login/', times)}", flush=True)
        context.add_cookies([{"name": "sessionid", "value": session, "url": address}])
        print(f"report:       {looks(page, f'{address}/studies/{SLUG}/report/', times)}", flush=True)
        size = file.stat().st_size
        print(f"one file:     {looks(page, file.as_uri(), times)}; {size:,} of at most {GOAL_BYTES:,} bytes")
        browser.close()


if __name__ == "__main__":
    main()
