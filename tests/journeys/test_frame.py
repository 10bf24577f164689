"""The whole frame in a browser, and axe on every page of it: by keyboard, and back through the platform's link."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Annotator, Answer, Assignment, Vote
from annotation.voting.practice import consistent_side
from tests.annotation.web.scenes import draw_study
from tests.annotation.web.test_frame import FRAME, PLATFORM, TEXTS

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]


def votable(page: Page) -> None:
    expect(page.locator("footer .choice").first).to_have_attribute("aria-disabled", "false")


def practise(page: Page, number: int) -> None:
    votable(page)
    side = consistent_side(Assignment.objects.get(kind="practice", occurrence=number))
    page.keyboard.press("1" if side == "left" else "2")
    expect(page.get_by_role("heading", level=1)).to_have_text("That is right.")


@pytest.mark.parametrize("width", [1440, 390])
def test_from_the_platform_to_its_completion_page(page: Page, server: str, accessible: Check, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    scene = draw_study(prompt_count=3, frame=FRAME, platform=PLATFORM, texts=TEXTS)
    link = f"{server}/join/{scene.study.open_link_token}/?PROLIFIC_PID=p1&STUDY_ID=s&SESSION_ID=v"
    page.goto(link)
    accessible(page)
    page.get_by_role("button", name="Start").click()
    accessible(page)
    page.get_by_role("button", name="I agree and take part").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    accessible(page)
    page.get_by_label("How old are you?").fill("34")
    page.get_by_label("a laptop").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Worked examples")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="Continue").click()
    votable(page)
    accessible(page)
    practise(page, 0)
    accessible(page)
    page.context.clear_cookies()
    page.goto(link)  # they left, and come back through the platform
    practise(page, 1)
    page.get_by_role("link", name="Go on").click()
    accessible(page)
    page.get_by_label("likeness").check()
    page.get_by_label("sets").check()
    page.get_by_role("button", name="Check my answers").click()
    for number in (1, 2):
        expect(page.locator("#count")).to_have_text(f"{number} of 3")
        votable(page)
        page.keyboard.press("1")
    expect(page.get_by_role("heading", level=1)).to_have_text("Time for a break")
    assert Vote.objects.filter(assignment__kind="main").count() == 2
    accessible(page)
    page.get_by_role("button", name="Go on").click()
    votable(page)
    page.keyboard.press("2")
    page.get_by_label("Your comment").fill("Calm.")
    accessible(page)
    page.get_by_role("button", name="Continue").click()
    back = page.get_by_role("link", name="Back to where you came from")
    expect(back).to_have_attribute("href", "https://platform.test/complete?cc=DONE1")
    accessible(page)
    assert Annotator.objects.count() == 1
    assert Answer.objects.filter(page="comment").get().value == "Calm."


def test_withdrawing_from_the_comparisons(page: Page, server: str, accessible: Check) -> None:
    scene = draw_study(prompt_count=2, platform={"withdrawn_code": "GONE4"})
    annotator = scene.invite("Ada")
    page.goto(f"{server}/a/{annotator.token}/")
    page.get_by_role("button", name="Start the comparisons").click()
    votable(page)
    page.keyboard.press("1")
    expect(page.locator("#count")).to_have_text("2 of 2")
    votable(page)
    page.get_by_role("link", name="Withdraw").click()
    accessible(page)
    page.get_by_role("link", name="Stay in the study").click()
    votable(page)
    page.get_by_role("link", name="Withdraw").click()
    page.get_by_role("button", name="Delete my votes and withdraw").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You have withdrawn")
    expect(page.get_by_role("main")).to_contain_text("GONE4")
    accessible(page)
    assert not Vote.objects.exists()
    assert set(scene.study.comparisons.values_list("slot_count", "vote_count")) == {(0, 0)}


def test_failing_the_check_twice_ends_on_a_page_of_its_own(page: Page, server: str, accessible: Check) -> None:
    scene = draw_study(prompt_count=2, frame={"check": FRAME["check"]}, platform=PLATFORM)
    page.goto(f"{server}/a/{scene.invite('Ada').token}/")
    page.get_by_role("button", name="Continue").click()
    for number in range(2):
        page.get_by_label("beauty").check()
        page.get_by_label("sets").check()
        page.get_by_role("button", name="Check my answers").click()
        if number == 0:
            expect(page.get_by_role("alert")).to_contain_text("one more try")
            accessible(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your part in this study has ended")
    expect(page.get_by_role("main")).to_contain_text("SCREEN2")
    accessible(page)
