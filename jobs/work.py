"""Run the next job of a kind, and record how it ended."""

import errno
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar

from celery import current_task
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet
from structlog.contextvars import bound_contextvars

from jobs import claims, messages
from jobs.leases import Cancelled, Lease, LeaseLost
from jobs.models import LeasedJob
from jobs.refusals import Broken, Refused, SetBack

logger = logging.getLogger(__name__)

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
PAUSE_WITHOUT_ROOM = timedelta(minutes=1)
SECONDS_BEFORE_PASSING_ON = 1.0  # else a message would run in circles between workers that cannot use it
J = TypeVar("J", bound=LeasedJob)
Do = Callable[[J, Lease], None]


def worker_name() -> str:
    """Return the name of this worker: `<queue>@<host>` in a Celery process, elsewhere the host."""
    request = current_task.request if current_task else None
    return str(getattr(request, "hostname", None) or socket.gethostname())


def work_next(jobs: QuerySet[J], do: Do[J], *, prefer: Sequence[Q] = (), queued: QuerySet[J] | None = None) -> None:
    """Claim the best job of those that this worker may take, and run it. One message runs at most one job.

    If jobs are due that this worker may not take, the message is passed on to another worker. `queued`: the jobs that
    messages of this queue are for; by default all of this kind.
    """
    if run_next(jobs, do, prefer=prefer):
        return
    waiting = jobs.model._default_manager.all() if queued is None else queued
    if other := claims.due(waiting).first():
        claims.expect_messages(waiting)
        time.sleep(SECONDS_BEFORE_PASSING_ON)
        messages.wake_another(other)


def run_next(jobs: QuerySet[J], do: Do[J], *, prefer: Sequence[Q] = ()) -> bool:
    """Claim the best job of those that this worker may take, and run it; return whether there was one."""
    job = claims.claim_next(jobs, worker=f"{worker_name()}:{os.getpid()}", prefer=prefer)
    if job is not None:
        run(job, do)
    return job is not None


def run(job: J, do: Do[J]) -> None:
    """Run `do(job, lease)` for a claimed job, record how it ended, and announce that.

    Refused fails the job for good; SetBack queues it again after its pause, any other exception at once; a lost lease
    leaves it to its new owner.
    """
    with bound_contextvars(worker=worker_name(), **job.log_fields):
        began = time.monotonic()
        ends_process = _run(job, do)
        logger.info("the job ended after %.1f s", time.monotonic() - began)
    messages.announce_end(job)
    if ends_process:
        end_process()


def _run(job: J, do: Do[J]) -> bool:
    """Run the job and record how it ended. Return whether this process cannot go on."""
    ends_process = False
    try:
        with Lease(job, beat=claims.heartbeat, on_stuck=partial(_end_stuck, job)) as lease:
            do(job, lease)
    except LeaseLost:
        logger.warning("%s %s was taken over by another worker", job.task_name, job.pk)
    except Cancelled:
        claims.stop(job)
    except Refused as refusal:
        claims.fail(job, error=str(refusal))
        ends_process = isinstance(refusal, Broken)
    except SetBack as setback:
        _set_back(job, setback)
        ends_process = setback.ends_process
    except Exception as error:
        _queue_after_fault(job, error)
    except BaseException:  # the worker is stopping
        claims.release(job)
        raise
    else:
        claims.finish(job)
    return ends_process


def _queue_after_fault(job: LeasedJob, error: Exception) -> None:
    """Queue the job again at once, or after a pause if there is no room on the disk: that is no fault of the job."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        place = f" ({error.filename})" if error.filename else ""
        sentence = f"The disk of {worker_name()} is full{place}: make room there."
        _set_back(job, SetBack(sentence, pause=PAUSE_WITHOUT_ROOM, is_counted=False))
        return
    logger.exception("%s %s failed", job.task_name, job.pk)
    if isinstance(error, DatabaseError):
        connection.close()  # it may be broken, and a new one may not
    if claims.set_back(job, error=f"{type(error).__name__}: {error}"[:1000]):
        messages.enqueue([job])


def _set_back(job: LeasedJob, setback: SetBack) -> None:
    logger.warning("%s %s is set back: %s", job.task_name, job.pk, setback)
    if setback.is_counted:
        claims.set_back(job, error=str(setback), pause=setback.pause)
    else:
        claims.release(job, pause=setback.pause, error=str(setback))


def _end_stuck(job: LeasedJob) -> None:
    """End a process whose work hangs; before, let the job say what hung, and queue it again or fail it."""
    sentence = f"{job.subject} made no step for {settings.JOB_STUCK_SECONDS} s, so its process was ended as hung."
    try:
        claims.set_back(job, error=sentence)
    except DatabaseError:  # its lease ends by itself
        logger.warning("the database does not answer: %s", sentence)
    end_process()


def end_process() -> None:
    """End this process at once, so that a new one starts with a sound device: nothing here can be trusted to clean up.

    What it did is in the database. Celery's main process starts another pool process.
    """
    logging.shutdown()
    os._exit(1)
