"""Both sets are whole on the screen and equal to the pixel, at every size and count."""

from io import BytesIO
from typing import Any

import pytest
from django.utils import translation
from django.utils.translation import gettext
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from annotation.models import Annotator
from tests.annotation.web.drawn_studies import draw_study
from tests.journeys.conftest import LAPTOP, PHONE
from tests.journeys.people import SCREENS, at_a_screen

pytestmark = pytest.mark.django_db(transaction=True)

LINE = 16  # px, less than the height of any line of the header
SIZES = {
    "laptop": (1440, 900),
    "small laptop": (1280, 640),
    "large screen": (2560, 1440),
    "tablet": (768, 1024),
    "phone": (390, 844),
    "phone on its side": (844, 390),
}
BOXES = """() => [...document.querySelectorAll('.set')].map(set => {
  const cells = [...set.children].map(cell => cell.getBoundingClientRect());
  const box = set.getBoundingClientRect();
  return {top: box.top, left: box.left, bottom: box.bottom, right: box.right, width: cells[0].width,
          height: cells[0].height, columns: cells.filter(cell => cell.top === cells[0].top).length}})"""


WATCH_SHIFTS = """window.shifts = [];
  const told = source => [source.node?.id, source.node?.nodeName, source.previousRect, source.currentRect];
  new PerformanceObserver(list => list.getEntries().forEach(entry =>
    window.shifts.push(entry.sources.map(told)))).observe({type: 'layout-shift', buffered: true})"""


def webp(side: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (side, side), (90, 140, 120)).save(buffer, "WEBP")
    return buffer.getvalue()


def comparison(left: int, right: int) -> dict[str, Any]:
    images = [f"/i/{n}" for n in range(left + right)]
    return {
        "kind": "comparison",
        "assignment": "some",
        "question": "Which set is more consistent?",
        "prompt": None,
        "left": images[:left],
        "right": images[left:],
        "ties": True,
        "minimum_viewing_seconds": 0,
        "progress": {"done": 11, "of": 60},
        "ahead": [],
        "ahead_seconds": 180,
        "undo": None,
    }


def show(page: Page, server: str, annotator: Annotator, next_one: dict[str, Any]) -> None:
    """Open the page with a given answer instead of the server's."""

    def image(route: Route) -> None:
        route.fulfill(body=webp(320 if route.request.url.endswith("2x") else 160), content_type="image/webp")

    page.route("**/next", lambda route: route.fulfill(json=next_one))
    page.route("**/i/*", image)
    page.goto(f"{server}/a/{annotator.token}/")
    expect(page.locator('[data-choice="left"]')).to_have_attribute("aria-disabled", "false")


@pytest.fixture
def annotator() -> Annotator:
    drawn = draw_study(prompt_count=1, images_per_set=2, annotation={"ties": True})
    annotator = drawn.invite("first")
    Annotator.objects.update(instructions_read_at="2026-01-01T00:00Z")
    return annotator


@pytest.mark.parametrize("count", [4, 8, 10, 12, 16, 20, 40])
def test_both_sets_are_whole_and_equal_on_every_screen(
    page: Page, server: str, annotator: Annotator, count: int
) -> None:
    show(page, server, annotator, comparison(count, count))
    for screen, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        left, right = page.evaluate(BOXES)
        header, footer = page.locator("header").bounding_box(), page.locator("footer").bounding_box()
        assert header is not None
        assert footer is not None
        case = f"{count} images on the {screen}: {left} {right} {header} {footer}"
        for box in (left, right):
            assert box["top"] >= header["height"], case
            assert box["bottom"] <= footer["y"], case
            assert box["left"] >= 0, case
            assert box["right"] <= width, case
            assert box["width"] == box["height"], case
        assert (left["width"], left["columns"]) == (right["width"], right["columns"]), case
        assert footer["y"] + footer["height"] <= height, case


