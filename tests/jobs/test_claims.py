"""Jobs: each state's allowed changes, and the state after a crash."""

import errno
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from celery.signals import worker_process_shutdown
from django.db import DatabaseError
from django.db.models import Q
from kombu.exceptions import OperationalError
from pytest_django.fixtures import DjangoCaptureOnCommitCallbacks, Settings
from structlog.contextvars import get_contextvars

from generation.models import GenerationJob
from jobs import claims, messages, work
from jobs.leases import Cancelled, Lease, LeaseLost
from jobs.refusals import Broken, Refused, SetBack
from tests.clock import NOON, Clock
from tests.generation.planned_sets import diffusion_model, only_job, planned

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases, pytest.mark.usefixtures("database_clock")]
STATES = GenerationJob.State


@pytest.fixture
def queued() -> GenerationJob:
    return only_job(planned())


def claim(job: GenerationJob) -> GenerationJob:
    claimed = claims.claim_next(GenerationJob.objects.filter(pk=job.pk), worker="here")
    assert claimed is not None
    return claimed


def next_of_all(*prefer: Q) -> GenerationJob | None:
    return claims.claim_next(GenerationJob.objects.all(), worker="there", prefer=prefer)


def fresh(job: GenerationJob) -> GenerationJob:
    return GenerationJob.objects.get(pk=job.pk)


def test_one_of_two_claims_gets_the_job(queued: GenerationJob, settings: Settings) -> None:
    mine = claim(queued)
    assert next_of_all() is None
    assert (mine.state, mine.attempt_count) == (STATES.RUNNING, 1)
    assert mine.lease_expires_at == NOON + timedelta(seconds=settings.JOB_LEASE_SECONDS)


def test_nothing_is_claimed_that_is_settled_cancelled_or_unknown(queued: GenerationJob) -> None:
    assert claims.finish(claim(queued))
    assert next_of_all() is None


def test_a_heartbeat_extends_the_lease(queued: GenerationJob, database_clock: Clock, settings: Settings) -> None:
    running = claim(queued)
    database_clock.pass_by(hours=1)
    assert claims.heartbeat(running)
    assert fresh(queued).lease_expires_at == database_clock.time + timedelta(seconds=settings.JOB_LEASE_SECONDS)


