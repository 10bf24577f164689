"""A whole session in Firefox and in WebKit with its votes compared, and a report's figures on a dark page."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from annotation.models import Annotator, Study
from tests.annotation.reports.voted_studies import crossed, make_study
from tests.annotation.web.drawn_studies import draw_study
from tests.factories import make_researcher
from tests.journeys.other_browsers import PATIENCE_SECONDS, firefox, webkit
from tests.journeys.people import assert_exactly

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings(
        "ignore:setting remote_server_addr:DeprecationWarning"
    ),  # Selenium's own driver of WebKit
]


CHOOSABLE = """return document.readyState === "complete"
  && document.querySelector("#count")?.textContent === arguments[0]
  && document.querySelector("[data-choice]").getAttribute("aria-disabled") === "false" """
AT_THE_END = "return document.readyState === 'complete' && !!document.querySelector('form#undo')"
# The box of the first figure, once it is loaded.
FIGURE = """const img = document.querySelector(".chapter > figure img");
  if (!img?.complete || !img.naturalWidth) return null;
  img.scrollIntoView({block: "center"});
  const {left, top, width, height} = img.getBoundingClientRect();
  return [left, top, left + width, top + height].map((edge) => edge * devicePixelRatio)"""


def until(driver: WebDriver, script: str, *given: object) -> Any:
    """Wait until the script returns a true value, and return it."""
    return WebDriverWait(driver, PATIENCE_SECONDS).until(lambda _: driver.execute_script(script, *given))


def press(driver: WebDriver, keys: str) -> None:
    ActionChains(driver).send_keys(keys).perform()


def is_sideways(driver: WebDriver, selector: str) -> bool:
    script = "const e = document.querySelector(arguments[0]); e.scrollLeft = 50; return e.scrollLeft > 0"
    return bool(driver.execute_script(script, selector))


def walk(driver: WebDriver, server: str, annotator: Annotator) -> None:
    """Vote left, right, look at a large image, vote about the same, go Back on the end page, vote right instead."""
    driver.get(f"{server}/a/{annotator.token}/")
    until(driver, CHOOSABLE, "1 of 3")
    press(driver, "1")
    until(driver, CHOOSABLE, "2 of 3")
    press(driver, "2")
    until(driver, CHOOSABLE, "3 of 3")
    look_closely(driver)
    press(driver, "0")
    until(driver, AT_THE_END)
    driver.back()
    until(driver, CHOOSABLE, "3 of 3")
    press(driver, "2")
    until(driver, AT_THE_END)
    assert_exactly(annotator, "left", "right", "tie superseded", "right")


def look_closely(driver: WebDriver) -> None:
    """Check that the large view fits its window and that its keys work wherever the focus is."""
    driver.find_element("css selector", ".cell").click()
    until(driver, "return document.querySelector('#zoom').open")
    assert not is_sideways(driver, "#zoom")
    driver.execute_script("document.activeElement.blur()")
    first = driver.execute_script("return document.querySelector('#zoom h2').textContent")
    press(driver, "\ue014")  # the right arrow
    until(driver, "return document.querySelector('#zoom h2').textContent !== arguments[0]", first)
    press(driver, "\ue00c")  # Escape
    until(driver, "return !document.querySelector('#zoom').open")


def assert_figures_are_readable_in_the_dark(driver: WebDriver, server: str, study: Study) -> None:
    client = Client()
    client.force_login(make_researcher("a long password"))
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    driver.get(f"{server}/accounts/login/")
    driver.execute_script("document.cookie = arguments[0]", f"{settings.SESSION_COOKIE_NAME}={session}; path=/")
    driver.get(f"{server}/studies/{study.slug}/report/")
    assert driver.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")
    assert_readable(driver, until(driver, FIGURE))
    driver.get(f"{server}/studies/{study.slug}/report/claim.svg")  # by itself
    assert_readable(driver, [0, 0, 400, 200])


def assert_readable(driver: WebDriver, box: list[float]) -> None:
    picture = Image.open(BytesIO(driver.get_screenshot_as_png())).convert("L")
    grey = picture.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3]))).histogram()
    assert any(grey[:60]), "the page is dark"
    assert any(grey[200:]), "and the words of the figure are not"


@pytest.mark.usefixtures("report_worker")
@pytest.mark.parametrize("start", [firefox, webkit])
def test_a_whole_walk_and_a_report_in_the_dark(
    server: str, start: Callable[[], AbstractContextManager[WebDriver]]
) -> None:
    drawn = draw_study(prompt_count=3, images_per_set=4, annotation={"ties": True})
    annotator = drawn.invite("Ada")
    Annotator.objects.update(instructions_read_at="2026-01-01T00:00Z")
    report = make_study(crossed([[6, 1], [1, 4]]))
    with start() as driver:
        walk(driver, server, annotator)
        assert_figures_are_readable_in_the_dark(driver, server, report)
