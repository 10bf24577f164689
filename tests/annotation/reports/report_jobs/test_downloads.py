"""Downloads that take long: a task writes them, never a request, and an outdated one is not served."""

import os
import zipfile
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import Annotator, ReportFileJob, Study
from annotation.reports.bundle.replay import replay
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats import latex, paper
from annotation.reports.progress import silent
from annotation.reports.report_jobs import downloads, report_cache
from annotation.reports.report_jobs.downloads import DOWNLOADS, LIFETIME, delete_old_files
from annotation.reports.report_jobs.report_cache import current_file, files_folder, finished_report, request_file
from annotation.reports.report_jobs.report_jobs import request_report
from annotation.reports.report_jobs.retention import delete_stored_reports
from annotation.studies.lifecycle.periodic import maintain
from annotation.tasks import make_report_file as task
from annotation.tasks import tick
from annotation.voting.withdrawal import withdraw
from jobs import claims, messages
from tests.annotation.reports.voted_studies import crossed, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

State = ReportFileJob.State
LONG = [name for name, one in DOWNLOADS.items() if one.is_long]


@pytest.fixture
def study() -> Study:
    return make_study(crossed([[3, 1], [1, 2]]))


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_cache, "enqueue", messages.enqueue)


@pytest.fixture(autouse=True)
def nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures in files are a few bytes each: tests of formats draw them."""
    for module in (paper, latex):
        monkeypatch.setattr(module, "drawn", lambda *_what, **_how: b"a figure")


@pytest.fixture(autouse=True)
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were printed as PDF: a test of formats does it with a browser."""
    found: list[str] = []

    def print_to(html: str, path: Path) -> None:
        found.append(html)
        path.write_bytes(b"%PDF")

    monkeypatch.setattr(downloads, "write_pdf", print_to)
    return found


def address(study: Study, name: str, end: str = "") -> str:
    return reverse(f"report-file{end}", args=[study.slug, name])


def age(path: Path, by: timedelta) -> None:
    made = path.stat().st_mtime - by.total_seconds()
    os.utime(path, (made, made))


def test_archives_votes_and_files_with_images_take_long() -> None:
    assert LONG == ["html", "pdf", "pdf-letter", "latex-figures", "figures", "figures-wide", "votes", "bundle"]


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("name", LONG)
def test_a_request_writes_nothing_and_the_task_writes_the_file_once(
    study: Study, researcher: Client, name: str
) -> None:
    waiting = researcher.get(address(study, name))
    assert waiting.status_code == 202
    assert "is waiting for the worker" in waiting.content.decode()
    assert f'data-progress="{address(study, name, "-progress")}"' in waiting.content.decode()
    job = ReportFileJob.objects.get()
    assert (job.name, job.state, current_file(job)) == (name, State.QUEUED, None)
    for _ in range(2):
        task(job.pk)
    job.refresh_from_db()
    assert (job.state, job.percent, job.error, job.attempt_count) == (State.DONE, 100, "", 1)
    sent = researcher.get(address(study, name))
    assert b"".join(sent) == Path(current_file(job) or "").read_bytes()
    assert sent["Content-Disposition"].startswith("attachment")
    assert ReportFileJob.objects.get().attempt_count == 1


@pytest.mark.usefixtures("no_worker")
def test_its_progress_is_that_of_its_job(study: Study, researcher: Client) -> None:
    assert researcher.get(address(study, "bundle", "-progress")).status_code == 404  # not requested yet
    researcher.get(address(study, "bundle"))
    ReportFileJob.objects.update(percent=41, step="writing votes.csv")
    told = researcher.get(address(study, "bundle", "-progress")).json()
    assert told == {"state": "queued", "percent": 41, "step": "writing votes.csv"}


@pytest.mark.parametrize("name", LONG)
def test_progress_rises_from_nothing(study: Study, name: str, tmp_path: Path) -> None:
    told: list[float] = []
    report = finished_report(request_report(study))
    assert report is not None
    DOWNLOADS[name].write(study, report, tmp_path / "file", lambda share, _step: told.append(share))
    assert told
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] < 1


@pytest.mark.usefixtures("no_worker")
def test_a_failed_one_says_why_and_is_written_again_only_on_request(
    study: Study, researcher: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_what: object, **_told: object) -> None:
        raise ArithmeticError("too many pictures")

    monkeypatch.setattr(downloads, "write_bundle", broken)
    job = request_file(request_report(study), "bundle")
    for _ in range(claims.MOST_ATTEMPTS):
        task(job.pk)
    for _ in range(2):
        page = researcher.get(address(study, "bundle"))
        assert page.status_code == 500
        assert "ArithmeticError: too many pictures" in page.content.decode()
    monkeypatch.undo()
    assert researcher.post(address(study, "bundle", "-again")).status_code == 302
    task(job.pk)
    assert b"".join(researcher.get(address(study, "bundle"))).startswith(b"PK")


