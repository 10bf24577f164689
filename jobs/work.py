"""Run the next job of a kind, and record how it ended."""

import errno
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from typing import Generic, TypeVar

from celery import current_task
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet
from structlog.contextvars import bound_contextvars

from jobs import claims, messages
from jobs.leases import Cancelled, Lease, LeaseLost
from jobs.models import LeasedJob
from jobs.refusals import Broken, Refused, SetBack
from jobs.wording import first_line

logger = logging.getLogger(__name__)

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
PAUSE_WITHOUT_ROOM = timedelta(minutes=1)
SECONDS_BEFORE_PASSING_ON = 1.0  # else a message would run in circles between workers that cannot use it
J = TypeVar("J", bound=LeasedJob)
T = TypeVar("T")
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
    if job := claim(jobs, prefer=prefer):
        run(job, do)
    else:
        pass_on(jobs.model._default_manager.all() if queued is None else queued)


def claim(jobs: QuerySet[J], *, prefer: Sequence[Q] = ()) -> J | None:
    """Claim the best job of those that this worker may take; None if there is none."""
    return claims.claim_next(jobs, worker=_claimant(worker_name()), prefer=prefer)


def give_back_all(name: str) -> None:
    """Queue all jobs again that this process of the named worker still holds, because it ends.

    The signal may come between the statement that claims a job or records its end, and the next line.
    """
    connection.close()  # the signal may have broken the connection
    try:
        if count := claims.release_all(_claimant(name)):
            logger.warning("%d jobs were given back at the end of the process", count)
    except DatabaseError:  # the leases end by themselves
        logger.warning("no job is given back: the database does not answer")


def _claimant(name: str) -> str:
    return f"{name}:{os.getpid()}"


def pass_on(queued: QuerySet[J]) -> None:
    """Pass a message on to another worker if a job is due that this worker may not take."""
    if other := claims.due(queued).first():
        claims.expect_messages(queued)
        time.sleep(SECONDS_BEFORE_PASSING_ON)
        messages.wake_another(other)


def run(job: J, do: Do[J]) -> None:
    """Run `do(job, lease)` for a claimed job, record how it ended, and announce that.

    Refused fails the job for good; SetBack queues it again after its pause, any other exception at once; a lost lease
    leaves it to its new owner.
    """
    running = RunningJob(job)
    with running.step():
        do(job, running.lease)
    running.finish()


class RunningJob(Generic[J]):
    """A claimed job with its lease. It is done in steps, which may alternate with steps of other jobs.

    before_end: called before this process ends because of the job, to give back what else it has.
    """

    def __init__(self, job: J, before_end: Callable[[], None] = lambda: None) -> None:
        self.job = job
        self.is_over = False
        self.log_fields = {"worker": worker_name(), **job.log_fields}
        self._before_end = before_end
        self._began = time.monotonic()
        self._resources = ExitStack()
        self.lease = self.enter(Lease(job, beat=claims.heartbeat, on_stuck=partial(_end_stuck, job)))

    def enter(self, resource: AbstractContextManager[T]) -> T:
        """Enter a context that is left when the job is over, and return its value."""
        return self._resources.enter_context(resource)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Do a part of the job in the block. An exception ends the job as `run` says, and is not passed on."""
        with bound_contextvars(**self.log_fields):
            try:
                yield
            except LeaseLost:
                self._end(partial(_note_lost, self.job))
            except Cancelled:
                self._end(partial(claims.stop, self.job))
            except Refused as refusal:
                self._end(partial(claims.fail, self.job, error=str(refusal)), isinstance(refusal, Broken))
            except SetBack as setback:
                self._end(partial(_set_back, self.job, setback), setback.ends_process)
            except Exception as error:
                self._end(partial(_queue_after_fault, self.job, error))
            except BaseException:  # the worker is stopping
                self.give_back()
                raise

    def finish(self) -> None:
        """Record that the job is done, unless it is over already."""
        with bound_contextvars(**self.log_fields):
            self._end(partial(claims.finish, self.job))

    def give_back(self) -> None:
        """Queue the job again without counting the attempt, unless it is over already."""
        if not self.is_over:
            self._settle(partial(claims.release, self.job))

    def end_process(self) -> None:
        """Give back the other jobs of this process, whose device is broken, and end it."""
        try:
            self._before_end()
        except DatabaseError:  # the leases end by themselves
            logger.warning("this process ends, and the database does not answer")
        finally:
            end_process()

    def _end(self, settle: Callable[[], object], ends_process: bool = False) -> None:
        if self.is_over:
            return
        try:
            self._settle(settle)
            logger.info("the job ended after %.1f s", time.monotonic() - self._began)
            messages.announce_end(self.job)
        finally:
            if ends_process:
                self.end_process()

    def _settle(self, settle: Callable[[], object]) -> None:
        """Record how the job ended before its resources are released, which may take a while or fail."""
        self.is_over = True
        try:
            settle()
        finally:
            self._resources.close()


def _note_lost(job: LeasedJob) -> None:
    logger.warning("%s %s was taken over by another worker", job.task_name, job.pk)


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
    if claims.set_back(job, error=_as_text(error)[:1000]):
        messages.enqueue([job])


def _as_text(error: Exception) -> str:
    return first_line(error) if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"


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
