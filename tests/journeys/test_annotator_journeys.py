"""Sessions of annotators on a laptop and on a phone; after each one, the votes are exactly those they made."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from annotation.models import Annotator, Answer, Assignment, ImageReport, Vote
from annotation.reports.data.gathering import gather
from annotation.reports.report import build_report
from tests.annotation.voting.open_studies import assert_invariants
from tests.annotation.web.annotator.test_onboarding import FRAME, PLATFORM, TEXTS
from tests.annotation.web.drawn_studies import DrawnStudy, draw_study
from tests.journeys.people import SCREENS, Person, assert_exactly, at_a_screen, fail_one_image, practised, tab_to
from tests.journeys.web_process import WebProcess

pytestmark = pytest.mark.django_db(transaction=True)
at_both_screens = pytest.mark.parametrize("screen", SCREENS)
THANKS = "Thank you. You have finished."


@pytest.fixture
def person(browser: Browser, server: str, screen: str) -> Iterator[Person]:
    person = at_a_screen(browser, server, screen)
    yield person
    person.context.close()


def whole_study(page: Page, link: str, press: Callable[[Locator], None], choose: Callable[[str], None]) -> Annotator:
    """Go from the platform's link through every page to the completion code; `press` acts on a control."""

    def button(name: str) -> Locator:
        return page.get_by_role("button", name=name, exact=True)

    page.goto(link)
    press(button("I agree and take part"))
    press(page.get_by_label("How old are you?"))
    page.keyboard.type("34")
    press(button("Continue"))
    press(button("Continue"))  # the instructions
    annotator = Annotator.objects.get()
    sides = practised(annotator)
    for number in (1, 2):
        expect(page.locator("#count")).to_have_text(f"Practice {number} of 2")
        expect(page.locator("footer .choice").first).to_have_attribute("aria-disabled", "false")
        choose(next(sides))
        expect(page.get_by_role("heading", level=1)).to_have_text("That is right.")
        press(page.get_by_role("link", name="Continue"))
    for answer in ("likeness", "sets"):
        press(page.get_by_label(answer))
        page.keyboard.press("Space")
    press(button("Check my answers"))
    for number, choice in enumerate(("left", "right"), 1):
        expect(page.locator("#count")).to_have_text(f"{number} of 3")
        expect(page.locator("footer .choice").first).to_have_attribute("aria-disabled", "false")
        choose(choice)
    press(button("Continue"))  # the break
    expect(page.locator("footer .choice").first).to_have_attribute("aria-disabled", "false")
    choose("left")
    press(page.get_by_label("Your comment"))
    page.keyboard.type("Unhurried.")  # with a u: the key does not undo while a person types
    press(button("Continue"))
    expect(page.get_by_role("link", name="Back to the platform")).to_be_visible()
    return annotator


@at_both_screens
def test_the_whole_study_by_keyboard(browser: Browser, server: str, screen: str) -> None:
    drawn = draw_study(prompt_count=3, frame=FRAME, platform=PLATFORM, texts=TEXTS)
    context = browser.new_context(viewport=SCREENS[screen]["viewport"])
    page = context.new_page()

    def press(target: Locator) -> None:
        expect(target).to_be_visible()
        tab_to(page, target)  # in a group of radio buttons, the arrow keys move the focus
        if target.evaluate("element => element.matches('button, a')"):
            page.keyboard.press("Enter")

    link = f"{server}/join/{drawn.study.open_link_token}/?PROLIFIC_PID=p1"
    keys = {"left": "1", "right": "2"}
    annotator = whole_study(page, link, press, lambda choice: page.keyboard.press(keys[choice]))
    assert_exactly(annotator, "left", "right", "left")
    assert Answer.objects.get(page="comment").value == "Unhurried."
    for vote in Vote.objects.filter(assignment__kind="main").select_related("assignment"):
        assert vote.shown_at
        assert vote.voted_at
        assert vote.shown_at <= vote.voted_at
        assert vote.response_ms is not None
        assert vote.assignment.rendition in ("grid", "grid2x")
    context.close()


