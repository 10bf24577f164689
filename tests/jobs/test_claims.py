"""Jobs: each state's allowed changes, and the state after a crash."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from celery import current_app
from django.utils import timezone
from kombu.exceptions import OperationalError
from pytest_django.fixtures import DjangoCaptureOnCommitCallbacks, Settings

from generation.models import GenerationJob
from jobs import claims
from jobs.leases import Cancelled, Lease, LeaseLost
from jobs.refusals import Refused
from tests.generation.planned_sets import only_job, planned

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
STATES = GenerationJob.State
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.get_default_timezone())
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def queued() -> GenerationJob:
    return only_job(planned())


def claim(job: GenerationJob, now: datetime = NOW) -> GenerationJob:
    claimed = claims.claim(GenerationJob, job.pk, worker="here", now=now)
    assert claimed is not None
    return claimed


def fresh(job: GenerationJob) -> GenerationJob:
    return GenerationJob.objects.get(pk=job.pk)


def test_one_of_two_claims_gets_the_job(queued: GenerationJob, settings: Settings) -> None:
    mine = claim(queued)
    assert claims.claim(GenerationJob, queued.pk, worker="there", now=NOW) is None
    assert (mine.state, mine.attempt_count) == (STATES.RUNNING, 1)
    assert mine.lease_expires_at == NOW + timedelta(seconds=settings.JOB_LEASE_SECONDS)


def test_nothing_is_claimed_that_is_settled_cancelled_or_unknown(queued: GenerationJob) -> None:
    assert claims.finish(claim(queued), NOW)
    assert claims.claim(GenerationJob, queued.pk, worker="there", now=NOW) is None
    assert claims.claim(GenerationJob, queued.pk + 1000, worker="there", now=NOW) is None


def test_a_heartbeat_extends_the_lease(queued: GenerationJob, settings: Settings) -> None:
    assert claims.heartbeat(claim(queued), LATER)
    assert fresh(queued).lease_expires_at == LATER + timedelta(seconds=settings.JOB_LEASE_SECONDS)


VERBS: list[Callable[[GenerationJob], bool]] = [
    lambda job: claims.heartbeat(job, LATER),
    lambda job: claims.finish(job, LATER),
    lambda job: claims.fail(job, error="broken", now=LATER),
    lambda job: claims.set_back(job, error="broken", now=LATER),
    claims.release,
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_worker_that_lost_its_lease_changes_nothing(queued: GenerationJob, verb: Callable[..., bool]) -> None:
    lost = claim(queued)
    assert claims.reap(GenerationJob, LATER) == 1
    claim(queued, LATER)
    before = GenerationJob.objects.values().get(pk=queued.pk)
    assert not verb(lost)
    assert GenerationJob.objects.values().get(pk=queued.pk) == before


def test_failing_says_why_and_retrying_begins_anew(queued: GenerationJob) -> None:
    assert claims.fail(claim(queued), error="no such folder", now=NOW)
    assert fresh(queued).error == "no such folder"
    assert claims.retry(GenerationJob.objects.all()) == 1
    again = fresh(queued)
    assert (again.state, again.attempt_count, again.error, again.enqueued_at) == (STATES.QUEUED, 0, "", None)
    assert claims.retry(GenerationJob.objects.all()) == 0


def test_requeue_leaves_what_waits_or_runs_alone(queued: GenerationJob) -> None:
    running = claim(queued)
    assert claims.requeue(GenerationJob.objects.all()) == 0
    assert claims.finish(running, NOW)
    assert claims.requeue(GenerationJob.objects.all()) == 1


def test_a_released_job_was_not_tried(queued: GenerationJob) -> None:
    assert claims.release(claim(queued))
    assert (fresh(queued).state, fresh(queued).attempt_count) == (STATES.QUEUED, 0)


def test_attempts_are_limited_and_the_error_says_so(queued: GenerationJob) -> None:
    outcomes = [claims.set_back(claim(queued), error="disk full", now=NOW) for _ in range(claims.MOST_ATTEMPTS)]
    assert outcomes == [True, True, False]
    assert fresh(queued).state == STATES.FAILED
    assert fresh(queued).error == "Given up after 3 attempts: disk full"


def test_reaping_gives_expired_jobs_back_until_they_used_their_attempts(queued: GenerationJob) -> None:
    for _ in range(claims.MOST_ATTEMPTS - 1):
        claim(queued)
        assert claims.reap(GenerationJob, NOW) == 0  # the lease still runs
        assert claims.reap(GenerationJob, LATER) == 1
        assert (fresh(queued).state, fresh(queued).enqueued_at) == (STATES.QUEUED, None)
    claim(queued)
    assert claims.reap(GenerationJob, LATER) == 1
    assert fresh(queued).state == STATES.FAILED
    assert "3 attempts: the worker stopped answering" in fresh(queued).error


def test_reaping_finds_lost_messages_only_where_nothing_goes_on(queued: GenerationJob) -> None:
    other = only_job(planned(prompt="another"))
    GenerationJob.objects.update(enqueued_at=NOW)
    long_after = NOW + 2 * claims.LOST_MESSAGE_AFTER
    assert claims.finish(claim(other, long_after), long_after)
    claims.reap(GenerationJob, long_after)
    assert fresh(queued).enqueued_at == NOW  # the queue is long, not lost
    claims.reap(GenerationJob, long_after + 2 * claims.LOST_MESSAGE_AFTER)
    assert fresh(queued).enqueued_at is None


def test_cancelling(queued: GenerationJob) -> None:
    running = claim(only_job(planned(prompt="another")))
    assert claims.cancel(GenerationJob.objects.all()) == 2
    assert fresh(queued).state == STATES.CANCELLED
    assert fresh(running).is_cancel_requested
    claims.reap(GenerationJob, LATER)  # its worker never answered
    assert fresh(running).state == STATES.CANCELLED


def test_a_job_asked_to_stop_and_given_back_is_not_claimed_again(queued: GenerationJob) -> None:
    running = claim(queued)
    claims.cancel(GenerationJob.objects.all())
    assert claims.release(running)
    assert claims.claim(GenerationJob, queued.pk, worker="here", now=NOW) is None
    claims.reap(GenerationJob, NOW)
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
        (OSError("disk full"), STATES.QUEUED, "Tried again: OSError: disk full"),
        (Cancelled(), STATES.CANCELLED, ""),
        (LeaseLost(), STATES.RUNNING, ""),
    ],
)
def test_how_work_ends_settles_the_job(queued: GenerationJob, error: Exception, state: str, says: str) -> None:
    claims.work(GenerationJob, queued.pk, ended_by(error))
    assert (fresh(queued).state, fresh(queued).error) == (state, says)


def test_a_worker_told_to_stop_gives_its_job_back(queued: GenerationJob) -> None:
    with pytest.raises(SystemExit):
        claims.work(GenerationJob, queued.pk, ended_by(SystemExit()))
    assert (fresh(queued).state, fresh(queued).attempt_count) == (STATES.QUEUED, 0)


def test_work_runs_once_however_often_the_message_comes(queued: GenerationJob) -> None:
    ran: list[int] = []
    for _ in range(2):
        claims.work(GenerationJob, queued.pk, lambda job, lease: ran.append(job.pk))
    assert ran == [queued.pk]


def test_enqueueing_sends_the_id_after_the_commit_and_notes_when(
    queued: GenerationJob,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        type(current_app.signature("x")),
        "apply_async",
        lambda self, **options: sent.append((self.task, self.args, options["link"])),
    )
    link = current_app.signature("annotation.tasks.advance_study")
    with django_capture_on_commit_callbacks(execute=True):
        claims.enqueue([queued], link=link)
        assert sent == []
    assert sent == [("generation.tasks.run_generation_job", (queued.pk,), link)]
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
        claims.enqueue([queued])
    assert fresh(queued).enqueued_at is None
    assert fresh(queued).state == STATES.QUEUED
