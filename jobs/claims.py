"""Claim, extend, finish, fail, release, reap and retry jobs, so that a job survives its worker.

The row is the truth and a queue message only says that there is work: a message may be lost, repeated or late. Every
change of state is one conditional UPDATE, and its row count says whether it happened. A claim writes a unique token, so
a worker whose lease ran out changes no row.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from django.apps import apps
from django.conf import settings
from django.db.models import F, Q, QuerySet

from jobs import clock
from jobs.models import LeasedJob
from jobs.wording import storable

MOST_ATTEMPTS = 3
LOST_MESSAGE_AFTER = timedelta(minutes=2)
MESSAGES_AT_ONCE = 500  # most rows that one `reap` marks for a new message: an UPDATE blocks SQLite's other writers
CANDIDATES = 16  # jobs that a claim tries before it looks again: other workers may be quicker with the first ones
TRIED = "Tried again: "  # begins the error of a job that is queued again
State = LeasedJob.State
J = TypeVar("J", bound=LeasedJob)


def due(jobs: QuerySet[J]) -> QuerySet[J]:
    """Return the jobs that may be claimed now."""
    is_time = Q(not_before__isnull=True) | Q(not_before__lte=clock.now())
    return jobs.filter(is_time, state=State.QUEUED, is_cancel_requested=False)


def are_others_due(job_model: type[LeasedJob]) -> bool:
    """Return whether jobs of another kind wait."""
    return any(due(kind._default_manager.all()).exists() for kind in _kinds() if kind is not job_model)


def _kinds() -> list[type[LeasedJob]]:
    return [model for model in apps.get_models() if issubclass(model, LeasedJob)]


def claim_next(jobs: QuerySet[J], *, worker: str, prefer: Sequence[Q] = ()) -> J | None:
    """Claim the best due job among `jobs` for the worker, and return it; None if there is none.

    Jobs that meet the first condition of `prefer` go first, then those that meet the second, then all others. Among
    these the highest priority goes first, then the oldest job.
    """
    for condition in (*prefer, Q()):
        best = due(jobs).filter(condition).order_by("-priority", "pk").values_list("pk", flat=True)
        while candidates := list(best[:CANDIDATES]):
            for job_id in candidates:
                if job := _claim(jobs.model, job_id, worker):
                    return job
    return None


def _claim(job_model: type[J], job_id: int, worker: str) -> J | None:
    """Return the job if this worker claimed it; None if it is no longer due, or another worker was quicker."""
    token = _token_start(worker) + secrets.token_hex(8)
    taken = due(job_model._default_manager.filter(pk=job_id)).update(
        state=State.RUNNING,
        claimed_by=token,
        attempt_count=F("attempt_count") + 1,
        lease_expires_at=_lease_end(),
        heartbeat_at=clock.now(),
        started_at=clock.now(),
        finished_at=None,
        not_before=None,
    )
    return job_model._default_manager.get(pk=job_id) if taken else None


def _token_start(worker: str) -> str:
    return f"{worker[:180]}/"


def heartbeat(job: LeasedJob) -> bool:
    """Extend the lease. Return False if this claim has lost the job."""
    return bool(_claimed(job).update(lease_expires_at=_lease_end(), heartbeat_at=clock.now()))


def finish(job: LeasedJob) -> bool:
    """Mark the job as done. Return False if this claim has lost the job."""
    return _settle(job, State.DONE, error="")


def fail(job: LeasedJob, *, error: str) -> bool:
    """Mark the job as failed for the given reason. Return False if this claim has lost the job."""
    return _settle(job, State.FAILED, error=error)


def stop(job: LeasedJob) -> bool:
    """Mark the job as cancelled, because a person asked for it. Return False if this claim has lost the job."""
    return _settle(job, State.CANCELLED, error="")


def release(job: LeasedJob, *, pause: timedelta = timedelta(0), **changes: str) -> bool:
    """Queue the job again without counting the attempt, because its worker is stopping or cannot do it now."""
    return _requeue_claimed(job, pause, attempt_count=F("attempt_count") - 1, **changes)


def release_all(worker: str) -> int:
    """Queue all jobs again that a worker still holds, because its process ends, and return their count."""
    return sum(
        kind._default_manager.filter(state=State.RUNNING, claimed_by__startswith=_token_start(worker)).update(
            state=State.QUEUED, lease_expires_at=None, enqueued_at=None, attempt_count=F("attempt_count") - 1
        )
        for kind in _kinds()
    )


def set_back(job: LeasedJob, *, error: str, pause: timedelta = timedelta(0)) -> bool:
    """Queue the job again after a fault that may pass, or fail it after MOST_ATTEMPTS. Return whether it is queued."""
    if job.attempt_count >= MOST_ATTEMPTS:
        fail(job, error=f"Given up after {MOST_ATTEMPTS} attempts: {error}")
        return False
    return _requeue_claimed(job, pause, error=TRIED + error)


def _requeue_claimed(job: LeasedJob, pause: timedelta, **changes: Any) -> bool:
    not_before = clock.in_future(pause) if pause else None
    changes |= {"error": storable(changes["error"])} if "error" in changes else {}
    return bool(
        _claimed(job).update(
            state=State.QUEUED, lease_expires_at=None, enqueued_at=None, not_before=not_before, **changes
        )
    )


def reap(job_model: type[J], *, is_queue_idle: bool = False) -> int:
    """Queue or fail the jobs of workers that stopped answering, and return their count.

    Afterwards `enqueued_at` is empty in each row that needs a message; the caller enqueues these rows. They include
    queued jobs whose message was lost with a killed worker: it was sent long ago, and the queue has a worker that runs
    nothing. Without a worker all messages wait.
    """
    objects = job_model._default_manager
    expired = objects.filter(state=State.RUNNING, lease_expires_at__lt=clock.now())
    ended: dict[str, Any] = {"lease_expires_at": None, "finished_at": clock.now()}
    # A worker may have released a job before it saw the request to cancel it.
    objects.filter(state=State.QUEUED, is_cancel_requested=True).update(state=State.CANCELLED, finished_at=clock.now())
    count = expired.filter(is_cancel_requested=True).update(state=State.CANCELLED, **ended)
    count += expired.filter(attempt_count__gte=MOST_ATTEMPTS).update(
        state=State.FAILED,
        error=f"Given up after {MOST_ATTEMPTS} attempts: the worker stopped answering each time (its log may say why).",
        **ended,
    )
    count += expired.update(state=State.QUEUED, lease_expires_at=None, enqueued_at=None)
    if is_queue_idle:
        lost = objects.filter(state=State.QUEUED, enqueued_at__lt=clock.ago(LOST_MESSAGE_AFTER)).order_by("pk")
        objects.filter(pk__in=list(lost.values_list("pk", flat=True)[:MESSAGES_AT_ONCE])).update(enqueued_at=None)
    return count


def expect_messages(jobs: QuerySet[J]) -> None:
    """Note that messages for these jobs are on their way, so that `reap` takes none for lost.

    A message that workers pass on, because none of them may take what is due, would else be sent again and again.
    """
    old = due(jobs).filter(enqueued_at__lt=clock.ago(LOST_MESSAGE_AFTER / 2)).order_by("pk")
    these = list(old.values_list("pk", flat=True)[:MESSAGES_AT_ONCE])
    jobs.model._default_manager.filter(pk__in=these, state=State.QUEUED).update(enqueued_at=clock.now())


def is_at_work(job_model: type[LeasedJob]) -> bool:
    """Return whether a job of this kind has run within the time after which a message seems lost."""
    return job_model._default_manager.filter(heartbeat_at__gte=clock.ago(LOST_MESSAGE_AFTER)).exists()


def retry(jobs: QuerySet[J]) -> int:
    """Queue failed jobs again with all their attempts, and return the count. The caller enqueues them."""
    return requeue(jobs.filter(state=State.FAILED))


def give_up(jobs: QuerySet[J]) -> int:
    """Cancel failed jobs, and return the count. If a study still needs one, it queues it again."""
    return jobs.filter(state=State.FAILED).update(state=State.CANCELLED)


def fail_queued(jobs: QuerySet[J], *, error: str) -> int:
    """Fail queued jobs that cannot run on any worker for the given reason, and return the count."""
    return jobs.filter(state=State.QUEUED).update(state=State.FAILED, error=storable(error), finished_at=clock.now())


def requeue(jobs: QuerySet[J]) -> int:
    """Queue ended jobs again with all their attempts, and return the count. The caller enqueues them."""
    return jobs.exclude(state__in=(State.QUEUED, State.RUNNING)).update(
        state=State.QUEUED,
        attempt_count=0,
        error="",
        is_cancel_requested=False,
        enqueued_at=None,
        finished_at=None,
        not_before=None,
        failed_on="",
    )


def cancel(jobs: QuerySet[J]) -> int:
    """Cancel queued jobs, ask running ones to stop at their next step, and return the count."""
    waiting = jobs.filter(state=State.QUEUED).update(state=State.CANCELLED)
    return waiting + jobs.filter(state=State.RUNNING).update(is_cancel_requested=True)


def _lease_end() -> Any:
    return clock.in_future(timedelta(seconds=settings.JOB_LEASE_SECONDS))


def _claimed(job: J) -> QuerySet[J]:
    return type(job)._default_manager.filter(pk=job.pk, state=State.RUNNING, claimed_by=job.claimed_by)


def _settle(job: LeasedJob, state: LeasedJob.State, *, error: str) -> bool:
    ended: dict[str, Any] = {"lease_expires_at": None, "finished_at": clock.now()}
    return bool(_claimed(job).update(state=state, error=storable(error), **ended))
