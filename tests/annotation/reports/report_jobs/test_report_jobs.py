"""Reports as jobs: computed once, stored by the hash of what went in, sealed until the study closes."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import ReportJob, Study, Vote
from annotation.reports.data.study_data import SealedData
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.document import from_json, to_json
from annotation.reports.report import build_report
from annotation.reports.report_jobs import report_cache, report_jobs, watched_jobs
from annotation.reports.report_jobs.report_cache import cached_report, fingerprint, finished_report
from annotation.reports.report_jobs.report_jobs import request_report
from annotation.studies.lifecycle.periodic import maintain
from annotation.tasks import make_report as task
from annotation.voting.slots import recount
from jobs import claims, messages
from tests.annotation.reports.voted_studies import Plan, crossed, gathered, make_study, unsealed

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

State = ReportJob.State


@pytest.fixture
def study() -> Study:
    return make_study(crossed([[6, 1], [1, 4]]))


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_jobs, "enqueue", messages.enqueue)
    monkeypatch.setattr(watched_jobs, "enqueue", messages.enqueue)


@pytest.mark.usefixtures("no_worker")
def test_a_task_that_runs_twice_computes_one_report(
    study: Study, reports_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[SealedData] = []

    def counting(data: SealedData, **told: Any) -> AgreementReport:
        built.append(data)
        return build_report(data, **told)

    monkeypatch.setattr(report_cache, "build_report", counting)
    job = request_report(study)
    assert (job.state, finished_report(job)) == (State.QUEUED, None)
    for _ in range(2):
        task(job.pk)
        job.refresh_from_db()
        assert (job.state, job.percent, job.error) == (State.DONE, 100, "")
    assert len(built) == 1
    assert [path.name for path in reports_root.iterdir()] == [f"{job.sha256}.json"]
    task(job.pk + 1000)  # of a deleted study


@pytest.mark.usefixtures("no_worker")
def test_a_task_that_died_half_way_leaves_nothing_and_runs_again(study: Study, reports_root: Path) -> None:
    job = request_report(study)
    assert claims.claim_next(ReportJob.objects.all(), worker="died")
    task(job.pk)
    assert not reports_root.exists()  # the lease of the dead worker still holds the job
    ReportJob.objects.update(lease_expires_at=timezone.now() - timedelta(hours=1))
    maintain(timezone.now())
    task(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempt_count) == (State.DONE, 2)
    assert finished_report(job) == cached_report(study).report


@pytest.mark.usefixtures("no_worker")
def test_a_second_request_changes_nothing_while_the_job_waits_and_when_it_is_done(study: Study) -> None:
    first = request_report(study)
    assert request_report(study).pk == first.pk
    task(first.pk)
    assert request_report(study).state == State.DONE
    assert ReportJob.objects.get().attempt_count == 1


def test_a_report_of_another_version_s_shape_is_computed_again(study: Study, reports_root: Path) -> None:
    job = request_report(study)
    report_cache._read.cache_clear()
    (reports_root / f"{job.sha256}.json").write_text('{"schema_version": 1}')
    assert finished_report(job) is None
    assert finished_report(request_report(study)) is not None


def test_a_failed_newer_report_is_named_beside_the_older_one(study: Study, researcher: Client) -> None:
    request_report(study)
    ReportJob.objects.update(state=State.FAILED, error="the disk is full")
    page = researcher.get(reverse("report", args=[study.slug])).content.decode()
    assert "A newer report could not be made: the disk is full" in page
    assert "Krippendorff" in page


def test_a_changed_vote_makes_a_new_report_but_not_with_each_view(study: Study, reports_root: Path) -> None:
    before = request_report(study)
    vote = Vote.objects.order_by("assignment_id")[0]
    Vote.objects.filter(pk=vote.pk).update(excluded_at=timezone.now(), exclusion_reason="failed the check")
    recount([vote.assignment.comparison_id])
    assert request_report(study).sha256 == before.sha256  # computed a moment ago
    ReportJob.objects.update(finished_at=timezone.now() - timedelta(minutes=2))
    after = request_report(study)
    assert after.sha256 != before.sha256
    report = finished_report(after)
    assert report is not None
    assert report.counts.excluded_votes == 1
    assert [path.name for path in reports_root.iterdir()] == [f"{after.sha256}.json"]


def test_closing_a_study_makes_its_report_due_at_once_and_until_then_results_are_sealed() -> None:
    study = make_study(crossed([[4, 1], [1, 4]], state="open"))
    job = request_report(study)
    interim = finished_report(job)
    assert interim is not None
    assert interim.study.is_interim
    assert interim.results is None
    study.state, study.closed_at = Study.State.CLOSED, timezone.now()
    study.save()
    job.study = study
    assert finished_report(job) is None
    whole = finished_report(request_report(study))
    assert whole is not None
    assert whole.results is not None


@pytest.mark.usefixtures("no_worker")
def test_a_failed_report_says_why_and_is_computed_again_on_request(
    study: Study, researcher: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(data: SealedData, **_told: object) -> AgreementReport:
        raise ArithmeticError(f"{len(data.votes)} votes are too many")

    monkeypatch.setattr(report_cache, "build_report", broken)
    job = request_report(study)
    for _ in range(claims.MOST_ATTEMPTS):
        task(job.pk)
    address = reverse("report", args=[study.slug])
    page = researcher.get(address)
    assert page.status_code == 500
    assert "ArithmeticError: 36 votes are too many" in page.content.decode()
    monkeypatch.undo()
    assert researcher.post(reverse("report-again", args=[study.slug])).status_code == 302
    task(job.pk)
    assert researcher.get(address).status_code == 200


@pytest.mark.usefixtures("no_worker")
def test_the_page_shows_the_progress_of_the_report(study: Study, researcher: Client) -> None:
    address, progress = (reverse(name, args=[study.slug]) for name in ("report", "report-progress"))
    assert researcher.get(progress).status_code == 404  # not requested yet
    page = researcher.get(address)
    assert page.status_code == 202
    assert f'data-progress="{progress}"' in page.content.decode()
    ReportJob.objects.update(percent=41, step="scores")
    assert researcher.get(progress).json() == {"state": "queued", "percent": 41, "step": "scores"}
    task(ReportJob.objects.get().pk)
    assert researcher.get(progress).json()["state"] == "done"
    assert researcher.get(address).status_code == 200


def test_progress_rises_to_the_end_and_names_the_steps(study: Study) -> None:
    told: list[tuple[float, str]] = []
    cached_report(study, progress=lambda share, step: told.append((share, step)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1
    assert "annotators by skill" in {step for _, step in told}


def test_the_tick_sends_a_lost_message_again(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_jobs, "enqueue", lambda _jobs: None)
    job = request_report(study)
    sent: list[int] = []
    monkeypatch.setattr(messages, "_enqueue_one", lambda job: sent.append(job.pk))
    maintain(timezone.now())
    assert job.enqueued_at is None
    assert ReportJob.objects.filter(enqueued_at__isnull=True).exists()


@pytest.mark.parametrize(
    "plan",
    [
        crossed([[6, 1], [1, 4]]),
        crossed([[6, 1], [1, 4]], state="open"),
        Plan([], [], slug="empty"),
        Plan([["A", "tie"], ["B", ""]], [(2.0, 1.0), (None, 1.0)], slug="holes"),
    ],
    ids=["closed", "sealed", "empty", "holes"],
)
def test_a_report_is_read_from_its_own_document(plan: Plan) -> None:
    study = make_study(plan)
    report = cached_report(study).report
    assert from_json(to_json(report)) == report


def test_whatever_goes_into_a_report_changes_its_hash(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    data = unsealed(study)
    assert fingerprint(data) == fingerprint(gathered(study))
    changed = [
        replace(data, state="paused"),
        replace(data, metric="other"),
        replace(data, late_count=1),
        replace(data, annotators=data.annotators[:-1]),
        replace(data, votes=replace(data.votes, arrival=data.votes.arrival[::-1])),
        replace(data, comparisons=replace(data.comparisons, score_a=np.nextafter(data.comparisons.score_a, 0))),
        replace(data, manifest=data.manifest.model_copy(update={"notice": "x"})),
    ]
    found = {fingerprint(one) for one in (data, *changed)}
    monkeypatch.setattr(report_cache, "code_sha256", lambda: "other code")
    assert len({*found, fingerprint(data)}) == len(changed) + 2
