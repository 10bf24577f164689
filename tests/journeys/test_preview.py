"""A researcher walks through a study as an annotator before it opens, with the comparisons' own script."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from annotation.models import Annotator, Assignment, Vote
from tests.annotation.web.drawn_studies import draw_study
from tests.annotation.web.researcher.test_preview import WHOLE
from tests.journeys.conftest import PHONE
from tests.journeys.test_uploads import login

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_walk_from_consent_to_debriefing(page: Page, server: str, accessible: Callable[[Page], None]) -> None:
    login(page, server)
    study = draw_study(prompt_count=2, images_per_set=4, state="ready", **WHOLE).study
    page.goto(f"{server}{study.get_absolute_url()}")
    page.get_by_role("link", name="Preview").click()
    bar = page.get_by_role("navigation", name="Preview")
    expect(bar).to_contain_text("1 of 12: Welcome and consent")
    accessible(page)
    page.get_by_role("button", name="I agree and take part").click()
    expect(bar).to_contain_text("Questions")
    bar.get_by_role("link", name="Next page").click()
    expect(bar).to_contain_text("Instructions")
    accessible(page)
    bar.get_by_role("link", name="Next page").click()
    choice = page.locator("footer [value=left]")
    expect(choice).to_have_attribute("aria-disabled", "false")
    accessible(page)
    choice.click()
    expect(bar).to_contain_text("Feedback")
    page.goto(f"{server}{study.get_absolute_url()}preview/comparisons/")
    for _number in range(3):  # two comparisons and an instructed check
        left = page.locator("[data-choice=left]")
        expect(left).to_have_attribute("aria-disabled", "false")
        count = page.locator("#count").inner_text()
        left.click()
        expect(page.locator("#count")).not_to_have_text(count) if _number < 2 else None
    expect(bar).to_contain_text("Break")
    bar.get_by_role("link", name="Next page").click()
    bar.get_by_role("link", name="Next page").click()
    expect(page.get_by_text("It was about likeness.")).to_be_visible()
    accessible(page)
    bar.get_by_role("link", name="Leave the preview").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(study.name)
    assert [model.objects.count() for model in (Annotator, Assignment, Vote)] == [0, 0, 0]


def test_both_sets_stay_whole_below_the_bar(browser: Browser, server: str) -> None:
    page = browser.new_context(**PHONE).new_page()
    login(page, server)
    study = draw_study(prompt_count=2, images_per_set=4, state="ready", **WHOLE).study
    page.goto(f"{server}{study.get_absolute_url()}preview/comparisons/")
    expect(page.locator("[data-choice=left]")).to_have_attribute("aria-disabled", "false")
    boxes = [one.bounding_box() for one in page.locator("main img, main canvas").all()]
    footer = page.locator("body > footer").bounding_box()
    assert footer is not None
    assert len(boxes) >= 8
    assert all(box is not None and box["y"] + box["height"] <= footer["y"] + 1 for box in boxes)
    assert footer["y"] + footer["height"] <= PHONE["viewport"]["height"] + 1
