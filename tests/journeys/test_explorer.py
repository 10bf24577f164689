"""The explorer and the report in the browser: by keyboard alone, on a phone, without violations of WCAG."""

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import call_command
from playwright.sync_api import Browser, Page, expect

from annotation.models import Study, Vote
from tests.annotation.web.drawn_studies import draw_study
from tests.factories import make_researcher, put_in_state, score_all
from tests.journeys.conftest import PHONE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def study() -> Study:
    """Three voted comparisons, closed."""
    found = draw_study(prompt_count=3, images_per_set=4, side=64, state="ready").study
    score_all(found)
    put_in_state(found, "open")
    call_command("simulate_votes", found.slug, annotators=3, seed=1, stdout=StringIO())
    put_in_state(found, "closed")
    return found


def logged_in(page: Page, server: str, path: str) -> None:
    make_researcher("a long password")
    page.goto(server + path)
    page.get_by_label("Username").fill("researcher")
    page.get_by_label("Password").fill("a long password")
    page.get_by_label("Password").press("Enter")
    page.wait_for_url(f"**{path}")


def whole(page: Page) -> bool:
    """Tell whether nothing is wider than the screen and every image is loaded."""
    return bool(
        page.evaluate(
            """() => document.documentElement.scrollWidth <= innerWidth
            && [...document.images].every(image => image.loading === "lazy" || image.naturalWidth > 0)"""
        )
    )


def test_by_keyboard_from_the_list_to_a_comparison_and_on(
    page: Page, server: str, study: Study, accessible: Callable[[Page], None]
) -> None:
    logged_in(page, server, f"/studies/{study.slug}/comparisons/")
    accessible(page)
    page.locator("#by").focus()
    page.keyboard.type("Order of")
    page.get_by_label("Words of the prompt").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**by=position**")
    first = page.locator(".card a").first
    first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Comparison 1")
    accessible(page)
    following = page.get_by_role("link", name="Next")
    following.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Comparison 2")
    expect(page.locator(".steps")).to_contain_text("2 of 3")
    expect(page.locator(".images img")).to_have_count(8)


def test_on_a_phone_nothing_is_wider_than_the_screen(
    browser: Browser, server: str, study: Study, accessible: Callable[[Page], None]
) -> None:
    context = browser.new_context(**PHONE, color_scheme="dark")
    page = context.new_page()
    logged_in(page, server, f"/studies/{study.slug}/comparisons/")
    assert whole(page)
    accessible(page)
    page.locator(".card a").first.tap()
    expect(page.locator(".images img")).to_have_count(8)
    assert whole(page)
    accessible(page)
    context.close()


def test_the_contents_of_the_report_lead_to_the_explorer(
    page: Page, server: str, study: Study, accessible: Callable[[Page], None]
) -> None:
    logged_in(page, server, f"/studies/{study.slug}/report/")
    expect(page.get_by_role("heading", level=2)).to_have_text(
        [
            "Agreement",
            "The scores",
            "Reliability",
            "Where they disagree",
            "What speaks against it",
            "Methods",
            "Appendix",
        ]
    )
    assert whole(page)
    accessible(page)
    contents = page.get_by_role("navigation", name="Contents")
    contents.get_by_role("link", name="Appendix").click()
    expect(contents.locator("[aria-current]")).to_have_text("Appendix")
    page.goto(f"{page.url.partition('#')[0]}#comparisons")  # a link into a fold opens it
    page.get_by_role("link", name="Split votes").click()
    page.wait_for_url("**by=split**")


def test_the_verdict_is_copied_and_the_map_of_disagreements_leads_to_a_comparison(
    page: Page, server: str, study: Study
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server)
    Vote.objects.update(choice="left")  # half of the votes name another model now, and the metric names one
    for place, comparison in enumerate(study.comparisons.order_by("position")):
        for image_set, value in ((comparison.image_set_a, 80.0), (comparison.image_set_b, 70.0 - place)):
            image_set.scores.update(value=value)
        comparison.assignments.update(left_model="b")
    logged_in(page, server, f"/studies/{study.slug}/report/")
    page.get_by_text("Copy the verdict as text").click()
    page.get_by_role("button", name="Copy", exact=True).first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert "SCS chose the model with more votes of simulated annotators on 0 of 3" in page.evaluate(
        "navigator.clipboard.readText()"
    )
    points = page.locator("#where svg.points a")
    expect(points).to_have_count(3)
    points.first.focus()
    expect(page.locator(".preview img")).to_have_count(2)
    points.first.click(force=True)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Comparison")


def test_each_mark_of_the_paired_scores_shows_and_opens_its_comparison(
    page: Page, server: str, study: Study, accessible: Callable[[Page], None]
) -> None:
    wanted = {}  # far from each other, in an order that is not that of the votes' winners
    for comparison, scores in zip(study.comparisons.order_by("position"), [(80, 60), (50, 90), (20, 30)], strict=True):
        for image_set, value in zip((comparison.image_set_a, comparison.image_set_b), scores, strict=True):
            image_set.scores.update(value=value)
        wanted[comparison.position + 1] = scores
    logged_in(page, server, f"/studies/{study.slug}/report/")
    points = page.locator("#the-scores svg.points a")
    expect(points).to_have_count(3)
    page.locator("#how-often svg.points g").first.focus()
    expect(page.locator("#how-often .preview p")).to_contain_text("they agree on")
    accessible(page)
    places = {}
    for point in points.all():
        point.locator("circle").hover()
        said = page.locator("#the-scores .preview p").inner_text()
        number = int(said.partition(".")[0])
        assert f"/comparisons/{number}/" in (point.get_attribute("href") or "")
        expect(page.locator("#the-scores .preview img")).to_have_count(2)
        circle = point.locator("circle")
        places[number] = float(circle.get_attribute("cx") or 0), -float(circle.get_attribute("cy") or 0)
    assert sorted(places) == sorted(wanted)
    for axis in (0, 1):  # the marks lie in the order of their own scores
        assert sorted(places, key=lambda one: places[one][axis]) == sorted(wanted, key=lambda one: wanted[one][axis])
    assert points.evaluate_all("links => links.map(link => link.tabIndex)") == [0, -1, -1]
    points.first.focus()
    page.keyboard.press("ArrowRight")
    expect(points.nth(1)).to_be_focused()
    shown = page.locator("#the-scores .preview p").inner_text().partition(".")[0]
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/comparisons/{shown}/**")
