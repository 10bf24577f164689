"""From the invitation to the end page in a real browser; after each journey the votes are exactly those made."""

import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from annotation.models import Annotator, Assignment, ImageReport, Vote
from tests.annotation.web.scenes import Scene, draw_study
from tests.journeys.conftest import PHONE

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]
PATIENCE_SECONDS = 10


@pytest.fixture
def scene() -> Scene:
    return draw_study(prompt_count=3, images_per_set=4, annotation={"ties": True})


def votes_of(annotator: Annotator) -> list[tuple[str, str]]:
    """(prompt, choice) in the order in which they were received."""
    votes = Vote.objects.filter(assignment__annotator=annotator).order_by("received_at")
    return [(vote.assignment.comparison.prompt.text, vote.choice) for vote in votes]


def begin(page: Page, server: str, annotator: Annotator) -> None:
    """Straight to the comparisons."""
    Annotator.objects.filter(pk=annotator.pk).update(instructions_read_at="2026-01-01T00:00Z")
    page.goto(f"{server}/a/{annotator.token}/")


def until_votable(page: Page, number: int, of: int = 3, *, is_saved: bool = True) -> None:
    """Until comparison `number` can be voted on, and every earlier vote is saved (the page does not wait for that)."""
    expect(page.locator("#count")).to_have_text(f"{number} of {of}")
    expect(page.locator("footer .choice").first).to_have_attribute("aria-disabled", "false")
    if number > 1 and is_saved:
        expect(page.locator("#state")).to_have_text(re.compile("Saved|Already voted|Undone"))


def sources(page: Page) -> list[str]:
    """The addresses of the images, left then right."""
    found: list[str] = page.locator(".cell img").evaluate_all("images => images.map(image => image.currentSrc)")
    return found


