"""Claim, extend, finish, fail, release, reap and retry jobs, so that a job survives its worker.

The row is the truth and a queue message only a hint: a message may be lost, repeated or late. Every change of state is
one conditional UPDATE, and its row count says whether it happened. A claim writes a unique token, so a worker whose
lease ran out changes no row.
"""

import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from celery import current_app
from celery.canvas import Signature
from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from kombu.exceptions import OperationalError

from jobs.leases import Cancelled, Lease, LeaseLost
from jobs.models import LeasedJob
from jobs.refusals import Refused

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
LOST_MESSAGE_AFTER = timedelta(minutes=10)
MESSAGES_AT_ONCE = 500  # most rows that one `reap` marks for a new message: an UPDATE blocks SQLite's other writers
State = LeasedJob.State
J = TypeVar("J", bound=LeasedJob)


def enqueue(jobs: Iterable[LeasedJob], *, link: Signature | None = None) -> None:
    """Send a message for each job after the transaction is committed; `link` runs after each job that ran.

    Sending twice is harmless. If the broker is down, `enqueued_at` stays empty and the next tick sends the message.
    """
    for job in jobs:
        transaction.on_commit(partial(_send, job, link))


def _send(job: LeasedJob, link: Signature | None) -> None:
    try:
        current_app.signature(job.task_name, args=(job.pk,)).apply_async(link=link)
    except OperationalError:
        logger.warning("no message sent for %s %s: the broker does not answer", job.task_name, job.pk)
        return
    _rows(job).update(enqueued_at=timezone.now())


def claim(job_model: type[J], job_id: int, *, worker: str, now: datetime) -> J | None:
    """Return the job if this worker claimed it; None if it is finished, cancelled, or claimed by another worker."""
    token = f"{worker[:180]}/{secrets.token_hex(8)}"
    taken = job_model._default_manager.filter(pk=job_id, state=State.QUEUED, is_cancel_requested=False).update(
        state=State.RUNNING,
        claimed_by=token,
        attempt_count=F("attempt_count") + 1,
        lease_expires_at=_lease_end(now),
        heartbeat_at=now,
        started_at=now,
        finished_at=None,
    )
    return job_model._default_manager.get(pk=job_id) if taken else None


def heartbeat(job: LeasedJob, now: datetime) -> bool:
    """Extend the lease. Return False if this claim has lost the job."""
    return bool(_claimed(job).update(lease_expires_at=_lease_end(now), heartbeat_at=now))


def finish(job: LeasedJob, now: datetime) -> bool:
    """Mark the job as done. Return False if this claim has lost the job."""
    return _settle(job, State.DONE, now, error="")


def fail(job: LeasedJob, *, error: str, now: datetime) -> bool:
    """Mark the job as failed for the given reason. Return False if this claim has lost the job."""
    return _settle(job, State.FAILED, now, error=error)


def release(job: LeasedJob) -> bool:
    """Queue the job again without counting the attempt, because its worker is stopping."""
    return bool(
        _claimed(job).update(
            state=State.QUEUED, lease_expires_at=None, enqueued_at=None, attempt_count=F("attempt_count") - 1
        )
    )


def set_back(job: LeasedJob, *, error: str, now: datetime) -> bool:
    """Queue the job again after a fault that may pass, or fail it after MOST_ATTEMPTS. Return whether it is queued."""
    if job.attempt_count >= MOST_ATTEMPTS:
        fail(job, error=f"Given up after {MOST_ATTEMPTS} attempts: {error}", now=now)
        return False
    return bool(
        _claimed(job).update(state=State.QUEUED, lease_expires_at=None, enqueued_at=None, error=f"Tried again: {error}")
    )


