"""An annotator at a browser: the same acts by mouse and keys on a laptop and by touch on a phone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from annotation.models import Annotator, Vote
from tests.annotation.voting.open_studies import assert_invariants
from tests.journeys.conftest import LAPTOP, PHONE

SCREENS: dict[str, dict[str, Any]] = {"1440": LAPTOP, "390": PHONE}
KEYS = {"left": "1", "right": "2", "tie": "0"}
WORDS = {
    "1440": {"left": "Left", "right": "Right", "tie": "About the same"},
    "390": {"left": "Upper", "right": "Lower", "tie": "About the same"},
}
ENOUGH_STEPS = 60


@dataclass
class Person:
    """An annotator with one device, which is `context`: its pages are their tabs."""

    server: str
    screen: str
    context: BrowserContext
    page: Page

    @property
    def is_on_a_phone(self) -> bool:
        return bool(SCREENS[self.screen].get("has_touch"))

    def open(self, path: str) -> None:
        self.page.goto(self.server + path)

    def begin(self, annotator: Annotator) -> None:
        """Open the comparisons; the instructions count as read."""
        Annotator.objects.filter(pk=annotator.pk).update(instructions_read_at="2026-01-01T00:00Z")
        self.open(f"/a/{annotator.token}/")

    def act(self, target: Locator) -> None:
        """Tap it or click it."""
        if self.is_on_a_phone:
            target.tap()
        else:
            target.click()

    def button(self, choice: str) -> Locator:
        return self.page.get_by_role("button", name=WORDS[self.screen][choice], exact=True)

    def choose(self, choice: str) -> None:
        """Choose by touch on a phone, by key on a laptop."""
        if self.is_on_a_phone:
            self.button(choice).tap()
        else:
            self.page.keyboard.press(KEYS[choice])

    def until_votable(self, number: int, of: int = 3, *, is_saved: bool = True) -> None:
        until_votable(self.page, number, of, is_saved=is_saved)

    def second_tab(self) -> "Person":
        return Person(self.server, self.screen, self.context, self.context.new_page())

    def expect_heading(self, text: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)
        self.page.wait_for_load_state()  # its script listens for keys by then

    def expect_state(self, text: str) -> None:
        expect(self.page.locator("#state")).to_have_text(text)

    def sources(self) -> list[str]:
        return sources(self.page)


def at_a_screen(browser: Browser, server: str, screen: str, **changes: Any) -> Person:
    """Return an annotator with a new device that has nothing stored."""
    context = browser.new_context(**SCREENS[screen], locale="en-GB", reduced_motion="reduce", **changes)
    return Person(server, screen, context, context.new_page())


def until_votable(page: Page, number: int, of: int = 3, *, is_saved: bool = True) -> None:
    """Wait until comparison `number` can be voted on and, unless told otherwise, every earlier vote is saved."""
    expect(page.locator("#count")).to_have_text(f"{number} of {of}")
    expect(page.locator("footer .choice").first).to_have_attribute("aria-disabled", "false")
    if number > 1 and is_saved:
        expect(page.locator("#state")).to_have_text(re.compile("Saved|Already voted|Undone"))


def sources(page: Page) -> list[str]:
    """Return the addresses of the images, left then right."""
    found: list[str] = page.locator(".cell img").evaluate_all("images => images.map(image => image.currentSrc)")
    return found


def fail_one_image(page: Page) -> list[str]:
    """Abort every request for the first image that is requested; return the address at each try to load it.

    The page asks with HEAD, too, whether the images' storage is away; that is no try.
    """
    failed: list[str] = []

    def fail(route: Route) -> None:
        if not failed or route.request.url == failed[0]:
            if route.request.method == "GET":
                failed.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route("**/i/*", fail)
    return failed


def votes_of(annotator: Annotator) -> list[tuple[str, str]]:
    """Return (prompt, choice) of each vote in the order of receipt."""
    votes = Vote.objects.filter(assignment__annotator=annotator, assignment__kind="main").order_by("received_at")
    return [(vote.assignment.comparison.prompt.text, vote.choice) for vote in votes]


def assert_exactly(annotator: Annotator, *expected: str) -> None:
    """The votes in the database are exactly these, in this order: "left", or "left superseded" for an undone one.

    And every slot of the study is held by a lease or a vote that is there.
    """
    votes = Vote.objects.filter(assignment__annotator=annotator, assignment__kind="main").order_by("received_at")
    found = [vote.choice if vote.state == "standing" else f"{vote.choice} {vote.state}" for vote in votes]
    assert found == list(expected)
    standing = [vote.assignment_id for vote in votes if vote.state == "standing"]
    assert len(set(standing)) == len(standing)
    assert_invariants(annotator.study)


def tab_to(page: Page, target: Locator) -> None:
    """Move the focus to a control with the Tab key, and with the arrow keys in a group of radio buttons."""
    for _step in range(ENOUGH_STEPS):
        if target.evaluate("element => element === document.activeElement"):
            return
        is_in_the_group = target.evaluate("element => !!element.name && element.name === document.activeElement.name")
        page.keyboard.press("ArrowDown" if is_in_the_group else "Tab")
    raise AssertionError(f"the Tab key does not lead to {target}")


def practised(annotator: Annotator) -> Iterator[str]:
    """Yield the consistent side of each practice comparison in turn."""
    for number in count():
        yield annotator.assignments.get(kind="practice", occurrence=number).known_choice
