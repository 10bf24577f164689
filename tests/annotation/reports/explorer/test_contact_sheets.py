"""The one file: whole without any outside address, small enough, with the comparisons that tell most."""

import base64
import io
import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils.safestring import SafeString
from PIL import Image

from annotation.models import Study
from annotation.reports.explorer import contact_sheets as sheets_module
from annotation.reports.explorer.contact_sheets import (
    LEAST_BYTES,
    MOST_BYTES,
    MOST_IMAGES,
    ContactSheets,
    contact_sheets,
)
from annotation.reports.explorer.orders import MOST_TELLING
from annotation.reports.formats import html as html_module
from annotation.reports.formats.document import to_json
from annotation.reports.formats.html import MOST_BYTES as MOST_FILE_BYTES
from annotation.reports.formats.html import MOST_LETTERS, MOST_ROWS, ROWS_ON_PAGE, page_context, to_html
from annotation.reports.report_jobs.downloads import report_text
from generation.pictures.files import media_path
from tests.annotation.reports.voted_studies import crossed, make_study, report_of
from tests.annotation.web.drawn_studies import draw_study
from tests.factories import put_in_state, score_all

pytestmark = pytest.mark.django_db


def sheets_of(study: Study, *, room: int = MOST_FILE_BYTES) -> ContactSheets:
    return contact_sheets(study, report_of(study), room=room)


@pytest.fixture
def study() -> Study:
    """Three voted comparisons of drawn pictures, six a set."""
    found = draw_study(prompt_count=3, images_per_set=6, side=48, state="ready").study
    score_all(found)
    put_in_state(found, "open")
    call_command("simulate_votes", found.slug, annotators=3, seed=1, stdout=io.StringIO())
    put_in_state(found, "closed")
    return found


def picture(address: str) -> Image.Image:
    head, _, data = address.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_each_telling_comparison_has_both_sets_whole(study: Study) -> None:
    found = sheets_of(study).comparisons
    assert len(found) == 3
    for one in found:
        assert [sheet.model for sheet in one.sheets] == ["A", "B"]
        for sheet in one.sheets:
            assert sheet.words.startswith("6 images of ")
            image = picture(sheet.address)
            assert image.size == (sheet.width, sheet.height) == (3 * 98 - 2, 2 * 98 - 2)
    first, second = (sheet.address for sheet in found[0].sheets)
    assert first != second


def test_the_file_asks_for_nothing_from_outside(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    call_command("report", study.slug, format="html", out=out, stdout=io.StringIO())
    text = out.read_text(encoding="utf-8")
    assert text.count('<figure class="contact-sheets">') == 3
    for attribute in ("src", "srcset", "href", "action", "data"):
        for value in re.findall(rf'\b{attribute}="([^"]*)"', text):
            assert value.startswith(("data:image/webp;base64,", "#")), value
    assert "<link" not in text
    assert "<script" not in text
    assert not re.search(r"@import|url\((?!#|\"data:font/)", text)


def test_a_file_that_is_gone_is_counted_and_an_external_study_has_no_sheets(study: Study) -> None:
    image = study.comparisons.get(position=0).image_set_a.images.earliest("seed")
    media_path(image.path).unlink()
    for rendition in media_path("renditions").rglob(f"{Path(image.path).stem}-*"):
        if rendition.parent.name == Path(image.path).parent.name:
            rendition.unlink()
    words = [sheet.words for one in sheets_of(study).comparisons for sheet in one.sheets]
    assert sorted(words)[0] == "5 of 6 images of A, by seed"
    external = make_study(crossed([[2, 0], [0, 0]]))
    assert sheets_of(external) == ContactSheets()
    assert '<figure class="contact-sheets">' not in report_text(report_of(external), "html", external)


def noisy(side: int) -> Image.Image:
    return Image.effect_noise((side, side), 255).convert("RGB")


@pytest.mark.parametrize("most", [MOST_BYTES, LEAST_BYTES])
def test_sixty_four_images_of_noise_stay_within_the_bytes_of_their_sheet(most: int) -> None:
    sheet = sheets_module._laid_out([noisy(96)] * MOST_IMAGES)
    assert most / 4 < len(sheets_module._encoded(sheet, most=most)) <= most


@pytest.fixture
def worst() -> Study:
    """More comparisons than a table holds, each with as long a prompt as somebody may paste."""
    plan = crossed([[MOST_ROWS, 0], [0, 20]], voters=1)
    plan.prompts = [f"{number} " + '"<&' * MOST_LETTERS for number in range(MOST_ROWS + 20)]
    return make_study(plan)


@pytest.fixture
def sheets_of_the_most_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every set has a sheet, and each is as large as it may be."""
    monkeypatch.setattr(sheets_module, "_pictures", lambda _image_set: ([noisy(8)] * MOST_IMAGES, MOST_IMAGES))
    monkeypatch.setattr(sheets_module, "_encoded", lambda _sheet, *, most: bytes(most))


@pytest.mark.usefixtures("sheets_of_the_most_bytes")
def test_the_worst_study_has_its_thirty_comparisons_in_fifteen_megabytes(worst: Study) -> None:
    text = report_text(report_of(worst), "html", worst)
    assert text.count('<figure class="contact-sheets">') == MOST_TELLING
    assert 8_800_000 < len(text.encode()) <= MOST_FILE_BYTES == 15_000_000
    assert "did not fit into this file" not in text


@pytest.mark.usefixtures("sheets_of_the_most_bytes")
def test_where_the_file_is_nearly_full_sheets_shrink_and_then_there_are_fewer(
    worst: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = report_of(worst)
    bare = len(to_html(report).encode())
    for room, shown in ((2_000_000, MOST_TELLING), (200_000, 10), (0, 0)):
        monkeypatch.setattr(html_module, "MOST_BYTES", bare + room)
        text = report_text(report, "html", worst)
        assert len(text.encode()) <= bare + max(room, 2_000)
        assert text.count('<figure class="contact-sheets">') == shown
        assert (f"{MOST_TELLING - shown} more did not fit into this file." in text) == (shown < MOST_TELLING)


def test_long_tables_end_where_a_page_does_and_the_json_has_all() -> None:
    study = make_study(crossed([[MOST_ROWS + 20, 0], [0, 0]], voters=1))
    report = report_of(study)
    text = report_text(report, "html", study)
    assert f"the first {MOST_ROWS} of {MOST_ROWS + 20}; the JSON and CSV hold them all" in text
    assert f"a prompt number {MOST_ROWS - 1}<" in text
    assert f"a prompt number {MOST_ROWS}<" not in text
    assert f"a prompt number {MOST_ROWS + 19}" in to_json(report)
    on_the_web = page_context(report, drawing=lambda _figure: SafeString())["chapters"]
    most = max(len(table.rows) for one in on_the_web for part in one["parts"] for table in part["tables"])
    assert most == ROWS_ON_PAGE < MOST_ROWS