def test_from_invitation_to_end_with_the_keyboard_alone(
    page: Page, server: str, accessible: Check, scene: Scene
) -> None:
    annotator = scene.invite("Ada")
    page.goto(f"{server}/a/{annotator.token}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Which set is more consistent?")
    accessible(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    for number, key in enumerate("120", 1):
        until_votable(page, number)
        if number == 1:
            accessible(page)
        page.keyboard.press(key)
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you. You have finished.")
    expect(page.get_by_role("main")).to_contain_text("All 3 of your votes are saved.")
    accessible(page)
    assert [choice for _prompt, choice in votes_of(annotator)] == ["left", "right", "tie"]
    vote = Vote.objects.latest("received_at")
    assert vote.response_ms is not None
    assert vote.shown_at is not None
    assert vote.voted_at is not None
    assert vote.shown_at <= vote.voted_at
    assert set(Assignment.objects.values_list("rendition", flat=True)) <= {"grid", "grid2x"}
    annotator.refresh_from_db()
    assert annotator.state == "finished"


def test_from_invitation_to_end_by_touch(browser: Browser, server: str, accessible: Check, scene: Scene) -> None:
    context = browser.new_context(**PHONE)
    page = context.new_page()
    annotator = scene.invite("Ada")
    page.goto(f"{server}/a/{annotator.token}/")
    accessible(page)
    page.get_by_role("button", name="Start the comparisons").tap()
    for number, name in enumerate(("Lower", "Upper", "Lower"), 1):
        until_votable(page, number)
        accessible(page)
        page.get_by_role("button", name=name, exact=True).tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you. You have finished.")
    assert [choice for _prompt, choice in votes_of(annotator)] == ["right", "left", "right"]
    context.close()


def test_a_reload_a_second_tab_and_the_back_button_show_the_same_comparison(
    page: Page, server: str, scene: Scene
) -> None:
    annotator = scene.invite("Ada")
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


def test_the_same_comparison_voted_in_two_tabs_counts_once(page: Page, server: str, scene: Scene) -> None:
    annotator = scene.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    second = page.context.new_page()
    second.goto(page.url)
    until_votable(second, 1)
    page.keyboard.press("1")
    until_votable(page, 2)
    second.keyboard.press("2")
    until_votable(second, 2)
    assert [choice for _prompt, choice in votes_of(annotator)] == ["left"]


def test_a_double_click_is_one_vote(page: Page, server: str, scene: Scene) -> None:
    annotator = scene.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    page.get_by_role("button", name="Left", exact=True).dblclick()
    until_votable(page, 2)
    assert [choice for _prompt, choice in votes_of(annotator)] == ["left"]


def test_a_key_held_down_is_one_vote(page: Page, server: str, scene: Scene) -> None:
    annotator = scene.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    page.keyboard.down("1")
    until_votable(page, 2)
    page.keyboard.down("1")  # the browser repeats a key that is held
    page.keyboard.down("1")
    expect(page.locator("#count")).to_have_text("2 of 3")
    assert len(votes_of(annotator)) == 1


def test_an_answer_that_gets_lost_stores_one_vote(page: Page, server: str, scene: Scene) -> None:
    """The server takes the vote, the answer never arrives, the line is dead for a while: sent again, stored once."""
    annotator = scene.invite("Ada")
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


def test_a_vote_outlives_the_page(page: Page, server: str, scene: Scene) -> None:
    """Voted while the line is dead, then the tab is closed; the next visit sends it."""
    annotator = scene.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    page.route("**/votes", lambda route: route.abort())
    page.keyboard.press("2")
    expect(page.locator("#state")).to_have_text("Offline (1 waiting)")
    assert votes_of(annotator) == []
    later = page.context.new_page()
    page.close()
    later.goto(f"{server}/a/{annotator.token}/")
    until_votable(later, 2)
    assert [choice for _prompt, choice in votes_of(annotator)] == ["right"]


def test_no_vote_before_every_image_is_painted(page: Page, server: str, scene: Scene) -> None:
    annotator = scene.invite("Ada")
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
    scene = draw_study(prompt_count=1, images_per_set=2, annotation={"minimum_viewing_seconds": 2})
    annotator = scene.invite("Ada")
    begin(page, server, annotator)
    expect(page.locator("#state")).to_have_text("Look for 2 s")
    page.keyboard.press("1")
    until_votable(page, 1, of=1)
    page.keyboard.press("2")
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you. You have finished.")
    assert [choice for _prompt, choice in votes_of(annotator)] == ["right"]


def test_an_image_that_fails_is_tried_twice_more_and_then_said(
    page: Page, server: str, accessible: Check, scene: Scene
) -> None:
    annotator = scene.invite("Ada")
    failed: list[str] = []

    def fail_one(route: Route) -> None:
        if not failed or route.request.url == failed[0]:
            failed.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route("**/i/*", fail_one)
    begin(page, server, annotator)
    expect(page.get_by_role("alert")).to_contain_text("An image could not be loaded")
    assert len(failed) == 3
    accessible(page)
    page.keyboard.press("1")
    page.unroute("**/i/*")
    page.get_by_role("button", name="Try again").click()
    until_votable(page, 1)
    assert votes_of(annotator) == []


def test_an_image_that_fails_is_reported_and_another_comparison_comes(page: Page, server: str, scene: Scene) -> None:
    annotator = scene.invite("Ada")
    page.route("**/i/*", lambda route: route.abort())
    begin(page, server, annotator)
    page.get_by_role("button", name="Report it and go on").wait_for()
    page.unroute("**/i/*")
    page.get_by_role("button", name="Report it and go on").click()
    until_votable(page, 1)
    reported = ImageReport.objects.get()
    assert (reported.kind, reported.assignment.state) == ("failed", "reported")
    assert Assignment.objects.get(state="leased", is_ahead=False).comparison_id != reported.assignment.comparison_id
    assert votes_of(annotator) == []


def test_an_offensive_image_is_reported_only_after_a_question(
    page: Page, server: str, accessible: Check, scene: Scene
) -> None:
    begin(page, server, scene.invite("Ada"))
    until_votable(page, 1)
    for act, count in (("Back to the comparison", 0), ("Report it and go on", 1)):
        page.get_by_role("button", name="Left set, image 2 of 4").click()
        page.get_by_role("button", name="Report this image").click()
        accessible(page)
        page.keyboard.press("1")
        with page.expect_response("**/reports") if count else nullcontext():
            page.get_by_role("button", name=act).click()
        until_votable(page, 1)
        assert ImageReport.objects.filter(kind="offensive").count() == count
    assert not Vote.objects.exists()


def test_the_next_comparison_is_there_before_the_server_answers(page: Page, server: str, scene: Scene) -> None:
    annotator = scene.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    page.wait_for_load_state("networkidle")
    assert Assignment.objects.filter(is_ahead=True).count() == 1
    page.context.set_offline(True)
    page.keyboard.press("1")
    until_votable(page, 2, is_saved=False)
    expect(page.locator("#state")).to_have_text("Offline (1 waiting)")
    page.keyboard.press("2")
    expect(page.locator("#state")).to_have_text("Offline (2 waiting)")
    assert votes_of(annotator) == []
    page.context.set_offline(False)
    until_votable(page, 3)
    assert [choice for _prompt, choice in votes_of(annotator)] == ["left", "right"]


def test_a_closed_tab_gives_back_what_was_fetched_ahead_and_nothing_else(page: Page, server: str, scene: Scene) -> None:
    begin(page, server, scene.invite("Ada"))
    until_votable(page, 1)
    page.wait_for_load_state("networkidle")
    page.goto("about:blank")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while Assignment.objects.filter(is_ahead=True).exists() and time.monotonic() < deadline:
        time.sleep(0.1)  # the tab is gone: nothing to wait on but the database
    assert sorted(Assignment.objects.values_list("state", "is_ahead")) == [("leased", False), ("released", False)]


@pytest.mark.parametrize("way", ["key", "button", "browser's Back"])
def test_the_last_vote_is_undone(page: Page, server: str, scene: Scene, way: str) -> None:
    annotator = scene.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    shown = sources(page)
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_hidden()
    page.keyboard.press("1")
    until_votable(page, 2)
    expect(undo).to_be_visible()
    acts: dict[str, Callable[[], object]] = {
        "key": lambda: page.keyboard.press("u"),
        "button": undo.click,
        "browser's Back": page.go_back,
    }
    acts[way]()
    until_votable(page, 1)
    assert sources(page) == shown
    page.keyboard.press("2")
    until_votable(page, 2)
    states = Vote.objects.order_by("received_at").values_list("choice", "state")
    assert list(states) == [("left", "superseded"), ("right", "standing")]


def test_a_neighbour_is_flickered_to_by_hand_where_motion_is_unwelcome(page: Page, server: str, scene: Scene) -> None:
    begin(page, server, scene.invite("Ada"))
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


def test_images_are_enlarged_and_walked_through(page: Page, server: str, accessible: Check, scene: Scene) -> None:
    annotator = scene.invite("Ada")
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


def test_arrows_walk_the_set_and_tab_leaves_it(page: Page, server: str, scene: Scene) -> None:
    begin(page, server, scene.invite("Ada"))
    until_votable(page, 1)
    page.get_by_role("button", name="Left set, image 1 of 4").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Left set, image 4 of 4")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Right set, image 1 of 4")).to_be_focused()