@at_both_screens
def test_the_whole_study_by_touch(browser: Browser, server: str, screen: str) -> None:
    drawn = draw_study(prompt_count=3, frame=FRAME, platform=PLATFORM, texts=TEXTS)
    person = at_a_screen(browser, server, screen, **({} if screen == "390" else {"has_touch": True}))

    def tap(target: Locator) -> None:
        expect(target).to_be_visible()
        target.tap()

    link = f"{server}/join/{drawn.study.open_link_token}/?PROLIFIC_PID=p1"
    annotator = whole_study(person.page, link, tap, lambda choice: tap(person.button(choice)))
    assert_exactly(annotator, "left", "right", "left")
    person.context.close()


@at_both_screens
def test_the_connection_fails_during_a_vote_and_comes_back(person: Person, drawn: DrawnStudy) -> None:
    """The first answer is lost, then there is no connection: prefetched comparisons are voted on and sent later."""
    annotator = drawn.invite("Ada")
    person.begin(annotator)
    person.until_votable(1)
    person.page.wait_for_load_state("networkidle")
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/votes"):
            sent.append(json.loads(request.post_data or "{}")["vote_id"])

    def take_the_vote_and_lose_the_connection(route: Route) -> None:
        route.fetch()
        person.context.set_offline(True)
        route.abort("connectionreset")

    person.page.on("request", note)
    person.page.route("**/votes", take_the_vote_and_lose_the_connection, times=1)
    person.choose("left")
    person.until_votable(2, is_saved=False)
    person.expect_state("Offline (1 waiting)")
    person.choose("right")
    person.expect_state("Offline (2 waiting)")
    assert_exactly(annotator, "left")
    person.context.set_offline(False)
    person.until_votable(3)
    person.expect_state("Saved")
    assert_exactly(annotator, "left", "right")
    assert len(set(sent)) == 2, "the first vote was sent again as the same vote"
    assert sent[-1] not in sent[:-1], "and the second one after it"
    person.choose("left")
    person.expect_heading(THANKS)
    assert_exactly(annotator, "left", "right", "left")


@at_both_screens
def test_the_server_is_killed_between_vote_and_answer(browser: Browser, screen: str, media_root: Path) -> None:
    process = WebProcess(media_root.parent)
    person = at_a_screen(browser, process.url, screen)
    annotator = draw_study(prompt_count=3, images_per_set=2).invite("Ada")
    try:
        process.start()
        person.begin(annotator)
        person.until_votable(1)
        process.kill()
        person.choose("left")
        person.expect_state("Offline (1 waiting)")
        assert_exactly(annotator)
        process.start()
        person.until_votable(2)

        def kill_before_the_answer(route: Route) -> None:
            route.fetch()
            process.kill()
            route.abort()

        person.page.route("**/votes", kill_before_the_answer, times=1)
        person.choose("right")
        person.expect_state("Offline (1 waiting)")
        process.start()
        person.until_votable(3)
        person.choose("left")
        person.expect_heading(THANKS)
    finally:
        process.kill()
        person.context.close()
    assert_exactly(annotator, "left", "right", "left")


