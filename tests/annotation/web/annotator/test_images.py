"""Addresses of images: opaque, stable, different for each annotator; headers the same for every model."""

import base64
from io import BytesIO
from typing import Literal

import pytest
from django.test import Client, override_settings
from django.utils import timezone
from PIL import Image

from annotation.models import Annotator, Study
from annotation.web.annotator.images import addresses
from generation.models import GeneratedImage
from tests.annotation.web.drawn_studies import DrawnStudy, draw_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def drawn() -> DrawnStudy:
    return draw_study(prompt_count=1, images_per_set=2)


@pytest.fixture
def annotator(drawn: DrawnStudy, client: Client) -> Annotator:
    """An annotator whose page is open in the browser of the test."""
    found = drawn.invite("first")
    client.get(f"/a/{found.token}/")
    return found


def address(annotator: Annotator, image: GeneratedImage, rendition: Literal["grid", "grid2x", "zoom"] = "grid") -> str:
    return f"{addresses(annotator_id=annotator.pk, image_ids=[image.pk])[0]}.{rendition}"


def an_image() -> GeneratedImage:
    image = GeneratedImage.objects.first()
    assert image is not None
    return image


def test_an_address_is_stable_and_differs_by_annotator_image_and_rendition(
    drawn: DrawnStudy, annotator: Annotator
) -> None:
    one, two = GeneratedImage.objects.all()[:2]
    first = address(annotator, one)
    assert address(annotator, one) == first
    others = {
        address(annotator, two),
        address(annotator, one, "zoom"),
        address(drawn.invite("second"), one),
    }
    assert len(others | {first}) == 4
    assert len({len(found) for found in others | {first}}) == 1


def test_an_unknown_rendition_is_not_found(client: Client, annotator: Annotator) -> None:
    good = address(annotator, an_image())
    assert client.get(good.replace(".grid", ".original")).status_code == 404


def test_it_is_served_as_webp_for_good_without_name_or_date(client: Client, annotator: Annotator) -> None:
    answer = client.get(address(annotator, an_image()))
    assert answer["Content-Type"] == "image/webp"
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"
    assert not {"Last-Modified", "ETag", "Content-Disposition", "Set-Cookie"} & set(answer.headers)
    with Image.open(BytesIO(answer.content)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (160, 160))
        assert not picture.getexif()


def test_only_a_token_that_was_made_here_opens(client: Client, annotator: Annotator) -> None:
    good = address(annotator, an_image())
    token = good.removeprefix("/i/").removesuffix(".grid")
    flipped = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    flipped = flipped[:-1] + bytes([flipped[-1] ^ 1])
    for bad in ("x", token[:-1], token + "A", "ä", base64.urlsafe_b64encode(flipped).decode().rstrip("=")):
        assert client.get(f"/i/{bad}.grid").status_code == 404, bad
    with override_settings(SECRET_KEY="another installation's key"):
        assert client.get(good).status_code == 404


def test_a_withdrawn_annotators_addresses_stop_working(client: Client, annotator: Annotator) -> None:
    Annotator.objects.update(state=Annotator.State.WITHDRAWN)
    assert client.get(address(annotator, an_image())).status_code == 404


def test_an_address_opens_only_where_its_annotator_s_page_was_opened(
    client: Client, annotator: Annotator, drawn: DrawnStudy
) -> None:
    good, other, browser = address(annotator, an_image()), drawn.invite("second"), Client()
    assert browser.get(good).status_code == 403
    cookie = browser.get(f"/a/{other.token}/").cookies
    assert {(one["path"], one["httponly"], one["samesite"]) for one in cookie.values() if one.key != "csrftoken"} == {
        ("/i/", True, "Lax")
    }
    assert browser.get(good).status_code == 403
    assert browser.get(address(other, an_image())).status_code == 200
    browser.get(f"/a/{annotator.token}/")
    assert [browser.get(one).status_code for one in (good, address(other, an_image()))] == [200, 200]


def test_addresses_end_with_the_study(client: Client, annotator: Annotator) -> None:
    good = address(annotator, an_image())
    for state, status in (("open", 200), ("paused", 200), ("closing", 404), ("closed", 404)):
        closed_at = timezone.now() if status == 404 else None
        Study.objects.filter(pk=annotator.study_id).update(state=state, closed_at=closed_at)
        assert client.get(good).status_code == status, state


def test_the_address_is_not_accepted_for_writing(client: Client, annotator: Annotator) -> None:
    assert client.post(address(annotator, an_image())).status_code == 405
