"""The page that waits while the worker makes a report."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from annotation.models import ReportFileJob, ReportJob
from annotation.reports.report_jobs import report_cache, report_jobs, watched_jobs
from annotation.tasks import make_report, make_report_file
from jobs import messages
from tests.annotation.reports.voted_studies import crossed, make_study
from tests.factories import make_researcher

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_page_waits_and_becomes_the_report_and_a_download_comes_when_it_is_there(
    page: Page, server: str, accessible: Callable[[Page], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (report_jobs, watched_jobs):
        monkeypatch.setattr(module, "enqueue", messages.enqueue)  # no worker but this test
    make_researcher("a long password")
    study = make_study(crossed([[6, 1], [1, 4]]))
    page.goto(f"{server}/studies/{study.slug}/report/")
    page.get_by_label("Username").fill("researcher")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    expect(page.locator("#step")).to_have_text("The report is waiting for the worker.")
    accessible(page)
    ReportJob.objects.update(percent=40, step="scores")
    expect(page.locator("#step")).to_have_text("The report is being made: scores.")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "40")
    make_report(ReportJob.objects.get().pk)
    expect(page.get_by_role("heading", name="Agreement", exact=True)).to_be_visible()
    page.wait_for_load_state("networkidle")  # its figures, before the database goes

    monkeypatch.setattr(report_cache, "enqueue", messages.enqueue)
    page.get_by_role("link", name="Replay bundle").click()
    expect(page.locator("#step")).to_have_text("The file “Replay bundle” is waiting for the worker.")
    accessible(page)
    with page.expect_download() as download:
        make_report_file(ReportFileJob.objects.get().pk)
    assert download.value.suggested_filename == "weather-bundle.zip"
    expect(page.locator("#step")).to_have_text("The file “Replay bundle”: made, the download begins.")
    page.get_by_role("link", name="Back to the report").click()
    expect(page.get_by_role("heading", name="Agreement", exact=True)).to_be_visible()
    page.wait_for_load_state("networkidle")
