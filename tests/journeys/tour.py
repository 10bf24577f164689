"""The tour that `tests.journeys.screenshots` takes; its name keeps it out of the test run."""

import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from annotation.models import Annotator, Study
from annotation.voting.annotators import invite
from tests.annotation.web.scenes import Scene, draw_study
from tests.annotation.web.test_frame import FRAME, PLATFORM, TEXTS
from tests.factories import make_researcher
from tests.journeys.conftest import LAPTOP, PHONE
from tests.journeys.screenshots import FOLDER

pytestmark = pytest.mark.django_db(transaction=True)
SCREENS = {"1440": LAPTOP, "390": PHONE}
Shot = Callable[[str], None]


@pytest.fixture(params=list(product(SCREENS, ("light", "dark"))), ids="-".join)
def context(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    screen, scheme = request.param
    context = browser.new_context(**SCREENS[screen], color_scheme=scheme)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def shot(page: Page, request: pytest.FixtureRequest) -> Shot:
    looks = request.node.callspec.id.split("-chromium")[0]

    def take(name: str) -> None:
        page.screenshot(path=Path(os.environ[FOLDER]) / f"{name}-{looks}.png", full_page=True)

    return take


@pytest.fixture
def scene() -> Scene:
    return draw_study(prompt_count=3, images_per_set=20, annotation={"ties": True})


def begun(scene: Scene) -> str:
    annotator = scene.invite("Ada")
    Annotator.objects.filter(pk=annotator.pk).update(instructions_read_at=timezone.now())
    return f"/a/{annotator.token}/"


def votable(page: Page) -> None:
    expect(page.locator("footer .choice").first).to_have_attribute("aria-disabled", "false")


def test_comparisons(page: Page, server: str, scene: Scene, shot: Shot) -> None:
    page.goto(server + begun(scene))
    votable(page)
    shot("comparison")
    page.locator(".cell").nth(2).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    shot("comparison-zoom")
    page.keyboard.press("Escape")
    shot("comparison-focus")
    page.route("**/votes", lambda route: route.abort())
    page.keyboard.press("1")
    expect(page.locator("#state")).to_have_text("Offline (1 waiting)")
    shot("comparison-offline")


def test_a_failed_image(page: Page, server: str, scene: Scene, shot: Shot) -> None:
    failed: list[str] = []

    def fail_one(route: Route) -> None:
        failed.append(route.request.url)
        route.abort() if route.request.url == failed[0] else route.continue_()

    page.route("**/i/*", fail_one)
    page.goto(server + begun(scene))
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    shot("comparison-failed")


@pytest.mark.parametrize("count", [4, 10, 40])
def test_other_counts(page: Page, server: str, shot: Shot, count: int) -> None:
    scene = draw_study(prompt_count=1, images_per_set=count, annotation={"show_prompt": True})
    page.goto(server + begun(scene))
    votable(page)
    shot(f"comparison-{count}")


def test_waiting(page: Page, server: str, shot: Shot) -> None:
    scene = draw_study(prompt_count=1, images_per_set=2, annotation={"overlap": 1})
    other = page.context.new_page()
    other.goto(server + begun(scene))
    votable(other)
    page.goto(server + begun(scene))
    expect(page.get_by_role("alert")).to_be_visible()
    shot("wait")


def test_words(page: Page, server: str, scene: Scene, shot: Shot) -> None:
    page.goto(f"{server}/")
    shot("landing")
    page.goto(f"{server}/resume/")
    page.get_by_label("Resume code").fill("WRONG")
    page.get_by_role("button", name="Go to my place").click()
    shot("resume")
    page.goto(f"{server}/join/{scene.study.open_link_token}/")
    shot("join")
    page.get_by_role("button", name="Start").click()
    shot("instructions")
    place = page.url
    for state in (Study.State.PAUSED, Study.State.READY, Study.State.CLOSED):
        closed_at = timezone.now() if state == Study.State.CLOSED else None
        Study.objects.update(state=state, closed_at=closed_at)
        page.goto(place)
        shot(f"state-{state}")
    Annotator.objects.update(state=Annotator.State.FINISHED)
    page.goto(place)
    shot("end")
    page.goto(f"{server}/a/wrong/")
    shot("404")


def test_frame(page: Page, server: str, shot: Shot) -> None:
    scene = draw_study(prompt_count=3, images_per_set=20, frame=FRAME, platform=PLATFORM, texts=TEXTS)
    page.goto(f"{server}/join/{scene.study.open_link_token}/")
    shot("frame-no-id")
    page.goto(f"{server}/join/{scene.study.open_link_token}/?PROLIFIC_PID=p1")
    page.get_by_role("button", name="Start").click()
    shot("frame-welcome")
    page.get_by_role("button", name="I agree and take part").click()
    page.get_by_role("button", name="Continue").click()
    shot("frame-questions")
    page.get_by_label("How old are you?").fill("34")
    page.get_by_role("button", name="Continue").click()
    shot("frame-instructions")
    page.get_by_role("button", name="Continue").click()
    for _number in range(2):
        votable(page)
        shot("frame-practice")
        page.keyboard.press("1")
        page.get_by_role("link", name="Go on").wait_for()
        shot("frame-feedback")
        page.get_by_role("link", name="Go on").click()
    shot("frame-check")
    Annotator.objects.update(check_passed_at=timezone.now(), state=Annotator.State.FINISHED)
    page.reload()
    shot("frame-comment")
    page.get_by_role("button", name="Continue").click()
    shot("frame-end")
    page.get_by_role("link", name="Withdraw").click()
    shot("frame-withdraw")
    page.get_by_role("button", name="Delete my votes").click()
    shot("frame-withdrawn")


def test_researcher(page: Page, server: str, shot: Shot) -> None:
    make_researcher("a long password")
    page.goto(f"{server}/studies/")
    shot("login")
    page.get_by_label("Username").fill("researcher")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.wait_for_url("**/studies/")
    shot("studies-empty")
    scene = draw_study(images_per_set=2, notice="The two models of this study are drawings, not diffusion models.")
    for label in ("Ada", "Grace", "Katherine"):
        scene.invite(label)
    invite(study=scene.study, label="robot", kind=Annotator.Kind.SIMULATED)
    page.goto(f"{server}/studies/")
    shot("studies")
    page.goto(server + scene.study.get_absolute_url())
    shot("study")
    page.goto(f"{server}{scene.study.get_absolute_url()}do/close/")
    shot("study-close")
    for path, name in (("password/change", "password"), ("2fa", "2fa"), ("logout", "logout")):
        page.goto(f"{server}/accounts/{path}/")
        shot(name)
