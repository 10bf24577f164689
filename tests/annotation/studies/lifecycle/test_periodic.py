"""The half-minute tick, and the task after a job. Each task runs twice in its test."""

from datetime import timedelta
from typing import Any

import pytest
from celery.canvas import Signature
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from kombu.exceptions import OperationalError

from annotation import tasks
from annotation.models import Annotator, Assignment, Comparison, Study
from annotation.studies.comparisons import plan_comparisons
from annotation.studies.current import current_manifest, size_of
from annotation.studies.lifecycle import periodic
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.periodic import maintain, reap
from annotation.studies.lifecycle.pipeline_jobs import ensure_images, ensure_scores
from annotation.studies.lifecycle.transitions import advance, launch
from generation.machines.workers import leave_sign
from generation.models import GenerationJob
from jobs import claims
from jobs.refusals import Refused
from scoring.models import ScoringJob
from tests.annotation.studies.worker import FakeWorker
from tests.factories import make_manifest, make_study

pytestmark = pytest.mark.django_db


def test_the_tick_brings_a_study_home_after_its_worker_died(worker: FakeWorker) -> None:
    study = create_study(manifest=make_manifest(source="generated", comparisons=1))
    launch(study=study)
    worker.messages.clear()  # the worker died with both messages
    long_ago = timezone.now() - timedelta(hours=1)
    GenerationJob.objects.update(state="running", attempt_count=1, lease_expires_at=long_ago, heartbeat_at=long_ago)
    for _ in range(2):
        tasks.tick()
    assert len(worker.messages) == 2
    worker.work_off()
    for _ in range(2):
        tasks.tick()
    study.refresh_from_db()
    assert study.state == Study.State.READY
    assert len(worker.made) == 6


def test_advancing_after_a_job(worker: FakeWorker) -> None:
    study = create_study(manifest=make_manifest(source="generated", comparisons=1))
    Study.objects.update(state=Study.State.GENERATING)
    for _ in range(2):
        tasks.advance_study(study.pk)
    assert (Comparison.objects.count(), len(worker.messages)) == (1, 2)
    tasks.advance_study(study.pk + 1)  # deleted meanwhile: nothing to do


def test_a_study_whose_deletion_has_begun_gets_no_jobs() -> None:
    study = create_study(manifest=make_manifest(source="generated", comparisons=1))
    plan_comparisons(study, current_manifest(study))
    GenerationJob.objects.update(state="cancelled")  # by the deletion, which first made the study a draft
    study.state = Study.State.GENERATING  # as another process read it before
    with pytest.raises(Refused, match="is being deleted"):
        ensure_images(study)
    for spec in current_manifest(study).computed_metrics():
        with pytest.raises(Refused, match="is being deleted"):
            ensure_scores(study, spec)
    assert not GenerationJob.objects.exclude(state="cancelled").exists()
    assert not ScoringJob.objects.exists()


@pytest.mark.parametrize("how", [Study.DoesNotExist, Refused])
def test_a_study_that_is_deleted_while_it_is_advanced_is_no_fault(
    how: type[Exception], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    study = make_study(state="generating", slug="study")

    def advance(study: Study) -> str:
        raise how(f"{study} is deleted")

    monkeypatch.setattr(periodic, "advance", advance)
    tasks.advance_study(study.pk)
    maintain(timezone.now())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_the_tick_ends_leases_of_annotators_who_left() -> None:
    study = make_study(comparisons=1)
    comparison = Comparison.objects.get(study=study)
    Comparison.objects.update(slot_count=1)
    past = timezone.now() - timedelta(minutes=1)
    assignment = Assignment.objects.create(
        comparison=comparison,
        annotator=Annotator.objects.create(study=study, kind="personal"),
        state="leased",
        left_model="a",
        leased_at=past,
        lease_expires_at=past,
    )
    for _ in range(2):
        tasks.tick()
    assignment.refresh_from_db()
    comparison.refresh_from_db()
    assert (assignment.state, comparison.slot_count) == ("released", 0)


def test_one_broken_study_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    studies = [make_study(state="draft", slug=slug) for slug in ("first", "second")]
    Study.objects.update(state=Study.State.GENERATING)
    seen = []

    def advance(study: Study) -> str:
        seen.append(study.slug)
        raise RuntimeError(study.slug)

    monkeypatch.setattr(periodic, "advance", advance)
    maintain(timezone.now())
    assert seen == [study.slug for study in studies]


@pytest.mark.parametrize("is_broker_away", [False, True])
def test_a_launch_asks_a_worker_to_go_on(
    is_broker_away: bool, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent = []

    def apply_async(message: Signature) -> None:
        if is_broker_away:
            raise OperationalError("no broker")
        sent.append((message.task, message.args))

    monkeypatch.setattr(Signature, "apply_async", apply_async)
    study = create_study(manifest=make_manifest(source="generated"))
    with django_capture_on_commit_callbacks(execute=True):
        launch(study=study)
    assert sent == ([] if is_broker_away else [("annotation.tasks.advance_study", (study.pk,))])
    assert study.state == Study.State.GENERATING  # the next tick goes on from here


def test_a_tick_asks_as_often_for_twelve_open_studies_as_for_two() -> None:
    counts = []
    for number in range(12):
        make_study(slug=f"study-{number}", comparisons=1, images_per_set=2)
        if number in (1, 11):
            maintain(timezone.now())  # parses the manifests
            with CaptureQueriesContext(connection) as asked:
                maintain(timezone.now())
            counts.append(len(asked))
    assert counts[0] == counts[1]


def test_messages_that_were_lost_are_sent_again_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MESSAGES_AT_ONCE", 2)
    study = create_study(manifest=make_manifest(source="generated", comparisons=2))
    launch(study=study)
    advance(study)
    long_ago = timezone.now() - timedelta(hours=1)
    GenerationJob.objects.update(enqueued_at=long_ago)
    reap()
    assert not GenerationJob.objects.filter(enqueued_at=None).exists(), "no worker runs: the messages wait for it"
    leave_sign(name="gpu@here")
    for _ in range(2):
        reap()
        assert GenerationJob.objects.filter(enqueued_at=None).count() in (2, 4)
    assert not GenerationJob.objects.filter(enqueued_at=long_ago).exists()


def test_manifests_are_kept_by_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = make_manifest(comparisons=3), make_manifest(comparisons=300)
    assert size_of(many) - size_of(few) == 297
    study = make_study(comparisons=3)
    current_manifest(study)
    with CaptureQueriesContext(connection) as asked:
        assert current_manifest(study) is current_manifest(study)
    assert not asked.captured_queries