@at_both_screens
def test_two_tabs(person: Person, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("Ada")
    person.begin(annotator)
    person.until_votable(1)
    other = person.second_tab()
    other.open(f"/a/{annotator.token}/")
    other.until_votable(1)
    assert other.sources() == person.sources()
    person.page.bring_to_front()
    person.choose("left")
    person.until_votable(2)
    other.page.bring_to_front()
    other.choose("right")  # on the comparison that the first tab has voted on
    other.until_votable(2)
    other.expect_state("Already voted")
    other.choose("right")
    other.until_votable(3)
    person.page.bring_to_front()
    person.choose("left")  # again on what the other tab has voted on
    person.until_votable(3)
    person.choose("left")
    person.expect_heading(THANKS)
    assert_exactly(annotator, "left", "right", "left")


@at_both_screens
def test_undo_on_the_way_and_after_the_last_vote(person: Person, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("Ada")
    person.begin(annotator)
    person.until_votable(1)
    shown = person.sources()
    for number, choice in enumerate(("left", "right"), 1):
        person.choose(choice)
        person.until_votable(number + 1)
    undo = person.page.get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    if person.is_on_a_phone:
        undo.tap()
    else:
        person.page.keyboard.press("u")
    person.until_votable(2)
    person.choose("tie")
    person.until_votable(3)
    last = person.sources()
    person.choose("left")
    person.expect_heading(THANKS)
    if person.is_on_a_phone:
        person.page.get_by_role("button", name="Undo the last vote").tap()
    else:
        person.page.keyboard.press("u")
    person.until_votable(3)
    assert person.sources() == last != shown
    person.choose("right")
    person.expect_heading(THANKS)
    assert_exactly(annotator, "left", "right superseded", "tie", "left superseded", "right")


@at_both_screens
def test_the_browsers_back_undoes(person: Person, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("Ada")
    person.begin(annotator)
    for number in (1, 2, 3):
        person.until_votable(number)
        person.choose("left")
        if number == 1:
            person.until_votable(2)
            person.page.go_back()
            person.until_votable(1)
            person.choose("right")
    person.expect_heading(THANKS)
    person.page.go_back()
    person.until_votable(3)
    person.choose("tie")
    person.expect_heading(THANKS)
    assert_exactly(annotator, "left superseded", "right", "left", "left superseded", "tie")


@at_both_screens
def test_stopping_for_now_waits_for_the_votes_and_releases_everything(
    person: Person, drawn: DrawnStudy, accessible: Callable[[Page], None]
) -> None:
    annotator = drawn.invite("Ada")
    person.begin(annotator)
    person.until_votable(1)
    stop = person.page.get_by_role("button", name="Stop for now")
    box, images = stop.bounding_box(), person.page.locator(".cell").first.bounding_box()
    assert box
    assert images
    assert box["height"] >= 24, "large enough for a finger"
    assert box["y"] + box["height"] <= images["y"], "both sets are between it and the buttons of the vote"
    person.choose("left")
    person.until_votable(2)
    person.context.set_offline(True)
    person.choose("right")
    person.expect_state("Offline (1 waiting)")
    if person.is_on_a_phone:
        stop.tap()
    else:
        tab_to(person.page, stop)
        person.page.keyboard.press("Enter")
    expect(person.page.get_by_role("alert")).to_contain_text("Your last votes are not saved yet")
    person.context.set_offline(False)
    person.expect_heading("You have stopped for now")
    expect(person.page.get_by_role("main")).to_contain_text("All 2 of your votes are saved.")
    accessible(person.page)
    assert_exactly(annotator, "left", "right")
    assert not Assignment.objects.filter(state="leased").exists()
    person.act(person.page.get_by_role("link", name="Continue"))
    person.until_votable(3, is_saved=False)
    person.choose("left")
    person.expect_heading(THANKS)
    assert_exactly(annotator, "left", "right", "left")


@at_both_screens
def test_withdrawal(person: Person) -> None:
    drawn = draw_study(prompt_count=2, platform={"withdrawn_code": "GONE4"})
    annotator = drawn.invite("Ada")
    person.begin(annotator)
    person.until_votable(1, of=2)
    person.choose("left")
    person.until_votable(2, of=2)
    person.act(person.page.get_by_role("link", name="Withdraw"))
    person.act(person.page.get_by_role("link", name="Stay in the study"))
    person.until_votable(2, of=2, is_saved=False)
    assert_exactly(annotator, "left")
    person.act(person.page.get_by_role("link", name="Withdraw"))
    person.act(person.page.get_by_role("button", name="Delete my votes and withdraw"))
    person.expect_heading("You have withdrawn")
    expect(person.page.get_by_role("main")).to_contain_text("GONE4")
    assert_exactly(annotator)
    assert not Assignment.objects.exists()
    assert set(drawn.study.comparisons.values_list("slot_count", "vote_count")) == {(0, 0)}


@at_both_screens
def test_an_annotator_returns_through_the_platform(browser: Browser, server: str, screen: str) -> None:
    """An annotator leaves, and returns with the same id in another session, on a device with nothing stored."""
    drawn = draw_study(prompt_count=3, platform=PLATFORM)
    link = f"/join/{drawn.study.open_link_token}/?PROLIFIC_PID=p1&STUDY_ID=s"
    first = at_a_screen(browser, server, screen)
    first.open(f"{link}&SESSION_ID=v1")
    first.act(first.page.get_by_role("button", name="Start"))
    first.act(first.page.get_by_role("button", name="Start the comparisons"))
    first.until_votable(1)
    first.choose("left")
    first.until_votable(2)
    shown = first.sources()
    first.context.close()
    again = at_a_screen(browser, server, screen)
    again.open(f"{link}&SESSION_ID=v2")
    again.until_votable(2)
    assert again.sources() == shown
    again.choose("right")
    again.until_votable(3)
    again.choose("left")
    back = again.page.get_by_role("link", name="Back to the platform")
    expect(back).to_have_attribute("href", "https://platform.test/complete?cc=DONE1")
    again.context.close()
    assert_exactly(Annotator.objects.get(), "left", "right", "left")


@at_both_screens
def test_an_image_fails_and_another_comparison_comes(person: Person, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("Ada")
    failed = fail_one_image(person.page)
    person.begin(annotator)
    expect(person.page.get_by_role("alert")).to_contain_text("An image could not be loaded")
    assert len(failed) == 3, "tried twice more"
    person.act(person.page.get_by_role("button", name="Try again"))
    report = person.page.get_by_role("button", name="Report it and continue")
    expect(report).to_be_visible()
    person.act(report)
    person.until_votable(1)
    reported = ImageReport.objects.get()
    assert (reported.kind, reported.assignment.state) == ("failed", "reported")
    for number, choice in enumerate(("left", "right"), 1):
        person.until_votable(number)
        person.choose(choice)
    person.expect_heading(THANKS)
    assert_exactly(annotator, "left", "right")
    assert not Vote.objects.filter(assignment=reported.assignment).exists()


@at_both_screens
def test_a_browser_without_cookies_is_told_so_and_reports_no_image(person: Person, drawn: DrawnStudy) -> None:
    person.page.route("**/i/*", lambda route: route.fulfill(status=403))  # as `test_images` has it
    person.begin(drawn.invite("Ada"))
    expect(person.page.get_by_role("alert")).to_contain_text("Allow cookies for this page")
    person.page.unroute("**/i/*")
    person.act(person.page.get_by_role("button", name="Reload"))
    person.until_votable(1)
    assert not ImageReport.objects.exists()


@at_both_screens
def test_a_vote_that_comes_too_late_is_kept_said_and_not_counted(browser: Browser, server: str, screen: str) -> None:
    """The connection is down, the lease ends, another annotator takes the last slot; then the vote arrives."""
    drawn = draw_study(prompt_count=2, images_per_set=2, annotation={"overlap": 1, "prefetch": 0})
    ada, bob = drawn.invite("Ada"), drawn.invite("Bob")
    person = at_a_screen(browser, server, screen)
    person.begin(ada)
    person.until_votable(1, of=2)
    person.context.set_offline(True)
    person.choose("left")
    person.expect_state("Offline (1 waiting)")
    Assignment.objects.update(lease_expires_at="2026-01-01T00:00Z")
    other = at_a_screen(browser, server, screen)
    other.begin(bob)
    for number in (1, 2):
        other.until_votable(number, of=2)
        other.choose("right")
    other.expect_heading(THANKS)
    person.context.set_offline(False)
    person.expect_heading(THANKS)
    assert_exactly(ada, "left late")
    assert_exactly(bob, "right", "right")
    person.context.close()
    other.context.close()
    assert_invariants(drawn.study)
    counts = build_report(gather(drawn.study, manifest=drawn.manifest)).counts
    assert (counts.votes, counts.late_votes) == (2, 1)
