"""Every text page for annotators: its text, the way on, and axe."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from annotation.models import Annotator, Study
from tests.annotation.web.drawn_studies import DrawnStudy, draw_study
from tests.factories import give_vote

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]


@pytest.fixture
def drawn() -> DrawnStudy:
    return draw_study(prompt_count=1, images_per_set=2)


@pytest.mark.parametrize(
    ("state", "heading"),
    [
        ("ready", "This study is not open yet"),
        ("paused", "This study is paused"),
        ("closed", "This study is closed"),
    ],
)
def test_a_study_that_takes_no_votes_says_so(page: Page, server: str, state: str, heading: str) -> None:
    drawn = draw_study(prompt_count=1, images_per_set=2, state=state)
    for path in (f"/a/{drawn.invite('first').token}/", f"/join/{drawn.study.open_link_token}/"):
        page.goto(server + path)
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def test_an_annotator_who_finished_is_thanked_even_after_the_study_closed(
    page: Page, server: str, accessible: Check, drawn: DrawnStudy
) -> None:
    annotator = drawn.invite("first")
    Annotator.objects.update(state=Annotator.State.FINISHED)
    give_vote(annotator)
    Study.objects.update(state=Study.State.CLOSED, closed_at=timezone.now())
    page.goto(f"{server}/a/{annotator.token}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you. You have finished.")
    accessible(page)


def test_the_end_reached_too_early_leads_back(page: Page, server: str, accessible: Check, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("first")
    page.goto(f"{server}/a/{annotator.token}/end/")
    page.get_by_role("button", name="Start the comparisons").click()
    expect(page.locator("#count")).to_be_visible()
    page.goto(f"{server}/a/{annotator.token}/end/")
    accessible(page)
    page.get_by_role("link", name="Look again").click()
    expect(page.locator("#count")).to_be_visible()


def test_the_open_link_makes_one_annotator_per_device(
    page: Page, server: str, accessible: Check, drawn: DrawnStudy
) -> None:
    link = f"{server}/join/{drawn.study.open_link_token}/"
    page.goto(link)
    accessible(page)
    assert not Annotator.objects.exists(), "opening the link stores nothing"
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("button", name="Start the comparisons")).to_be_visible()
    accessible(page)
    place = page.url
    page.goto(link)
    assert page.url == place
    assert Annotator.objects.count() == 1


def test_the_resume_code_leads_to_the_same_page_from_another_device(
    page: Page, server: str, accessible: Check, drawn: DrawnStudy
) -> None:
    page.goto(f"{server}/join/{drawn.study.open_link_token}/")
    page.get_by_role("button", name="Start").click()
    place, code = page.url, page.locator(".code").inner_text()
    page.context.clear_cookies()
    page.goto(f"{server}/resume/")
    page.get_by_label("Resume code").fill("BCDFG-HJKMN")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("No annotator has this code")
    accessible(page)
    page.get_by_label("Resume code").fill(code.lower())
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(place)


def test_a_link_that_leads_nowhere_says_what_to_do(page: Page, server: str, accessible: Check) -> None:
    answer = page.goto(f"{server}/a/wrong/")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("main")).to_contain_text("check that you copied all of it")
    accessible(page)


def test_the_start_page_and_the_login_are_accessible(page: Page, server: str, accessible: Check) -> None:
    for path in ("/", "/accounts/login/", "/accounts/signup/", "/resume/"):
        page.goto(server + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        accessible(page)