VERBS: list[Callable[[GenerationJob], bool]] = [
    claims.heartbeat,
    claims.finish,
    lambda job: claims.fail(job, error="broken"),
    lambda job: claims.set_back(job, error="broken"),
    claims.release,
    claims.stop,
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_worker_that_lost_its_lease_changes_nothing(
    queued: GenerationJob, database_clock: Clock, verb: Callable[..., bool]
) -> None:
    lost = claim(queued)
    database_clock.pass_by(hours=1)
    assert claims.reap(GenerationJob) == 1
    claim(queued)
    before = GenerationJob.objects.values().get(pk=queued.pk)
    assert not verb(lost)
    assert GenerationJob.objects.values().get(pk=queued.pk) == before


def test_failing_says_why_and_retrying_begins_anew(queued: GenerationJob) -> None:
    assert claims.fail(claim(queued), error="no such folder")
    assert fresh(queued).error == "no such folder"
    assert claims.retry(GenerationJob.objects.all()) == 1
    again = fresh(queued)
    assert (again.state, again.attempt_count, again.error, again.enqueued_at) == (STATES.QUEUED, 0, "", None)
    assert claims.retry(GenerationJob.objects.all()) == 0


def test_requeue_leaves_what_waits_or_runs_alone(queued: GenerationJob) -> None:
    running = claim(queued)
    assert claims.requeue(GenerationJob.objects.all()) == 0
    assert claims.finish(running)
    assert claims.requeue(GenerationJob.objects.all()) == 1


def test_a_released_job_was_not_tried(queued: GenerationJob) -> None:
    assert claims.release(claim(queued))
    assert (fresh(queued).state, fresh(queued).attempt_count) == (STATES.QUEUED, 0)


def test_attempts_are_limited_and_the_error_says_so(queued: GenerationJob) -> None:
    outcomes = [claims.set_back(claim(queued), error="disk full") for _ in range(claims.MOST_ATTEMPTS)]
    assert outcomes == [True, True, False]
    assert fresh(queued).state == STATES.FAILED
    assert fresh(queued).error == "Given up after 3 attempts: disk full"


def test_reaping_gives_expired_jobs_back_until_they_used_their_attempts(
    queued: GenerationJob, database_clock: Clock
) -> None:
    for _ in range(claims.MOST_ATTEMPTS - 1):
        claim(queued)
        assert claims.reap(GenerationJob) == 0  # the lease still runs
        database_clock.pass_by(hours=1)
        assert claims.reap(GenerationJob) == 1
        assert (fresh(queued).state, fresh(queued).enqueued_at) == (STATES.QUEUED, None)
    claim(queued)
    database_clock.pass_by(hours=1)
    assert claims.reap(GenerationJob) == 1
    assert fresh(queued).state == STATES.FAILED
    assert "3 attempts: the worker stopped answering" in fresh(queued).error


def test_a_message_is_lost_if_a_worker_runs_nothing(queued: GenerationJob, database_clock: Clock) -> None:
    other = only_job(planned(prompt="another"))
    GenerationJob.objects.update(enqueued_at=NOON)
    claims.reap(GenerationJob, is_queue_idle=True)
    assert fresh(queued).enqueued_at == NOON, "just sent"
    database_clock.time += 2 * claims.LOST_MESSAGE_AFTER
    assert not claims.is_at_work(GenerationJob)
    claims.reap(GenerationJob)
    assert fresh(queued).enqueued_at == NOON, "the queue is long, or no worker runs"
    assert claims.finish(claim(other))
    assert claims.is_at_work(GenerationJob)
    claims.reap(GenerationJob, is_queue_idle=True)
    assert fresh(queued).enqueued_at is None


def test_cancelling(queued: GenerationJob, database_clock: Clock) -> None:
    running = claim(only_job(planned(prompt="another")))
    assert claims.cancel(GenerationJob.objects.all()) == 2
    assert fresh(queued).state == STATES.CANCELLED
    assert fresh(running).is_cancel_requested
    database_clock.pass_by(hours=1)
    claims.reap(GenerationJob)  # its worker never answered
    assert fresh(running).state == STATES.CANCELLED


def test_a_job_asked_to_stop_and_given_back_is_not_claimed_again(queued: GenerationJob) -> None:
    running = claim(queued)
    claims.cancel(GenerationJob.objects.all())
    assert claims.release(running)
    assert next_of_all() is None
    claims.reap(GenerationJob)
    assert fresh(queued).state == STATES.CANCELLED


def ended_by(error: BaseException | None) -> Callable[[GenerationJob, Lease], None]:
    def do(job: GenerationJob, lease: Lease) -> None:
        if error is not None:
            raise error

    return do


@pytest.mark.parametrize(
    ("error", "state", "says"),
    [
        (None, STATES.DONE, ""),
        (Refused("sdxl: no such folder."), STATES.FAILED, "sdxl: no such folder."),
        (OSError("disk failed"), STATES.QUEUED, "Tried again: OSError: disk failed"),
        (FileNotFoundError(2, "No such file", "a.bin"), STATES.QUEUED, "Tried again: a.bin: No such file"),
        (Refused("no \udcff\0.png"), STATES.FAILED, "no \\udcff .png"),
        (ValueError("no \0.png"), STATES.QUEUED, "Tried again: ValueError: no  .png"),
        (Cancelled(), STATES.CANCELLED, ""),
        (LeaseLost(), STATES.RUNNING, ""),
    ],
)
def test_how_work_ends_settles_the_job(queued: GenerationJob, error: Exception, state: str, says: str) -> None:
    work.work_next(GenerationJob.objects.all(), ended_by(error))
    assert (fresh(queued).state, fresh(queued).error) == (state, says)


def test_a_worker_told_to_stop_gives_its_job_back(queued: GenerationJob) -> None:
    with pytest.raises(SystemExit):
        work.work_next(GenerationJob.objects.all(), ended_by(SystemExit()))
    assert (fresh(queued).state, fresh(queued).attempt_count) == (STATES.QUEUED, 0)


@pytest.mark.parametrize("moment", ["claim", "end"])
def test_a_worker_told_to_stop_while_it_claims_or_ends_a_job_gives_it_back(
    queued: GenerationJob, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def stop(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr("jobs.work.connection.close", lambda: None)  # it holds the test's transaction
    monkeypatch.setattr(work, "run" if moment == "claim" else "claims", stop if moment == "claim" else Stopping(stop))
    with pytest.raises(SystemExit):
        work.work_next(GenerationJob.objects.all(), ended_by(None))
    assert fresh(queued).state == STATES.RUNNING
    monkeypatch.setattr(work, "claims", claims)
    worker_process_shutdown.send(sender="gpu@elsewhere", pid=1, exitcode=0)
    assert fresh(queued).state == STATES.RUNNING
    worker_process_shutdown.send(sender=work.worker_name(), pid=1, exitcode=0)
    assert (fresh(queued).state, fresh(queued).attempt_count) == (STATES.QUEUED, 0)


class Stopping:
    """The actions on jobs, of which the one that ends a job is interrupted."""

    def __init__(self, stop: Callable[..., None]) -> None:
        self.finish = stop

    def __getattr__(self, name: str) -> Any:
        return getattr(claims, name)


def test_work_runs_once_however_often_the_message_comes(queued: GenerationJob) -> None:
    ran: list[int] = []
    for _ in range(2):
        work.work_next(GenerationJob.objects.all(), lambda job, lease: ran.append(job.pk))
    assert ran == [queued.pk]


def test_enqueueing_sends_a_message_after_the_commit_and_notes_when(
    queued: GenerationJob,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        type(current_app.signature("x")),
        "apply_async",
        lambda self, **options: sent.append((self.task, self.args)),
    )
    with django_capture_on_commit_callbacks(execute=True):
        messages.enqueue([queued])
        assert sent == []
    assert sent == [("generation.tasks.run_generation_job", ())]
    assert fresh(queued).enqueued_at is not None


def test_a_broker_that_is_away_leaves_the_job_to_the_tick(
    queued: GenerationJob,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: object, **_: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(type(current_app.signature("x")), "apply_async", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        messages.enqueue([queued])
    assert fresh(queued).enqueued_at is None
    assert fresh(queued).state == STATES.QUEUED


def of_model(name: str, prompt: str) -> GenerationJob:
    return only_job(planned(diffusion_model(name), prompt=prompt))


def test_the_loaded_model_goes_first_then_the_priority_then_the_age(queued: GenerationJob) -> None:
    young, urgent = of_model("other", "one"), of_model("other", "two")
    GenerationJob.objects.filter(pk=urgent.pk).update(priority=5)
    loaded = Q(image_set__diffusion_model__name="sdxl")
    newer = only_job(planned(prompt="a newer one of the loaded model"))
    order = []
    while job := next_of_all(loaded):
        order.append(job.pk)
    assert order == [queued.pk, newer.pk, urgent.pk, young.pk]


def test_a_job_with_a_pause_is_not_claimed_before_its_time(queued: GenerationJob, database_clock: Clock) -> None:
    assert claims.set_back(claim(queued), error="the file is not there", pause=timedelta(minutes=5))
    assert fresh(queued).not_before == NOON + timedelta(minutes=5)
    assert next_of_all() is None
    database_clock.pass_by(minutes=5)
    again = next_of_all()
    assert again is not None
    assert (again.pk, again.not_before) == (queued.pk, None)


def test_a_job_that_cannot_be_done_now_was_not_tried(queued: GenerationJob, database_clock: Clock) -> None:
    later = SetBack("its files are being fetched", pause=timedelta(minutes=1), is_counted=False)
    work.work_next(GenerationJob.objects.all(), ended_by(later))
    job = fresh(queued)
    assert (job.state, job.attempt_count, job.error) == (STATES.QUEUED, 0, "its files are being fetched")
    assert job.not_before == NOON + timedelta(minutes=1)


@pytest.mark.parametrize("file", ["", "/images/1.png.part"])
def test_a_full_disk_is_no_attempt_and_waits(queued: GenerationJob, database_clock: Clock, file: str) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", *([file] if file else []))
    work.work_next(GenerationJob.objects.all(), ended_by(full))
    job = fresh(queued)
    assert (job.state, job.attempt_count) == (STATES.QUEUED, 0)
    assert job.error == f"The disk of {work.worker_name()} is full{f' ({file})' if file else ''}: make room there."
    assert job.not_before == NOON + work.PAUSE_WITHOUT_ROOM


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (SetBack("the card failed", pause=timedelta(minutes=1), ends_process=True), STATES.QUEUED),
        (Broken("it broke two cards"), STATES.FAILED),
    ],
)
def test_a_process_that_cannot_go_on_ends_after_its_job_is_settled(
    queued: GenerationJob, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(work, "end_process", lambda: seen.append(fresh(queued).state))
    work.work_next(GenerationJob.objects.all(), ended_by(error))
    assert seen == [state]


@pytest.mark.parametrize("fails", ["set_back", "giving back"])
def test_a_process_that_cannot_go_on_ends_although_the_database_is_away(
    queued: GenerationJob, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    ended: list[bool] = []

    def away(*_: object, **__: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(work, "end_process", lambda: ended.append(True))
    monkeypatch.setattr(claims, fails, away, raising=False)
    with suppress(DatabaseError), work.RunningJob(claim(queued), before_end=away).step():
        raise SetBack("the card failed", pause=timedelta(minutes=1), ends_process=True)
    assert ended == [True]


def test_a_message_is_passed_on_if_others_may_take_what_is_due(
    queued: GenerationJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []
    monkeypatch.setattr(work, "SECONDS_BEFORE_PASSING_ON", 0)
    monkeypatch.setattr(messages, "send", lambda message: passed.append(message.task))
    unfit = GenerationJob.objects.exclude(pk=queued.pk)
    work.work_next(unfit, ended_by(None))
    assert passed == [GenerationJob.task_name]
    claims.finish(claim(queued))
    work.work_next(unfit, ended_by(None))
    assert passed == [GenerationJob.task_name]


def test_messages_that_are_passed_on_do_not_grow_in_number(
    queued: GenerationJob, database_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that are fetched for a night, say: no worker may take the job, and none of its messages is lost."""
    passed: list[object] = []
    monkeypatch.setattr(work, "SECONDS_BEFORE_PASSING_ON", 0)
    monkeypatch.setattr(messages, "send", passed.append)
    GenerationJob.objects.update(enqueued_at=NOON)
    for _ in range(10):
        database_clock.pass_by(minutes=2)
        work.work_next(GenerationJob.objects.none(), ended_by(None))
        claims.reap(GenerationJob, is_queue_idle=True)
        assert fresh(queued).enqueued_at is not None
    assert len(passed) == 10
    database_clock.pass_by(minutes=3)  # now it is lost
    claims.reap(GenerationJob, is_queue_idle=True)
    assert fresh(queued).enqueued_at is None


def test_the_end_of_a_job_is_announced(queued: GenerationJob, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr(messages, "send", lambda message: sent.append((message.task, message.args)))
    work.work_next(GenerationJob.objects.all(), ended_by(Refused("no such folder")))
    assert sent == [("annotation.tasks.advance_after", (GenerationJob.task_name, queued.pk))]


def test_log_lines_of_a_job_name_it_its_image_set_and_the_worker(queued: GenerationJob) -> None:
    seen: list[dict[str, object]] = []
    work.work_next(GenerationJob.objects.all(), lambda job, lease: seen.append(get_contextvars()))
    worker = work.worker_name()
    assert seen == [{"job": f"generation_job {queued.pk}", "image_set": queued.image_set_id, "worker": worker}]
    assert get_contextvars() == {}