def test_a_study_paused_meanwhile_says_so_and_keeps_the_vote(page: Page, server: str, scene: Scene) -> None:
    annotator = scene.invite("Ada")
    begin(page, server, annotator)
    until_votable(page, 1)
    scene.study.state = "paused"
    scene.study.save()
    page.keyboard.press("1")
    expect(page.get_by_role("heading", level=1)).to_have_text("This study is paused")
    assert [choice for _prompt, choice in votes_of(annotator)] == ["left"]


def test_while_others_hold_the_last_comparison_the_page_waits(page: Page, server: str, accessible: Check) -> None:
    scene = draw_study(prompt_count=1, images_per_set=2, annotation={"overlap": 1})
    first, second = scene.invite("Ada"), scene.invite("Bob")
    begin(page, server, first)
    until_votable(page, 1, of=1)
    other = page.context.new_page()
    begin(other, server, second)
    expect(other.get_by_role("alert")).to_contain_text("Others are voting on the last comparisons.")
    accessible(other)
    page.keyboard.press("1")
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you. You have finished.")
    assert votes_of(second) == []


def test_the_prompt_is_shown_only_where_the_study_says_so(page: Page, server: str, scene: Scene) -> None:
    begin(page, server, scene.invite("Ada"))
    until_votable(page, 1)
    expect(page.locator("#prompt")).to_be_hidden()
    showing = draw_study(prompt_count=1, images_per_set=2, annotation={"show_prompt": True})
    begin(page, server, showing.invite("Ada"))
    until_votable(page, 1, of=1)
    expect(page.locator("#prompt")).to_have_text("Described as: a house by the lake")
    expect(page.get_by_role("button", name="About the same")).to_have_count(0)
