"""The explorer on the web: for staff, for unsealed studies only, one page at a time."""

import re
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Study
from annotation.web.researcher.results.comparison_view import votes_bar
from annotation.web.researcher.results.explorer import PER_PAGE
from generation.models import GeneratedImage
from scoring.models import SetScore
from tests.annotation.reports.explorer.test_explorer import row
from tests.annotation.reports.voted_studies import crossed, make_study
from tests.annotation.web.drawn_studies import draw_study
from tests.factories import score_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    """A closed study of drawn images."""
    found = draw_study(prompt_count=3, images_per_set=3, side=32, state="closed").study
    score_all(found)
    return found


def listed(study: Study, query: str = "") -> str:
    return f"{reverse('explorer', args=[study.slug])}{query}"


def image_of(study: Study, side: str = "a", rendition: str = "grid") -> str:
    seed = GeneratedImage.objects.filter(image_set=study.comparisons.get(position=0).image_set_a).earliest("seed").seed
    return reverse("explored-image", args=[study.slug, 1, side, seed, rendition])


def test_only_staff_see_it(study: Study, researcher: Client, outsider: Client) -> None:
    for address in (listed(study), reverse("explored-comparison", args=[study.slug, 1]), image_of(study)):
        assert researcher.get(address).status_code == 200
        assert outsider.get(address).status_code == 404
        assert Client().get(address).status_code == 302


def test_while_sealed_there_is_neither_page_nor_image(study: Study, researcher: Client) -> None:
    Study.objects.update(state="open", closed_at=None)
    for address in (listed(study), reverse("explored-comparison", args=[study.slug, 1])):
        response = researcher.get(address)
        assert response.status_code == 409
        assert "sealed until it closes" in response.content.decode()
        assert "80.00" not in response.content.decode()
    assert researcher.get(image_of(study)).status_code == 404


def test_an_image_is_the_one_of_its_set_and_may_be_kept(study: Study, researcher: Client) -> None:
    response = researcher.get(image_of(study))
    assert response["Content-Type"] == "image/webp"
    assert response["Cache-Control"] == "private, max-age=86400"
    assert researcher.get(image_of(study, "b")).content != response.content
    assert researcher.get(image_of(study, "c")).status_code == 404
    assert researcher.get(image_of(study, rendition="huge")).status_code == 404


def test_an_image_whose_file_is_gone_is_not_found(study: Study, researcher: Client, media_root: Path) -> None:
    for file in (*media_root.rglob("*.png"), *media_root.rglob("*.webp")):
        file.unlink()
    assert researcher.get(image_of(study)).status_code == 404
    assert researcher.get(reverse("explored-comparison", args=[study.slug, 1])).status_code == 200


def test_pages_need_no_inline_style_or_script_and_carry_every_image(study: Study, researcher: Client) -> None:
    for address in (listed(study), reverse("explored-comparison", args=[study.slug, 2])):
        response = researcher.get(address)
        page = response.content.decode()
        for forbidden in ("<style", " style=", "<script>", " onclick"):
            assert forbidden not in page
        assert "'unsafe-inline'" not in response["Content-Security-Policy"]
    assert len(re.findall(r"-grid\.webp\"", page)) == 6
    assert "Comparison 2" in page


def test_a_long_list_is_paged_and_each_step_keeps_the_order(researcher: Client) -> None:
    study = make_study(crossed([[50, 3], [4, 3]], voters=2))
    page = researcher.get(listed(study, "?by=close&page=2")).content.decode()
    assert page.count('<li class="card">') == PER_PAGE
    assert "60 of 60 comparisons" in page
    assert 'href="?by=close&amp;page=3"' in page
    assert f'{reverse("explored-comparison", args=[study.slug, 25])}?by=close"' in page
    last = researcher.get(listed(study, "?page=999")).content.decode()
    assert last.count('<li class="card">') == 60 - 2 * PER_PAGE
    opened = researcher.get(f"{reverse('explored-comparison', args=[study.slug, 25])}?by=position&show=agree")
    assert "25 of 53" in opened.content.decode()
    assert f'rel="next" href="{reverse("explored-comparison", args=[study.slug, 26])}?by=position&amp;show=agree"' in (
        opened.content.decode()
    )


def test_what_is_not_there_is_said(study: Study, researcher: Client) -> None:
    assert "No comparison matches" in researcher.get(listed(study, "?words=nowhere")).content.decode()
    assert researcher.get(listed(study, "?by=nonsense&show=1&page=x")).status_code == 200
    assert researcher.get(reverse("explored-comparison", args=[study.slug, 4])).status_code == 404
    assert researcher.get(reverse("explored-comparison", args=[study.slug, 0])).status_code == 404
    external = make_study(crossed([[2, 0], [0, 0]]))
    page = researcher.get(reverse("explored-comparison", args=[external.slug, 1])).content.decode()
    assert "The images of this set are not here" in page


def test_of_several_metrics_one_is_chosen(study: Study, researcher: Client) -> None:
    for score in SetScore.objects.all():
        SetScore.objects.create(image_set=score.image_set, metric="lpips", value=-score.value, source="imported")
    page = researcher.get(listed(study, "?metric=lpips")).content.decode()
    assert "−80.00" in page
    assert f"{reverse('explored-comparison', args=[study.slug, 1])}?metric=lpips" in page
    unknown = researcher.get(listed(study, "?metric=nothing"))
    assert unknown.status_code == 409
    assert f'href="{listed(study)}?metric=lpips"' in unknown.content.decode()


def test_a_bar_of_votes_fills_its_width() -> None:
    parts = votes_bar(row(1, 1.0, (3, 1, 2), True))
    assert [part.kind for part in parts] == ["a", "tie", "b"]
    assert [part.width for part in parts] == pytest.approx([50, 33.333, 16.667])
    assert parts[-1].at + parts[-1].width == pytest.approx(100)
    assert votes_bar(row(1, 1.0, (0, 0, 0), None)) == ()
