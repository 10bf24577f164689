"""Nothing that an annotator's browser receives reveals which model made an image, except pixels and byte lengths.

A test collects and searches everything that a whole session receives. Other tests plant a leak of each kind, to show
that the search finds it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image, ImageCms
from playwright.sync_api import Page, Route, expect

from annotation.models import Annotator, Assignment
from annotation.voting.allocation import Presentation
from annotation.voting.checks.known_order import KnownPair, seeded_pair
from annotation.web.annotator.images import _decrypted, addresses
from annotation.web.api.voting import image_tokens
from generation.models import GeneratedImage, ImageSet
from tests.annotation.web import drawn_studies
from tests.annotation.web.annotator.test_onboarding import FRAME, PLATFORM, TEXTS
from tests.annotation.web.drawn_studies import TIDY, UNTIDY, DrawnStudy, draw_study
from tests.object_storage import ObjectStorage

pytestmark = pytest.mark.django_db(transaction=True)

# Headers that differ between any two answers, for every model.
OF_EVERY_ANSWER = {"date", "x-request-id", "content-length"}
FETCH_EVERY_SIZE = """() => Promise.all([...document.querySelectorAll('.cell')]
    .flatMap(cell => ['grid', 'grid2x', 'zoom'].map(size => fetch(`${cell.image}.${size}`))))"""
# Every image of two practice comparisons and two others, in three sizes.
LEAST_IMAGES = 4 * 2 * 3 * 3
METADATA = ("exif", "icc_profile", "xmp", "comment")


@dataclass(frozen=True)
class Received:
    """One answer as the browser received it."""

    url: str
    headers: dict[str, str]
    body: bytes


def _is_image(answer: Received) -> bool:
    return answer.headers.get("content-type", "").startswith("image/webp")


def _is_page(answer: Received) -> bool:
    return answer.headers.get("content-type", "").startswith(("text/html", "application/json"))


def as_a_camera_saves(image: Image.Image) -> Image.Image:
    """Return the same image in another format, with all metadata that could name its model."""
    exif, file = Image.Exif(), BytesIO()
    exif[0x0131] = UNTIDY  # the tag "Software"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(file, "JPEG", exif=exif, comment=UNTIDY.encode(), icc_profile=profile)
    return Image.open(file)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> DrawnStudy:
    """Create a study in which one model's images have metadata, as photographs do."""
    draw = drawn_studies.picture

    def picture(prompt: str, seed: int, disorder: float, side: int) -> Image.Image:
        drawn = draw(prompt, seed, disorder, side)
        return as_a_camera_saves(drawn) if disorder > 0.5 else drawn

    monkeypatch.setattr(drawn_studies, "picture", picture)
    return draw_study(prompt_count=3, images_per_set=3, frame=FRAME, platform=PLATFORM, texts=TEXTS)


def session(page: Page, server: str, drawn: DrawnStudy) -> list[Received]:
    """Return everything that a whole session receives, from the platform's link to the page of withdrawal.

    It has every page of onboarding and debriefing, every image in every size, a vote undone, and an image reported.
    """
    received: list[Received] = []

    def collect(route: Route) -> None:
        answer = route.fetch(max_redirects=0)
        received.append(Received(answer.url, answer.headers, answer.body()))
        route.fulfill(response=answer)

    page.route("**/*", collect)
    page.goto(f"{server}/join/{drawn.study.open_link_token}/?PROLIFIC_PID=p1")
    page.get_by_role("button", name="I agree and take part").click()
    expect(page.get_by_label("How old are you?")).to_be_visible()
    Annotator.objects.update(seed=20240412)  # the orders are drawn from it
    come_to_the_comparisons(page)
    vote_on_everything(page)
    page.goto(f"{server}/a/{Annotator.objects.get().token}/withdraw/")
    page.wait_for_load_state("networkidle")
    page.unroute_all(behavior="wait")
    return received


def come_to_the_comparisons(page: Page) -> None:
    """Go through questions, worked examples, practice with its feedback, and the check."""
    page.get_by_label("How old are you?").fill("34")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Worked examples")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    for _number in range(2):
        until_votable(page)
        page.evaluate(FETCH_EVERY_SIZE)
        page.keyboard.press("1")
        page.get_by_role("link", name="Continue").click()
    for answer in ("likeness", "sets"):
        page.get_by_label(answer).check()
    page.get_by_role("button", name="Check my answers").click()