def test_the_paper_s_twenty_stand_in_five_columns(browser: Browser, server: str, annotator: Annotator) -> None:
    for screen, smallest in ((LAPTOP, 125), (PHONE, 65)):
        context = browser.new_context(**screen)
        page = context.new_page()
        show(page, server, annotator, comparison(20, 20))
        left, _right = page.evaluate(BOXES)
        assert left["columns"] == 5
        assert left["width"] >= smallest
        context.close()


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_moves_from_the_first_image_to_the_second_comparison(
    browser: Browser, server: str, screen: str
) -> None:
    """Nothing moves while images arrive one after the other, nor over a vote and the changes that it makes."""
    drawn = draw_study(prompt_count=2, images_per_set=4, annotation={"ties": True})
    person = at_a_screen(browser, server, screen)
    page = person.page
    page.add_init_script(WATCH_SHIFTS)

    def late(route: Route) -> None:
        page.wait_for_timeout(30)
        route.continue_()

    page.route("**/i/*", late)
    person.begin(drawn.invite("Ada"))
    for number in (1, 2):
        person.until_votable(number, of=2)
        page.wait_for_timeout(600)  # so long after an act the browser takes a shift for wanted
        assert page.evaluate("window.shifts") == []
        if number == 1:
            person.choose("left")
    person.context.set_offline(True)
    person.choose("right")
    person.expect_state("Offline (1 waiting)")
    page.wait_for_timeout(600)
    assert page.evaluate("window.shifts") == []
    page.locator(".set").first.evaluate("set => set.style.paddingTop = '40px'")
    page.wait_for_function("() => window.shifts.length > 0")  # a shift is seen where there is one
    person.context.close()


@pytest.mark.parametrize("language", ["en", "de"])
def test_an_attention_check_has_the_layout_of_any_comparison(browser: Browser, server: str, language: str) -> None:
    long = "Please read this with care, since it is what this one asks of you, and of nobody else: choose {side}."
    texts = {"language": language} | ({"instructed": long} if language == "en" else {})
    drawn = draw_study(prompt_count=2, images_per_set=2, texts=texts, quality={"instructed": 1, "first_check_after": 1})
    annotator = drawn.invite("first")
    Annotator.objects.update(instructions_read_at="2026-01-01T00:00Z")
    page = browser.new_context(**PHONE).new_page()
    with translation.override(language):
        instructed = gettext(drawn.manifest.texts.instructed)
    layouts: dict[str, list[Any]] = {}
    for side in ("", "left", "right"):
        question = instructed.replace("{side}", f"{{{side}}}") if side else "Which?"
        page.unroute_all()
        show(page, server, annotator, comparison(20, 20) | {"question": question})
        for screen, (width, height) in (SIZES | {"small phone": (320, 568)}).items():
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            layouts.setdefault(screen, []).append(page.evaluate(BOXES))
            heading = page.locator("h1").evaluate("h1 => [h1.scrollHeight, h1.parentElement.clientHeight]")
            assert heading[0] <= heading[1], f"all of it is seen on the {screen}"
    for screen, boxes in layouts.items():
        assert boxes[0] == boxes[1] == boxes[2], screen
    page.context.close()


def test_nothing_is_animated(page: Page, server: str, annotator: Annotator) -> None:
    page.emulate_media(reduced_motion="no-preference")
    show(page, server, annotator, comparison(4, 4))
    page.locator(".cell").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0


def test_more_than_forty_scroll_together(page: Page, server: str, annotator: Annotator) -> None:
    show(page, server, annotator, comparison(150, 150))
    left, right = page.evaluate(BOXES)
    assert left["width"] >= 72
    assert left["top"] == right["top"]
    main = page.locator("main")
    assert main.evaluate("main => main.scrollHeight > main.clientHeight")
    expect(page.locator("footer")).to_be_in_viewport()


def test_it_follows_the_window(page: Page, server: str, annotator: Annotator) -> None:
    show(page, server, annotator, comparison(20, 20))
    expect(page.get_by_role("button", name="Left", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_role("button", name="Upper", exact=True)).to_be_visible()
    expect(page.get_by_role("group", name="Upper set, 20 images")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "de"])
def test_undo_takes_no_line_of_the_header_for_itself(browser: Browser, server: str, language: str) -> None:
    drawn = draw_study(prompt_count=1, images_per_set=2, texts={"language": language})
    annotator = drawn.invite("first")
    Annotator.objects.update(instructions_read_at="2026-01-01T00:00Z")
    context = browser.new_context(**PHONE)
    page = context.new_page()
    show(page, server, annotator, comparison(4, 4))
    for width in (320, 360, 375, 390, 414):
        page.set_viewport_size({"width": width, "height": 667})
        with_undo, without = page.evaluate(
            """() => ["", "none"].map((display) => {
                document.getElementById("undo").style.display = display;
                return document.querySelector("header").getBoundingClientRect().height;
            })"""
        )
        assert with_undo - without < LINE, f"{width}: {with_undo} instead of {without}"
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert page.evaluate("document.documentElement.lang") == language
    context.close()