def reap(job_model: type[J], now: datetime) -> int:
    """Queue or fail the jobs of workers that stopped answering, and return their count.

    Afterwards `enqueued_at` is empty in each row that needs a message; the caller enqueues these rows. They include
    queued jobs whose message seems lost: it was sent long ago, and no job of this kind has run since.
    """
    objects = job_model._default_manager
    expired = objects.filter(state=State.RUNNING, lease_expires_at__lt=now)
    ended = {"lease_expires_at": None, "finished_at": now}
    # A worker may have released a job before it saw the request to cancel it.
    objects.filter(state=State.QUEUED, is_cancel_requested=True).update(state=State.CANCELLED, finished_at=now)
    count = expired.filter(is_cancel_requested=True).update(state=State.CANCELLED, **ended)
    count += expired.filter(attempt_count__gte=MOST_ATTEMPTS).update(
        state=State.FAILED,
        error=f"Given up after {MOST_ATTEMPTS} attempts: the worker stopped answering each time (its log may say why).",
        **ended,
    )
    count += expired.update(state=State.QUEUED, lease_expires_at=None, enqueued_at=None)
    long_ago = now - LOST_MESSAGE_AFTER
    if not objects.filter(heartbeat_at__gte=long_ago).exists():
        lost = objects.filter(state=State.QUEUED, enqueued_at__lt=long_ago).order_by("pk")
        objects.filter(pk__in=list(lost.values_list("pk", flat=True)[:MESSAGES_AT_ONCE])).update(enqueued_at=None)
    return count


def retry(jobs: QuerySet[J]) -> int:
    """Queue failed jobs again with all their attempts, and return the count. The caller enqueues them."""
    return requeue(jobs.filter(state=State.FAILED))


def give_up(jobs: QuerySet[J]) -> int:
    """Cancel failed jobs, and return the count. A study that needs one plans it again."""
    return jobs.filter(state=State.FAILED).update(state=State.CANCELLED)


def requeue(jobs: QuerySet[J]) -> int:
    """Queue ended jobs again with all their attempts, and return the count. The caller enqueues them."""
    return jobs.exclude(state__in=(State.QUEUED, State.RUNNING)).update(
        state=State.QUEUED, attempt_count=0, error="", is_cancel_requested=False, enqueued_at=None, finished_at=None
    )


def cancel(jobs: QuerySet[J]) -> int:
    """Cancel queued jobs, ask running ones to stop at their next step, and return the count."""
    waiting = jobs.filter(state=State.QUEUED).update(state=State.CANCELLED)
    return waiting + jobs.filter(state=State.RUNNING).update(is_cancel_requested=True)


def work(job_model: type[J], job_id: int, do: Callable[[J, Lease], None]) -> None:
    """Claim a job, run `do(job, lease)`, and record how it ended.

    Refused fails the job for good; any other exception queues it again; a lost lease leaves it to its new owner.
    Calling this twice, or for a job that has ended, does nothing.
    """
    job = claim(job_model, job_id, worker=f"{socket.gethostname()}:{os.getpid()}", now=timezone.now())
    if job is None:
        return
    try:
        with Lease(job, beat=heartbeat) as lease:
            do(job, lease)
    except LeaseLost:
        logger.warning("%s %s was taken over by another worker", job.task_name, job.pk)
    except Cancelled:
        _settle(job, State.CANCELLED, timezone.now(), error="")
    except Refused as refusal:
        fail(job, error=str(refusal), now=timezone.now())
    except Exception as error:
        logger.exception("%s %s failed", job.task_name, job.pk)
        if set_back(job, error=f"{type(error).__name__}: {error}"[:1000], now=timezone.now()):
            enqueue([job])
    except BaseException:  # the worker is stopping
        release(job)
        raise
    else:
        finish(job, timezone.now())


def _lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.JOB_LEASE_SECONDS)


def _rows(job: J) -> QuerySet[J]:
    return type(job)._default_manager.filter(pk=job.pk)


def _claimed(job: J) -> QuerySet[J]:
    return _rows(job).filter(state=State.RUNNING, claimed_by=job.claimed_by)


def _settle(job: LeasedJob, state: LeasedJob.State, now: datetime, *, error: str) -> bool:
    return bool(_claimed(job).update(state=state, error=error, lease_expires_at=None, finished_at=now))
