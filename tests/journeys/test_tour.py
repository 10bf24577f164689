"""A tour of every page of ours: axe (WCAG 2.2 AA) on each one; `make screenshots` takes a picture of each instead.

Every run uses a phone with dark pages, the slow tests a laptop with light pages too; pictures are taken of all four
combinations. At the end, the test makes sure that no page was left out.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Template
from django.test.signals import template_rendered
from playwright.sync_api import Browser

from tests.annotation.web.drawn_studies import draw_study
from tests.journeys.annotator_pages import (
    visit_the_comparisons,
    visit_the_landing,
    visit_the_onboarding,
    visit_the_refusals,
    visit_the_states,
    visit_what_goes_wrong,
)
from tests.journeys.people import SCREENS
from tests.journeys.researcher_pages import log_in, visit_the_admin, visit_the_installation, visit_the_researcher
from tests.journeys.tour import PICTURES, Tour

pytestmark = pytest.mark.django_db(transaction=True)
LOOKS = [
    pytest.param(("390", "dark"), id="390-dark"),
    pytest.param(("1440", "light"), id="1440-light", marks=() if PICTURES else pytest.mark.slow),
    *([pytest.param(look, id="-".join(look)) for look in (("1440", "dark"), ("390", "light"))] if PICTURES else []),
]
# Templates that are no pages by themselves: a file to download, and the base of the account pages. The last one is
# shown only if an issuer of logins is set: test_tour_states.
NO_PAGES = {"reports/file.html", "allauth/layouts/base.html", "web/single_sign_on_failed.html"}


@pytest.fixture(params=LOOKS)
def tour(request: pytest.FixtureRequest, browser: Browser, server: str) -> Iterator[Tour]:
    screen, scheme = request.param
    context = browser.new_context(**SCREENS[screen], color_scheme=scheme, locale="en-GB", reduced_motion="reduce")
    tour = Tour(context.new_page(), server, f"{screen}-{scheme}")

    def note(sender: object, template: Template, **_facts: object) -> None:
        tour.shown.add(str(template.name))

    template_rendered.connect(note)
    yield tour
    template_rendered.disconnect(note)
    context.close()


def test_every_page(tour: Tour) -> None:
    visit_the_landing(tour)
    visit_the_states(tour)
    visit_the_comparisons(tour)
    visit_the_onboarding(tour)
    visit_what_goes_wrong(tour)
    visit_the_refusals(tour)
    log_in(tour)
    visit_the_admin(tour)
    visit_the_researcher(tour)
    visit_the_installation(tour)
    assert tour.faults == []
    assert pages() - tour.shown == set(), "the tour leaves these pages out"


if PICTURES:

    @pytest.mark.parametrize("count", [4, 10, 40])
    def test_other_counts(tour: Tour, count: int) -> None:
        tour.begin(draw_study(prompt_count=1, images_per_set=count, annotation={"show_prompt": True}))
        tour.until_votable()
        tour.stop(f"comparison-{count}")
        assert tour.page.locator(".cell img").count() >= 2 * count


def pages() -> set[str]:
    """Return every template that is a whole page, which means that it extends another."""
    root = Path(settings.BASE_DIR) / "templates"
    whole = (file for file in root.rglob("*.html") if "{% extends" in file.read_text())
    return {str(file.relative_to(root)) for file in whole} - NO_PAGES