def vote_on_everything(page: Page) -> None:
    """Vote, undo and vote again; report an image; go through a break, the comment and the end."""
    until_votable(page)
    page.evaluate(FETCH_EVERY_SIZE)
    page.keyboard.press("1")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.keyboard.press("u")
    expect(page.locator("#state")).to_have_text("Undone")
    until_votable(page)
    page.keyboard.press("2")
    expect(page.locator("#count")).to_have_text("2 of 3")
    until_votable(page)
    first = page.locator(".cell img").first
    reported = first.get_attribute("src") or ""
    page.locator(".cell").first.click()
    page.get_by_role("button", name="Report this image").click()
    page.get_by_role("button", name="Report it and continue").click()
    expect(first).not_to_have_attribute("src", reported)  # until then the buttons belong to the reported comparison
    until_votable(page)
    page.evaluate(FETCH_EVERY_SIZE)
    page.keyboard.press("1")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("link", name="Back to the platform")).to_be_visible()


def until_votable(page: Page) -> None:
    expect(page.locator("footer .choice").first).to_have_attribute("aria-disabled", "false")


def traces(received: list[Received]) -> set[str]:
    """Return what reveals a model, one word for each kind of leak."""
    places = (_named, _in_headers, _in_files, _in_shapes, _in_lengths)
    return {*_in_order(), *(word for place in places for word in place(received))}


def _secrets() -> set[str]:
    """Return everything that belongs to one model only: names, set ids, paths, hashes, seeds."""
    sets = {str(uid) for uid in ImageSet.objects.values_list("uid", flat=True)}
    rows = GeneratedImage.objects.values_list("path", "sha256", "seed")
    images = {str(value) for row in rows for value in row}
    return {TIDY, UNTIDY, *sets, *(uid.replace("-", "") for uid in sets), *images}


def _named(received: list[Received]) -> Iterator[str]:
    for one in received:
        told = {"address": unquote(one.url), "header": repr(one.headers)}
        if _is_page(one):
            told["text"] = one.body.decode()
        if _is_image(one):
            told["file"] = one.body.decode("latin-1")
        for place, text in told.items():
            if any(secret.lower() in text.lower() for secret in _secrets()):
                yield place
        # Tokens are 128 bits and more; a short number in a path or an object would be a database id.
        if _is_page(one) and re.search(r'"(id|pk|model|seed|uid|path|name)"\s*:', one.body.decode()):
            yield "key"


def _in_headers(received: list[Received]) -> Iterator[str]:
    """Find headers that are not the same for every image."""
    pictures = [one.headers for one in received if _is_image(one)]
    headers = [{name: text for name, text in one.items() if name not in OF_EVERY_ANSWER} for one in pictures]
    assert len(headers) >= LEAST_IMAGES
    if any(one != headers[0] for one in headers):
        yield "headers differ"
    if {"last-modified", "etag", "content-disposition", "set-cookie"} & set().union(*headers):
        yield "header"


def _in_files(received: list[Received]) -> Iterator[str]:
    for one in received:
        if _is_image(one):
            with Image.open(BytesIO(one.body)) as picture:
                if picture.getexif() or any(picture.info.get(name) for name in METADATA):
                    yield "metadata"


def _in_shapes(received: list[Received]) -> Iterator[str]:
    """Find images of one rendition with different sizes."""
    sizes: dict[str, set[tuple[int, int]]] = {}
    for one in received:
        if _is_image(one):
            with Image.open(BytesIO(one.body)) as picture:
                sizes.setdefault(one.url.rpartition(".")[2], set()).add(picture.size)
    if any(len(found) > 1 for found in sizes.values()):
        yield "shape"


def _in_lengths(received: list[Received]) -> Iterator[str]:
    """Find addresses of one rendition with different lengths."""
    urls = {one.url for one in received if _is_image(one)}
    for size in ("grid", "grid2x", "zoom"):
        if len({len(url) for url in urls if url.endswith(f".{size}")}) > 1:
            yield "address lengths"


def _in_order() -> Iterator[str]:
    """Find images in the order of their seeds, on both sides of every comparison, or of every practice comparison."""
    seed_of = dict(GeneratedImage.objects.values_list("pk", "seed"))
    for kind in ("main", "practice"):
        shown = [
            ([seed_of[pk] for pk in one.left_images], [seed_of[pk] for pk in one.right_images])
            for one in Assignment.objects.filter(kind=kind)
        ]
        if all(left == sorted(left) and right == sorted(right) for left, right in shown):
            yield "order"


def test_a_session_holds_no_trace_of_a_model(page: Page, server: str, drawn: DrawnStudy) -> None:
    received = session(page, server, drawn)
    assert traces(received) == set()
    assert any(one.url.endswith("/next") and b"comparison" in one.body for one in received), (
        "the API's answers were seen"
    )


