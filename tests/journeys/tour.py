"""What a tour of pages does on each: run axe (WCAG 2.2 AA), or take a picture."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from annotation.models import Annotator
from tests.annotation.web.drawn_studies import DrawnStudy
from tests.journeys.conftest import WCAG
from tests.journeys.screenshots import FOLDER

PICTURES = Path(os.environ[FOLDER]) if FOLDER in os.environ else None
PER_SET = 20 if PICTURES else 4
# The page, and every table but those of reports and documents, which have no other form on a phone.
TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll(".scroll:not(:has(caption), .document *)")]
    .filter((one) => one.scrollWidth > one.clientWidth + 1)
    .map((one) => one.getAttribute("aria-label") ?? "the page")"""

# Images that were answered, but not with a picture.
BROKEN = """() => [...document.images].filter((one) => one.complete && one.currentSrc && !one.naturalWidth)
    .map((one) => one.currentSrc)"""


@dataclass
class Tour:
    """A browser on the tour, the violations that axe found, and the templates that were rendered."""

    page: Page
    server: str
    look: str
    faults: list[str] = field(default_factory=list)
    shown: set[str] = field(default_factory=set)

    def go(self, path: str) -> None:
        self.page.goto(self.server + path)

    def stop(self, name: str, *, ours: str | None = None) -> None:
        """Find what is wider than the screen and images that are none; take a picture, or run axe on what is ours."""
        if too_wide := self.page.evaluate(TOO_WIDE) if ours is None else []:
            self.faults.append(f"{name}: wider than the screen: {too_wide}")
        if broken := self.page.evaluate(BROKEN):
            self.faults.append(f"{name}: no pictures: {broken}")
        if PICTURES:
            self.page.wait_for_load_state("networkidle")
            self.page.screenshot(path=PICTURES / f"{name}-{self.look}.png", full_page=True)
            return
        found = Axe().run(self.page, context=ours, options=WCAG)
        if found.violations_count:
            self.faults.append(f"{name}: {found.generate_report()}")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).click()

    def until_votable(self) -> None:
        expect(self.page.locator("footer .choice").first).to_have_attribute("aria-disabled", "false")

    def begin(self, drawn: DrawnStudy, label: str = "Ada") -> Annotator:
        """Open the comparisons; the instructions count as read."""
        annotator = drawn.invite(label)
        Annotator.objects.filter(pk=annotator.pk).update(instructions_read_at=timezone.now())
        self.go(f"/a/{annotator.token}/")
        return annotator
