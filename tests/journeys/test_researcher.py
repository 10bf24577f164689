"""A researcher logs in, invites, opens, pauses and closes a study; axe on every page."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.annotation.web.drawn_studies import draw_study
from tests.factories import make_researcher

pytestmark = pytest.mark.django_db(transaction=True)


def test_from_login_to_closed_study(page: Page, server: str, accessible: Callable[[Page], None]) -> None:
    make_researcher("a long password")
    page.goto(f"{server}/studies/")
    page.get_by_label("Username").fill("researcher")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Studies")
    accessible(page)

    study = draw_study(prompt_count=1, images_per_set=2, state="ready", notice="Drawn by a test.").study
    page.reload()
    accessible(page)
    page.get_by_role("link", name=study.name).click()
    page.get_by_role("button", name="Open for votes").click()
    expect(page.get_by_role("status")).to_contain_text("Open: invitations lead to comparisons now.")
    accessible(page)
    page.get_by_role("link", name="Invitations", exact=True).click()
    page.get_by_label("Or one label for each link").fill("Ada\nGrace")
    page.get_by_role("button", name="Create personal links").click()
    expect(page.get_by_role("status")).to_contain_text("2 personal links created.")
    accessible(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download links as CSV").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert [row["label"] for row in rows] == ["Ada", "Grace"]

    page.get_by_role("button", name="Copy the link of Ada").click()
    page.get_by_role("link", name="Annotators", exact=True).click()
    expect(page.get_by_role("row", name="Grace invited")).to_be_visible()
    page.get_by_role("link", name="Overview", exact=True).click()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".state")).to_have_text("Paused")
    page.get_by_role("link", name="Close").click()
    accessible(page)
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".state")).to_have_text("Closed")
    accessible(page)
    for path in ("password/change", "2fa", "2fa/totp/activate", "logout"):
        page.goto(f"{server}/accounts/{path}/")
        accessible(page)

    annotator = page.context.browser.new_context().new_page() if page.context.browser else page
    annotator.goto(rows[0]["link"])
    expect(annotator.get_by_role("heading", level=1)).to_have_text("This study is closed")
