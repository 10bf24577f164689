"""The comparison page in a real browser; at the end of each test the votes are exactly those that were made."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from annotation.models import Annotator, Assignment, ImageReport, Vote
from tests.annotation.web.drawn_studies import DrawnStudy, draw_study
from tests.journeys.people import at_a_screen, fail_one_image, sources, until_votable, votes_of

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]
PATIENCE_SECONDS = 600
# Pressed inside the page, at once: a test outside it may be too late.
PRESS_WHEN_TOLD_TO_LOOK = """
new MutationObserver(() => {
  const text = document.querySelector("#state")?.textContent.trim() ?? "";
  if (!text.startsWith("Look for") || window.pressedAt) return;
  window.pressedAt = text;
  dispatchEvent(new KeyboardEvent("keydown", {key: "1", bubbles: true}));
}).observe(document, {subtree: true, childList: true, characterData: true});
"""


def begin(page: Page, server: str, annotator: Annotator) -> None:
    """Open the comparisons; the instructions count as read."""
    Annotator.objects.filter(pk=annotator.pk).update(instructions_read_at="2026-01-01T00:00Z")
    page.goto(f"{server}/a/{annotator.token}/")


def test_a_reload_a_second_tab_the_back_button_and_another_device_show_the_same_comparison(
    page: Page, browser: Browser, server: str, drawn: DrawnStudy
) -> None:
    annotator = drawn.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    shown = sources(page)
    page.reload()
    until_votable(page, 1)
    assert sources(page) == shown
    second = page.context.new_page()
    second.goto(page.url)
    until_votable(second, 1)
    assert sources(second) == shown
    page.get_by_role("link", name="Instructions").click()
    page.go_back()
    until_votable(page, 1)
    assert sources(page) == shown
    device = at_a_screen(browser, server, "1440")
    device.open(f"/a/{annotator.token}/")
    device.until_votable(1)
    assert device.sources() == shown
    device.context.close()


def test_enter_held_down_on_a_button_is_one_vote(page: Page, server: str, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    page.get_by_role("button", name="Left", exact=True).focus()
    page.keyboard.down("Enter")
    until_votable(page, 2)
    for _repeat in range(3):
        page.keyboard.down("Enter")  # the browser repeats a key that is held, and each one presses the button
    page.keyboard.up("Enter")
    expect(page.locator("#count")).to_have_text("2 of 3")
    assert len(votes_of(annotator)) == 1
    page.keyboard.press("Enter")
    until_votable(page, 3)


@pytest.mark.parametrize("act", ["key", "touch"])
def test_a_second_press_at_once_is_no_vote_on_the_next_comparison(
    browser: Browser, server: str, drawn: DrawnStudy, act: str
) -> None:
    """The next comparison is painted within milliseconds: a second press would vote on images that nobody has seen."""
    person = at_a_screen(browser, server, "1440" if act == "key" else "390")
    annotator = drawn.invite("Ada")
    person.begin(annotator)
    person.until_votable(1)
    person.page.wait_for_load_state("networkidle")
    person.page.evaluate(
        """act => {
            const press = () => act === "key"
                ? dispatchEvent(new KeyboardEvent("keydown", {key: "1", bubbles: true}))
                : document.querySelector("[data-choice=left]").click();
            press();
            for (const ms of [50, 100, 200, 300]) setTimeout(press, ms);
        }""",
        act,
    )
    person.until_votable(2)
    person.page.wait_for_timeout(300)
    expect(person.page.locator("#count")).to_have_text("2 of 3")
    assert [choice for _prompt, choice in votes_of(annotator)] == ["left"]
    person.context.close()


def test_a_double_click_is_one_vote(page: Page, server: str, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    page.get_by_role("button", name="Left", exact=True).dblclick()
    until_votable(page, 2)
    assert [choice for _prompt, choice in votes_of(annotator)] == ["left"]


def test_a_key_held_down_is_one_vote(page: Page, server: str, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    page.keyboard.down("1")
    until_votable(page, 2)
    page.keyboard.down("1")  # the browser repeats a key that is held
    page.keyboard.down("1")
    expect(page.locator("#count")).to_have_text("2 of 3")
    assert len(votes_of(annotator)) == 1


def test_an_answer_that_gets_lost_stores_one_vote(page: Page, server: str, drawn: DrawnStudy) -> None:
    """The server takes the vote, but the answer is lost and the connection is down for a while: one vote is stored."""
    annotator = drawn.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    sent: list[Any] = []

    def lose_the_first_answers(route: Route) -> None:
        sent.append(route.request.post_data_json)
        if len(sent) == 1:
            route.fetch()
            route.abort("connectionreset")
        elif len(sent) == 2:
            route.fulfill(status=503, json={"message": "restarting"})
        else:
            route.continue_()

    page.route("**/votes", lose_the_first_answers)
    page.keyboard.press("2")
    expect(page.locator("#state")).to_have_text("Offline (1 waiting)")
    until_votable(page, 2)
    expect(page.locator("#state")).to_have_text("Saved")
    assert len({vote["vote_id"] for vote in sent}) == 1
    assert [choice for _prompt, choice in votes_of(annotator)] == ["right"]


def test_a_vote_survives_its_page(page: Page, server: str, drawn: DrawnStudy) -> None:
    """A vote is made without a connection, then the tab is closed; the next visit sends it."""
    annotator = drawn.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    page.route("**/votes", lambda route: route.abort())
    page.keyboard.press("2")
    expect(page.locator("#state")).to_have_text("Offline (1 waiting)")
    assert votes_of(annotator) == []
    named = "Object.entries(localStorage).map(([key, vote]) => key.endsWith(JSON.parse(vote).vote_id))"
    assert page.evaluate(named) == [True], "two tabs that vote at the same moment keep both"
    later = page.context.new_page()
    page.close()
    later.goto(f"{server}/a/{annotator.token}/")
    until_votable(later, 2)
    assert [choice for _prompt, choice in votes_of(annotator)] == ["right"]


def test_no_vote_before_every_image_is_painted(page: Page, server: str, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("Ada")
    held: list[Route] = []
    page.route("**/i/*", lambda route: held.append(route) if not held else route.continue_())
    begin(page, server, annotator)
    expect(page.locator("#state")).to_have_text("Loading")
    page.keyboard.press("1")
    page.get_by_role("button", name="Left", exact=True).click(force=True)
    while not held:  # the test's own time limit ends this
        page.wait_for_timeout(20)
    assert votes_of(annotator) == []
    held[0].continue_()
    until_votable(page, 1)
    page.keyboard.press("2")
    until_votable(page, 2)
    assert [choice for _prompt, choice in votes_of(annotator)] == ["right"]


def test_no_vote_before_the_minimum_viewing_time(page: Page, server: str) -> None:
    drawn = draw_study(prompt_count=1, images_per_set=2, annotation={"minimum_viewing_seconds": 2})
    annotator = drawn.invite("Ada")
    page.add_init_script(PRESS_WHEN_TOLD_TO_LOOK)
    begin(page, server, annotator)
    until_votable(page, 1, of=1)
    assert page.evaluate("window.pressedAt") == "Look for 2 s"
    page.keyboard.press("2")
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you. You have finished.")
    assert [choice for _prompt, choice in votes_of(annotator)] == ["right"]


def test_an_image_that_fails_is_tried_twice_more_and_then_said(
    page: Page, server: str, accessible: Check, drawn: DrawnStudy
) -> None:
    annotator = drawn.invite("Ada")
    failed = fail_one_image(page)
    begin(page, server, annotator)
    expect(page.get_by_role("alert")).to_contain_text("An image could not be loaded")
    assert len(failed) == 3
    accessible(page)
    page.keyboard.press("1")
    page.unroute("**/i/*")
    page.get_by_role("button", name="Try again").click()
    until_votable(page, 1)
    assert votes_of(annotator) == []


def test_an_offensive_image_is_reported_only_after_a_question(
    page: Page, server: str, accessible: Check, drawn: DrawnStudy
) -> None:
    begin(page, server, drawn.invite("Ada"))
    until_votable(page, 1)
    for act, count in (("Back to the comparison", 0), ("Report it and continue", 1)):
        page.get_by_role("button", name="Left set, image 2 of 4").click()
        page.get_by_role("button", name="Report this image").click()
        accessible(page)
        page.keyboard.press("1")
        with page.expect_response("**/reports") if count else nullcontext():
            if count:
                page.get_by_role("button", name=act).click()
            else:
                page.keyboard.press("Escape")
        until_votable(page, 1)
        assert ImageReport.objects.filter(kind="offensive").count() == count
    assert not Vote.objects.exists()


def test_a_closed_tab_releases_only_what_was_fetched_ahead(page: Page, server: str, drawn: DrawnStudy) -> None:
    begin(page, server, drawn.invite("Ada"))
    until_votable(page, 1)
    page.wait_for_load_state("networkidle")
    page.goto("about:blank")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while Assignment.objects.filter(is_ahead=True).exists() and time.monotonic() < deadline:
        time.sleep(0.1)  # the tab is gone: nothing to wait on but the database
    assert sorted(Assignment.objects.values_list("state", "is_ahead")) == [("leased", False), ("released", False)]


def test_a_choice_while_a_vote_is_being_undone_is_ignored(page: Page, server: str, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    page.keyboard.press("1")
    until_votable(page, 2)
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    held: list[Route] = []
    page.route("**/undo", lambda route: held.append(route))
    page.keyboard.press("u")
    page.keyboard.press("2")
    expect(page.locator("footer .choice").first).to_have_attribute("aria-disabled", "true")
    while not held:  # the test's own time limit ends this
        page.wait_for_timeout(20)
    held[0].abort()
    until_votable(page, 2)
    expect(page.get_by_role("button", name="Undo")).to_be_visible()  # there was no connection: it can be tried again
    page.unroute("**/undo")
    page.keyboard.press("u")
    page.keyboard.press("2")
    until_votable(page, 1)
    states = Vote.objects.order_by("received_at").values_list("choice", "state")
    assert list(states) == [("left", "superseded")]


def test_flicker_is_one_step_per_press_if_motion_is_reduced(page: Page, server: str, drawn: DrawnStudy) -> None:
    begin(page, server, drawn.invite("Ada"))
    until_votable(page, 1)
    page.get_by_role("button", name="Left set, image 1 of 4").click()
    for number in (2, 1):
        page.keyboard.press("f")
        expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text(f"Left set, image {number} of 4")
    page.emulate_media(reduced_motion="no-preference")
    page.keyboard.press("f")
    for number in (2, 1, 2):
        expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text(f"Left set, image {number} of 4")
    page.keyboard.press("f")
    expect(page.get_by_role("button", name="Flicker")).to_have_attribute("aria-pressed", "false")


def test_images_are_enlarged_and_the_arrow_keys_move_through_the_set(
    page: Page, server: str, accessible: Check, drawn: DrawnStudy
) -> None:
    annotator = drawn.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    page.get_by_role("button", name="Right set, image 2 of 4").focus()
    page.keyboard.press("Space")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Right set, image 2 of 4")
    accessible(page)
    for key, number in (("ArrowRight", 3), ("ArrowRight", 4), ("ArrowRight", 1), ("ArrowLeft", 4)):
        page.keyboard.press(key)
        expect(dialog.get_by_role("heading")).to_have_text(f"Right set, image {number} of 4")
    page.keyboard.press("1")
    assert votes_of(annotator) == [], "with an image in front of the sets no key votes"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Right set, image 4 of 4")).to_be_focused()
    page.get_by_role("button", name="Left set, image 1 of 4").click()
    page.get_by_role("button", name="Next").click()
    expect(dialog.get_by_role("heading")).to_have_text("Left set, image 2 of 4")
    page.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_arrow_keys_move_in_a_set_and_tab_leaves_it(page: Page, server: str, drawn: DrawnStudy) -> None:
    begin(page, server, drawn.invite("Ada"))
    until_votable(page, 1)
    page.get_by_role("button", name="Left set, image 1 of 4").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Left set, image 4 of 4")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Right set, image 1 of 4")).to_be_focused()


def test_a_study_paused_meanwhile_says_so_and_keeps_the_vote(page: Page, server: str, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    drawn.study.state = "paused"
    drawn.study.save()
    page.keyboard.press("1")
    expect(page.get_by_role("heading", level=1)).to_have_text("This study is paused")
    assert [choice for _prompt, choice in votes_of(annotator)] == ["left"]


def test_while_others_hold_the_last_comparison_the_page_waits(page: Page, server: str, accessible: Check) -> None:
    drawn = draw_study(prompt_count=1, images_per_set=2, annotation={"overlap": 1})
    first, second = drawn.invite("Ada"), drawn.invite("Bob")
    begin(page, server, first)
    until_votable(page, 1, of=1)
    other = page.context.new_page()
    begin(other, server, second)
    expect(other.get_by_role("alert")).to_contain_text("Other annotators have the last comparisons.")
    accessible(other)
    page.keyboard.press("1")
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you. You have finished.")
    assert votes_of(second) == []


def test_the_prompt_is_shown_only_where_the_study_says_so(page: Page, server: str, drawn: DrawnStudy) -> None:
    begin(page, server, drawn.invite("Ada"))
    until_votable(page, 1)
    expect(page.locator("#prompt")).to_be_hidden()
    showing = draw_study(prompt_count=1, images_per_set=2, annotation={"show_prompt": True})
    begin(page, server, showing.invite("Ada"))
    until_votable(page, 1, of=1)
    expect(page.locator("#prompt")).to_have_text("Described as: a house by the lake")
    expect(page.get_by_role("button", name="About the same")).to_have_count(0)