@pytest.mark.usefixtures("no_worker")
def test_the_tick_sends_a_lost_message_again_and_takes_back_a_dead_worker_s_job(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(messages, "_enqueue_one", lambda job: sent.append(job.pk))
    job = request_file(request_report(study), "figures")
    assert claims.claim_next(ReportFileJob.objects.all(), worker="died")
    ReportFileJob.objects.update(lease_expires_at=timezone.now() - timedelta(hours=1))
    maintain(timezone.now())
    task(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempt_count) == (State.DONE, 2)


def test_a_bundle_made_before_a_withdrawal_is_never_served_after_it(
    study: Study, researcher: Client, tmp_path: Path
) -> None:
    def download() -> int:
        path = tmp_path / "bundle.zip"
        path.write_bytes(b"".join(researcher.get(address(study, "bundle"))))
        return len(replay(path).data.votes)

    before = download()
    one = Annotator.objects.filter(study=study).earliest("pk")
    gone = withdraw(annotator=one, until=None, now=timezone.now()).withdrawn_vote_count
    assert download() == before - gone < before
    assert len(list(files_folder().iterdir())) == 1  # the outdated one is deleted


def test_an_hour_later_the_file_is_deleted_and_is_written_again_on_request(study: Study) -> None:
    job = request_file(request_report(study), "bundle")
    path = current_file(job)
    assert path is not None
    delete_old_files(timezone.now())
    assert path.exists()
    age(path, LIFETIME + timedelta(minutes=1))
    tick()
    assert not path.exists()
    again = request_file(request_report(study), "bundle")
    assert current_file(again) == path


def test_a_closed_study_s_file_is_not_that_of_the_open_one(researcher: Client) -> None:
    study = make_study(crossed([[3, 1], [1, 2]], state="open"))
    sealed = b"".join(researcher.get(address(study, "html"))).decode()
    assert "Krippendorff" not in sealed
    assert researcher.get(address(study, "figures")).status_code == 404
    study.state, study.closed_at = Study.State.CLOSED, timezone.now()
    study.save()
    ReportFileJob.objects.update(finished_at=timezone.now() - timedelta(minutes=2))
    assert "Krippendorff" in b"".join(researcher.get(address(study, "html"))).decode()
    with zipfile.ZipFile(BytesIO(b"".join(researcher.get(address(study, "figures"))))) as figures:
        assert "claim.pdf" in figures.namelist()


def test_a_pdf_is_printed_on_the_paper_that_was_asked_for(study: Study, researcher: Client, printed: list[str]) -> None:
    for name, size in (("pdf", "A4"), ("pdf-letter", "letter")):
        answer = researcher.get(address(study, name))
        assert (answer["Content-Type"], b"".join(answer)) == ("application/pdf", b"%PDF")
        assert f"@page {{ size: {size};" in printed[-1]


def test_equal_reports_give_equal_zip_files(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []

    def drawn(*_what: object, width: int = 85) -> bytes:
        widths.append(width)
        return b"drawn"

    for module in (latex, paper):
        monkeypatch.setattr(module, "drawn", drawn)
    report = finished_report(request_report(study))
    assert report is not None
    for name, width in (("figures", 85), ("figures-wide", 175), ("latex-figures", 85)):
        widths.clear()
        DOWNLOADS[name].write(study, report, tmp_path / name, silent)
        assert set(widths) == {width}
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_figure_is_drawn_once_and_deleted_with_its_report(
    study: Study, researcher: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = reverse("report-figure", args=[study.slug, "margin"])
    light, dark = researcher.get(source).content, researcher.get(f"{source}?theme=dark").content
    assert light != dark
    monkeypatch.setattr(report_cache, "draw", None)
    assert researcher.get(source).content == light
    assert [path.suffix for path in files_folder().iterdir()] == [".svg"] * 2
    delete_stored_reports(study)
    assert not list(files_folder().iterdir())


def test_outsiders_find_nothing(study: Study, outsider: Client) -> None:
    request_file(request_report(study), "bundle")
    for end in ("", "-progress"):
        assert outsider.get(address(study, "bundle", end)).status_code == 404
    assert outsider.post(address(study, "bundle", "-again")).status_code == 404


def test_a_report_deleted_meanwhile_is_named(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    report_job = request_report(study)

    def none(_job: object) -> AgreementReport | None:
        return None

    monkeypatch.setattr(downloads, "finished_report", none)
    assert "look at its page" in request_file(report_job, "html").error
