"""Browsers without the newest functions, and pages of which a part does not load."""

import re

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Annotator
from tests.annotation.web.drawn_studies import DrawnStudy, draw_study
from tests.journeys.people import until_votable, votes_of
from tests.object_storage import ObjectStorage

pytestmark = pytest.mark.django_db(transaction=True)

NEWER_THAN_SAFARI_15_4 = """delete AbortSignal.timeout; delete AbortSignal.any; delete window.structuredClone;
  delete HTMLFormElement.prototype.requestSubmit; delete Array.prototype.at; delete Array.prototype.findLast"""


@pytest.fixture
def drawn() -> DrawnStudy:
    return draw_study(prompt_count=2, images_per_set=2, annotation={"ties": True})


@pytest.fixture
def address(server: str, drawn: DrawnStudy) -> str:
    drawn.invite("Ada")
    Annotator.objects.update(instructions_read_at="2026-01-01T00:00Z")
    return f"{server}/a/{Annotator.objects.get().token}/"


def test_safari_15_votes(page: Page, address: str) -> None:
    page.add_init_script(NEWER_THAN_SAFARI_15_4)
    page.goto(address)
    until_votable(page, 1, 2)
    page.keyboard.press("1")
    until_votable(page, 2, 2)
    assert [choice for _prompt, choice in votes_of(Annotator.objects.get())] == ["left"]


def test_a_fault_of_the_page_is_said_and_is_not_offline(page: Page, address: str) -> None:
    page.add_init_script("window.Request = class { constructor() { throw new TypeError('planted') } }")
    page.goto(address)
    expect(page.locator("#message")).to_contain_text("does not work in this browser (planted)")
    expect(page.get_by_role("button", name="Reload the page")).to_be_visible()
    expect(page.locator("#state")).to_have_text("Stopped")


@pytest.mark.parametrize("missing", ["annotate/zoom", "annotate/comparisons", "comparison", "tokens", "broken syntax"])
def test_a_part_that_does_not_load_is_said_with_a_way_on(page: Page, address: str, missing: str) -> None:
    if missing == "broken syntax":
        page.route("**/strings*.js", lambda route: route.fulfill(body="class {", content_type="text/javascript"))
    else:
        page.route(re.compile(rf"/static/{missing}[.\w]*$"), lambda route: route.abort())
    page.goto(address)
    expect(page.locator("#load-failure")).to_contain_text("could not be loaded completely")
    expect(page.locator("#load-failure")).to_be_visible()
    page.unroute_all()
    page.get_by_role("link", name="Try again").click()
    until_votable(page, 1, 2)
    expect(page.locator("#load-failure")).to_have_count(0)


def test_without_any_script_of_ours_the_style_sheet_says_it(page: Page, address: str) -> None:
    page.route("**/*.js", lambda route: route.abort())
    page.goto(address)
    expect(page.locator("#load-failure")).to_be_hidden()
    page.evaluate("document.getAnimations().forEach((waiting) => waiting.finish())")
    expect(page.get_by_role("link", name="Try again")).to_be_visible()


def test_a_server_that_does_not_answer_at_first_is_said(page: Page, address: str) -> None:
    page.route("**/next", lambda route: route.abort())
    page.goto(address)
    expect(page.locator("#message")).to_contain_text("The server does not answer")
    page.unroute_all()
    page.locator("#message").get_by_role("button", name="Try again").click()
    until_votable(page, 1, 2)
    expect(page.locator("#message")).to_be_hidden()


def test_a_browser_that_is_too_old_is_told_so_on_the_first_page(page: Page, server: str, drawn: DrawnStudy) -> None:
    drawn.invite("Ada")
    page.goto(f"{server}/a/{Annotator.objects.get().token}/")
    expect(page.locator("#too-old")).to_be_hidden()
    page.add_init_script("delete window.HTMLDialogElement")
    page.reload()
    expect(page.locator("#too-old")).to_contain_text("Safari 15.4, Firefox 101")


def test_images_whose_storage_is_away_are_waited_for(
    page: Page, s3: ObjectStorage, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("address")
    s3.failures = -1
    with page.expect_response(lambda answer: answer.status == 503 and "/i/" in answer.url):
        page.goto(address)
    for _again in range(5):  # more often than an image that fails is tried
        with page.expect_response(lambda answer: answer.status == 503 and answer.request.method == "HEAD"):
            pass
    expect(page.get_by_role("button", name="Report it and continue")).to_have_count(0)
    s3.failures = 0
    until_votable(page, 1, 2)
    page.keyboard.press("1")
    until_votable(page, 2, 2)
    assert len(votes_of(Annotator.objects.get())) == 1
