"""A researcher uploads images in the browser, goes on after the network was gone, and sees what was left out."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from annotation import tasks
from annotation.studies.uploads import receiving
from generation.models import ImageSet
from tests.annotation.studies.uploads.test_importing import images, zipped
from tests.factories import make_researcher, make_study

pytestmark = pytest.mark.django_db(transaction=True)


def login(page: Page, server: str) -> None:
    make_researcher("a long password")
    page.goto(f"{server}/studies/")
    page.get_by_label("Username").fill("researcher")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("main").get_by_role("button", name="Log in").click()


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "PIECE_BYTES", 500)


def test_images_from_a_zip_in_pieces(
    page: Page, server: str, accessible: Callable[[Page], None], tmp_path: Path, small_pieces: None
) -> None:
    login(page, server)
    make_study(state="draft", comparisons=2)
    page.goto(f"{server}/studies/study/")
    page.get_by_role("link", name="Files").click()
    accessible(page)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#upload-status")).to_have_text("Choose a file first.")

    archive = tmp_path / "images.zip"
    archive.write_bytes(zipped(images(models=("Alpha", "Beta", "Gamma")))["images.zip"])
    page.locator("#zip").set_input_files(archive)
    sent: list[str] = []

    def refuse_third(route: Route) -> None:
        sent.append(route.request.url)
        if len(sent) == 3:
            route.fulfill(status=409, json={"detail": "The network was gone."})
        else:
            route.continue_()

    page.route("**/pieces/**", refuse_third)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#upload-status")).to_have_text("The network was gone.")
    expect(page.locator(".uploads > li")).to_contain_text("1000 bytes of")
    accessible(page)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#upload-status")).to_contain_text("waits for its import")
    assert sent[3].endswith("/pieces/0/2"), "it goes on at the first piece that is missing"
    tasks.import_upload()
    expect(page.locator(".uploads > li")).to_contain_text("4 sets with 8 images imported.")
    page.locator(".uploads summary").click()
    expect(page.locator(".uploads li li").first).to_contain_text("Gamma")
    accessible(page)
    assert ImageSet.objects.count() == 4
    page.get_by_role("button", name="Remove from this list: images.zip").click()
    expect(page.locator("#no-uploads")).to_be_visible()


def test_the_hash_without_the_browsers_own(page: Page, server: str) -> None:
    page.goto(server)
    for size in (0, 1, 55, 56, 63, 64, 65, 1000):
        content = bytes(number * 7 % 256 for number in range(size))
        script = "async (bytes) => (await import('/static/researcher/sha256.js')).computed(new Uint8Array(bytes))"
        assert page.evaluate(script, list(content)) == hashlib.sha256(content).hexdigest()
