"""The report on the web: who may see it, and under which content security policy."""

import json
import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import ReportJob, Study, Vote
from annotation.reports.bundle.replay import replay
from annotation.reports.formats import latex, paper, pdf
from annotation.reports.formats.html import page_context
from annotation.reports.report import build_report
from annotation.reports.report_jobs import downloads
from annotation.reports.report_jobs.downloads import DOWNLOADS
from annotation.voting.slots import recount
from annotation.web.researcher.results import reports
from annotation.web.researcher.results.reports import WHAT
from scoring.models import SetScore
from tests import factories
from tests.annotation.reports.voted_studies import FIGURES, Plan, crossed, make_study

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_browser_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each PDF is written at once, and figures in files are not drawn: tests of formats do both."""
    monkeypatch.setattr(downloads, "write_pdf", lambda _html, path: path.write_bytes(b"%PDF"))
    for module in (paper, latex):
        monkeypatch.setattr(module, "drawn", lambda *_what, **_how: b"a figure")


@pytest.fixture
def study() -> Study:
    return make_study(crossed([[4, 1], [1, 4]], kind="simulated"))


def addresses(study: Study) -> list[str]:
    return [
        reverse("report", args=[study.slug]),
        *(reverse("report-figure", args=[study.slug, name]) for name in FIGURES),
        *(reverse("report-file", args=[study.slug, report_format]) for report_format in DOWNLOADS),
    ]


def status(client: Client, address: str) -> int:
    """Return the status of an answer. The answer is read to its end, because a file stays open otherwise."""
    response = client.get(address)
    if response.streaming:
        assert b"".join(response)
    return response.status_code


def test_only_staff_see_it(study: Study, researcher: Client, outsider: Client) -> None:
    for address in addresses(study):
        assert status(researcher, address) == 200
        assert outsider.get(address).status_code == 404
        login = Client().get(address)
        assert login.status_code == 302
        assert login["Location"].startswith(reverse("account_login"))


def test_the_page_needs_no_inline_style_or_script(study: Study, researcher: Client) -> None:
    response = researcher.get(reverse("report", args=[study.slug]))
    page = response.content.decode()
    for forbidden in ("<style", " style=", " onclick"):
        assert forbidden not in page
    assert not re.search(r"<script(?! type=\"module\" src=)", page)
    assert "'unsafe-inline'" not in response["Content-Security-Policy"]
    for name in ("agreement", "scores-box", "scores-density"):
        assert f'src="{reverse("report-figure", args=[study.slug, name])}"' in page
    assert "Simulated votes: 30 of 30 votes were made by a program" in page


def test_a_figure_styles_itself_and_loads_nothing(study: Study, researcher: Client) -> None:
    response = researcher.get(reverse("report-figure", args=[study.slug, "claim"]))
    assert response["Content-Type"] == "image/svg+xml"
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "style-src 'unsafe-inline'" in policy
    assert researcher.get(reverse("report-figure", args=[study.slug, "nothing"])).status_code == 404


def test_a_figure_with_nothing_to_draw_is_not_found(researcher: Client) -> None:
    study = make_study(Plan([["", ""]], [(2.0, 1.0)]))
    page = researcher.get(reverse("report", args=[study.slug])).content.decode()
    for name in ("bootstrap", "votes", "annotators", "margin", "calibration"):
        assert f"{name}.svg" not in page
        assert researcher.get(reverse("report-figure", args=[study.slug, name])).status_code == 404


def test_downloads_carry_their_names(study: Study, researcher: Client) -> None:
    response = researcher.get(reverse("report-file", args=[study.slug, "latex"]))
    assert response["Content-Disposition"] == 'attachment; filename="weather-report.tex"'
    assert b"\\end{document}" in b"".join(response)
    document = json.loads(downloaded(researcher, study, "json"))
    assert document["study"]["slug"] == "weather"
    assert researcher.get(reverse("report-file", args=[study.slug, "docx"])).status_code == 404


def downloaded(researcher: Client, study: Study, name: str) -> bytes:
    return b"".join(researcher.get(reverse("report-file", args=[study.slug, name])))


def test_what_a_paper_needs_is_downloaded_from_the_page(study: Study, researcher: Client, tmp_path: Path) -> None:
    page = researcher.get(reverse("report", args=[study.slug])).content.decode()
    for name in DOWNLOADS:
        assert f'href="{reverse("report-file", args=[study.slug, name])}"' in page
    with zipfile.ZipFile(BytesIO(downloaded(researcher, study, "figures"))) as figures:
        assert {f"{name}.{suffix}" for name in ("claim", "margin", "scores-box") for suffix in ("pdf", "png")} <= set(
            figures.namelist()
        )
        assert figures.read("claim.pdf") == b"a figure"
    assert pq.read_table(BytesIO(downloaded(researcher, study, "parquet"))).num_rows == 10
    assert b"@" in downloaded(researcher, study, "bibtex")
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(downloaded(researcher, study, "bundle"))
    document = json.loads(downloaded(researcher, study, "json"))
    assert build_report(replay(bundle).data).claim == document["claim"]
    assert replay(bundle).sha256 in researcher.get(reverse("report", args=[study.slug])).content.decode()


def test_without_a_browser_the_page_says_why_it_has_no_pdf(
    study: Study, researcher: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "There is no PDF here, because the server has no browser that prints it"
    page = reverse("report", args=[study.slug])
    assert said not in researcher.get(page).content.decode()
    monkeypatch.setattr(pdf, "BROWSERS", ())
    without = researcher.get(page).content.decode()
    assert said in without
    assert reverse("report-file", args=[study.slug, "pdf"]) not in without


def test_the_page_is_rendered_once_for_each_report(
    study: Study, researcher: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, rendered = reverse("report", args=[study.slug]), []

    def counted(*args: Any, **named: Any) -> dict[str, Any]:
        rendered.append(args)
        return page_context(*args, **named)

    monkeypatch.setattr(reports, "page_context", counted)
    first = researcher.get(address).content
    assert researcher.get(address).content == first
    assert len(rendered) == 1
    Vote.objects.filter(assignment__comparison__position=0).delete()
    recount([study.comparisons.get(position=0).pk])
    ReportJob.objects.update(finished_at=None)
    assert "27 of 27 votes were made by a program" in researcher.get(address).content.decode()
    assert len(rendered) == 2


def test_a_sealed_study_has_a_page_without_results_and_no_figures(researcher: Client) -> None:
    study = make_study(crossed([[4, 1], [1, 4]], state="open"))
    page = researcher.get(reverse("report", args=[study.slug])).content.decode()
    assert "sealed until the study closes" in page
    assert "Krippendorff" not in page
    assert "<img" not in page
    for figure in FIGURES:
        assert researcher.get(reverse("report-figure", args=[study.slug, figure])).status_code == 404
    for name, one in DOWNLOADS.items():
        address = reverse("report-file", args=[study.slug, name])
        assert (f'href="{address}"' in page) == (not one.has_results)
        assert status(researcher, address) == (404 if one.has_results else 200)
    assert page.count(reverse("explorer", args=[study.slug])) == 1  # the tab, which says why it is empty


@pytest.mark.parametrize("state", ["draft", "generating", "scoring"])
def test_before_every_set_is_scored_the_page_says_what_will_stand_there(researcher: Client, state: str) -> None:
    study = factories.make_study(state=state)
    response = researcher.get(reverse("report", args=[study.slug]))
    page = response.content.decode()
    assert response.status_code == 409
    assert "There is no report yet, because not every set of images is scored." in page
    assert WHAT in page
    assert not ReportJob.objects.filter(study=study).exists()


def test_of_several_metrics_one_is_chosen_on_the_page(study: Study, researcher: Client) -> None:
    SetScore.objects.filter(value=2.0).update(metric="lpips/vgg 16")
    SetScore.objects.exclude(metric="lpips/vgg 16").update(metric="dreamsim")
    address = reverse("report", args=[study.slug])
    response = researcher.get(address)
    assert response.status_code == 409
    assert f'href="{address}?metric=lpips%2Fvgg%2016"' in response.content.decode()
    page = researcher.get(address, {"metric": "dreamsim"}).content.decode()
    assert f"{reverse('report-file', args=[study.slug, 'json'])}?metric=dreamsim" in page
    assert f"{reverse('report-figure', args=[study.slug, 'votes'])}?metric=dreamsim" in page
    assert researcher.get(reverse("report-file", args=[study.slug, "json"])).status_code == 404