def test_a_session_with_images_in_an_object_storage_holds_no_trace_of_a_model(
    page: Page, server: str, s3: ObjectStorage, request: pytest.FixtureRequest
) -> None:
    received = session(page, server, request.getfixturevalue("drawn"))
    assert traces(received) == set()
    assert any("image_sets" in key for key in s3.stored_keys())
    # No key, no address of the storage, and none of its headers.
    storage = {s3.url, s3.bucket, "x-amz", "amz-", "werkzeug", *(key.rpartition("/")[2] for key in s3.stored_keys())}
    for one in received:
        text = f"{one.url} {one.headers}{one.body.decode() if _is_page(one) else ''}".lower()
        assert not [trace for trace in storage if trace.lower() in text]
    assert all(one.url.startswith(server) for one in received)


@pytest.mark.parametrize("pages", ["api.voting", "annotator.onboarding"])
def test_a_leak_in_the_addresses_is_found(
    page: Page, server: str, drawn: DrawnStudy, monkeypatch: pytest.MonkeyPatch, pages: str
) -> None:
    def leaking(*, annotator_id: int, image_ids: Sequence[int]) -> list[str]:
        seeds = dict(GeneratedImage.objects.filter(pk__in=image_ids).values_list("pk", "seed"))
        found = addresses(annotator_id=annotator_id, image_ids=image_ids)
        return [f"{start}~{seeds[pk]}" for start, pk in zip(found, image_ids, strict=True)]

    monkeypatch.setattr(f"annotation.web.{pages}.addresses", leaking)
    monkeypatch.setattr("annotation.web.annotator.images._decrypted", lambda token: _decrypted(token.partition("~")[0]))
    # The API caches encrypted tokens; no cached value may leave or enter this test.
    monkeypatch.setattr("annotation.web.api.voting.image_tokens", lru_cache(image_tokens.__wrapped__))
    assert {"address", "text", "address lengths"} >= traces(session(page, server, drawn)) >= {"address", "text"}


def test_a_leak_in_the_order_is_found(
    page: Page, server: str, drawn: DrawnStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_order(*, seed: int, index: int, left: str, images_a: list[int], images_b: list[int]) -> Presentation:
        return Presentation("a", sorted(images_a), sorted(images_b))

    monkeypatch.setattr("annotation.voting.search.present", in_order)
    assert traces(session(page, server, drawn)) == {"order"}


def test_a_leak_in_the_order_of_practice_is_found(
    page: Page, server: str, drawn: DrawnStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_order(**arguments: Any) -> KnownPair:
        pair = seeded_pair(**arguments)
        seed_of = dict(GeneratedImage.objects.values_list("pk", "seed"))
        left, right = (sorted(side, key=seed_of.__getitem__) for side in (pair.left_images, pair.right_images))
        return replace(pair, left_images=left, right_images=right)

    monkeypatch.setattr("annotation.voting.practice.seeded_pair", in_order)
    assert traces(session(page, server, drawn)) == {"order"}


def test_leaks_in_headers_texts_and_files_are_found(page: Page, server: str, drawn: DrawnStudy) -> None:
    received = session(page, server, drawn)
    picture, text = (next(one for one in received if kind(one)) for kind in (_is_image, _is_page))
    uid, date = ImageSet.objects.values_list("uid", flat=True)[0], "Mon, 23 Nov 2026 05:00:00 GMT"
    tagged, wide, exif = BytesIO(), BytesIO(), Image.Exif()
    Image.new("RGB", (320, 213)).save(wide, "WEBP")
    exif[0x0131] = TIDY  # the tag "Software"
    Image.open(BytesIO(picture.body)).save(tagged, "WEBP", exif=exif)
    planted = {
        "header": replace(picture, headers={**picture.headers, "content-disposition": f"inline; filename={uid}.webp"}),
        "headers differ": replace(picture, headers={**picture.headers, "last-modified": date}),
        "text": replace(text, body=text.body + f"<!-- {UNTIDY} -->".encode()),
        "key": replace(text, body=text.body + b'{"seed": 7}'),
        "metadata": replace(picture, body=tagged.getvalue()),
        "file": replace(picture, body=picture.body + str(uid).encode()),
        "shape": replace(picture, url=picture.url.rpartition(".")[0] + ".zoom", body=wide.getvalue()),
    }
    for place, leak in planted.items():
        assert place in traces([*received, leak]), place
