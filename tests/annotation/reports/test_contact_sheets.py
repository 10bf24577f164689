"""The one file: whole without any outside address, small enough, with the comparisons that tell most."""

import base64
import io
import re
from pathlib import Path

import pytest
from django.core.management import call_command
from PIL import Image

from annotation.models import Study
from annotation.reports import contact_sheets as sheets_module
from annotation.reports.agreement_report import AgreementReport
from annotation.reports.contact_sheets import MOST_BYTES, contact_sheets
from annotation.reports.document import to_json
from annotation.reports.downloads import text_of
from annotation.reports.gathering import gather
from annotation.reports.html import MOST_ROWS
from annotation.reports.report import build_report
from annotation.studies.current import current_manifest
from generation.image_files import media
from tests.annotation.reports.studies import crossed, make_study
from tests.annotation.web.scenes import draw_study
from tests.factories import put_in_state, score_all

pytestmark = pytest.mark.django_db


def report_of(study: Study) -> AgreementReport:
    return build_report(gather(study, manifest=current_manifest(study)))


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
    found = contact_sheets(study, report_of(study))
    assert len(found) == 3
    for one in found:
        assert [sheet.model for sheet in one.sheets] == ["A", "B"]
        for sheet in one.sheets:
            assert sheet.words.startswith("6 images of ")
            image = picture(sheet.address)
            assert image.size == (sheet.width, sheet.height) == (5 * 98 - 2, 2 * 98 - 2)
    first, second = (sheet.address for sheet in found[0].sheets)
    assert first != second


def test_the_file_asks_for_nothing_from_outside(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    call_command("report", study.slug, format="html", out=out, stdout=io.StringIO())
    text = out.read_text(encoding="utf-8")
    assert text.count('<figure class="telling">') == 3
    for attribute in ("src", "srcset", "href", "action", "data"):
        for value in re.findall(rf'\b{attribute}="([^"]*)"', text):
            assert value.startswith(("data:image/webp;base64,", "#")), value
    assert "<link" not in text
    assert "<script" not in text
    assert not re.search(r"@import|url\((?!#)", text)


def test_a_file_that_is_gone_is_counted_and_an_external_study_has_no_sheets(study: Study) -> None:
    image = study.comparisons.get(position=0).image_set_a.images.earliest("seed")
    media(image.path).unlink()
    for rendition in media("renditions").rglob(f"{Path(image.path).stem}-*"):
        if rendition.parent.name == Path(image.path).parent.name:
            rendition.unlink()
    words = [sheet.words for one in contact_sheets(study, report_of(study)) for sheet in one.sheets]
    assert sorted(words)[0] == "5 of 6 images of A, by seed"
    external, _ = make_study(crossed([[2, 0], [0, 0]]))
    assert contact_sheets(external, report_of(external)) == ()
    assert '<figure class="telling">' not in text_of(report_of(external), "html", external)


def noisy(side: int) -> Image.Image:
    return Image.effect_noise((side, side), 255).convert("RGB")


def test_thirty_pairs_of_the_worst_images_stay_within_fifteen_megabytes(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets_module, "_picture", lambda _image: noisy(96))
    found = contact_sheets(study, report_of(study))
    sizes = [len(base64.b64decode(sheet.address.partition(",")[2])) for one in found for sheet in one.sheets]
    assert max(sizes) <= MOST_BYTES
    assert MOST_BYTES * 60 * 4 / 3 < 9_000_000
    assert len(sheets_module._encoded(noisy(1600))) <= MOST_BYTES


def test_long_tables_end_where_a_page_does_and_the_json_has_all() -> None:
    study, _ = make_study(crossed([[MOST_ROWS + 20, 0], [0, 0]], voters=1))
    report = report_of(study)
    text = text_of(report, "html", study)
    assert f"the first {MOST_ROWS} of {MOST_ROWS + 20}; the JSON and CSV hold them all" in text
    assert f"a prompt number {MOST_ROWS - 1}<" in text
    assert f"a prompt number {MOST_ROWS}<" not in text
    assert f"a prompt number {MOST_ROWS + 19}" in to_json(report)
