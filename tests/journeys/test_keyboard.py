"""From the login to the report with Tab, Enter and letters only: the focus is in sight, in order, and never trapped."""

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from annotation.models import Study
from annotation.voting.annotators import invite
from tests.annotation.web.drawn_studies import draw_study
from tests.factories import give_vote, make_researcher, put_in_state, score_all

pytestmark = pytest.mark.django_db(transaction=True)
MOST_TABS = 120
# What has the focus: its name, whether it can be seen, and whether it comes after the one before in the document.
FOCUSED = """() => {
  const one = document.activeElement, before = window.focusedBefore;
  window.focusedBefore = one;
  if (!one || one === document.body) return null;
  const box = one.getBoundingClientRect(), style = getComputedStyle(one);
  const labels = one.labels ? [...one.labels].map((label) => label.innerText) : [];
  const name = one.getAttribute("aria-label") || labels.join(" ") || one.innerText || one.value || "";
  return {
    name: name.trim().replace(/:$/, ""),
    isInSight: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight
      && box.right > 0 && box.left < innerWidth,
    isMarked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    isLater: !before || !before.isConnected || before === one
      || Boolean(before.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING),
  };
}"""


def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of that name has the focus; everything on the way is seen and in order."""
    page.evaluate("() => { window.focusedBefore = undefined; }")
    passed = []
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:  # the browser's own bar comes between the end and the beginning
            continue
        passed.append(focused["name"])
        assert focused["isInSight"], f"{page.url}: {passed[-1]} has the focus out of sight"
        assert focused["isMarked"], f"{page.url}: {passed[-1]} has the focus, and nothing shows it"
        assert focused["isLater"] or len(passed) == 1, f"{page.url}: {passed[-1]} comes out of order"
        if focused["name"].split("\n")[0] == name:
            return
    raise AssertionError(f"{page.url}: {name} is not reached with Tab: {passed}")


def press(page: Page, name: str) -> None:
    """Follow the link or press the button of that name, and wait for the page that it leads to."""
    tab_to(page, name)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def fill(page: Page, name: str, text: str) -> None:
    tab_to(page, name)
    page.keyboard.type(text)


def test_from_the_login_to_the_report_with_the_keyboard_alone(page: Page, live_server: LiveServer) -> None:
    make_researcher("a long password")
    drawn = draw_study(prompt_count=1, images_per_set=2, state="ready", annotation={"overlap": 1})
    page.goto(f"{live_server.url}/studies/")
    fill(page, "Username", "researcher")
    fill(page, "Password", "a long password")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    make_a_draft(page)
    press(page, "Studies")
    page.wait_for_url("**/studies/")
    press(page, drawn.study.name)
    press(page, "Open for votes")
    expect(page.locator("h1 .state")).to_have_text("Open")
    press(page, "Invite people")
    page.wait_for_url("**/invitations/")
    press(page, "Overview")
    give_vote(invite(study=drawn.study, label="Ada"))
    score_all(drawn.study)
    press(page, "Close")
    page.wait_for_url("**/do/close/")
    press(page, "Close")
    expect(page.get_by_role("status")).to_contain_text("The voting has ended")
    put_in_state(drawn.study, Study.State.CLOSED)
    press(page, "Report")
    page.wait_for_url("**/report/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def make_a_draft(page: Page) -> None:
    """Make a study of own images from the form; it asks for its images first."""
    press(page, "New study")
    page.wait_for_url("**/studies/new/")
    press(page, "Your own images")
    page.wait_for_url("**start=images")
    fill(page, "Name", "By keyboard")
    fill(page, "Model A", "Alphakey")
    fill(page, "Model B", "Betakey")
    fill(page, "One per line", "a cat")
    expect(page.locator("#fault-count")).to_have_text("No faults")
    press(page, "Create study")
    press(page, "Overview")
    tab_to(page, "Upload images")
    tab_to(page, "Launch")
