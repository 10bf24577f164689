"""The overview in a browser: it follows the votes without a reload, and asks for nothing while its tab is hidden."""

from collections.abc import Callable

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, Request, expect

from annotation.models import Study
from annotation.voting.annotators import invite
from tests.annotation.web.drawn_studies import draw_study
from tests.factories import give_vote, make_researcher, put_in_state

pytestmark = pytest.mark.django_db(transaction=True)
HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def watch(page: Page, server: str, study: Study) -> list[Request]:
    """Open the study's overview, and return the list that takes each request for what has changed."""
    make_researcher("a long password")
    page.goto(f"{server}/accounts/login/?next={study.get_absolute_url()}")
    page.get_by_label("Username").fill("researcher")
    page.get_by_label("Password").fill("a long password")
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/live") else None)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    expect(page.locator("#live-state")).to_have_text("Live")
    return asked


def ask_now(page: Page) -> None:
    """Let the page ask at once, as it does when its tab is shown again."""
    page.evaluate(HIDE, False)


def test_votes_and_states_reach_the_page_without_a_reload(
    page: Page, server: str, accessible: Callable[[Page], None]
) -> None:
    study = draw_study(prompt_count=2, images_per_set=2, annotation={"overlap": 1}).study
    asked = watch(page, server, study)
    accessible(page)
    expect(page.get_by_text("0 of 2 votes. People can vote now.")).to_be_visible()
    with page.expect_response("**/live") as unchanged:
        ask_now(page)
    assert unchanged.value.status == 304
    page.evaluate("window.isTheSamePage = true")
    give_vote(invite(study=study, label="Ada"))
    cache.clear()  # as if five seconds had passed
    ask_now(page)
    expect(page.get_by_text("1 of 2 votes. People can vote now.")).to_be_visible()
    expect(page.get_by_role("img", name="1 complete, 1 with 0 votes")).to_be_visible()
    assert page.evaluate("window.isTheSamePage")
    assert all(request.headers["if-none-match"] for request in asked)

    put_in_state(study, Study.State.PAUSED)
    ask_now(page)
    expect(page.get_by_role("button", name="Open for votes")).to_be_visible()  # the page was loaded again
    assert not page.evaluate("window.isTheSamePage")


def test_a_hidden_tab_asks_for_nothing(page: Page, server: str) -> None:
    study = draw_study(prompt_count=1, images_per_set=2).study
    asked = watch(page, server, study)
    page.clock.install()
    page.evaluate(HIDE, True)
    expect(page.locator("#live-state")).to_have_text("Paused")
    count = len(asked)
    page.clock.run_for(60_000)
    assert len(asked) == count
    with page.expect_response("**/live"):
        ask_now(page)
    expect(page.locator("#live-state")).to_have_text("Live")
