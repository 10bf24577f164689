"""A lease on a job, extended by a thread until the work ends."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from jobs import clock
from jobs.models import LeasedJob

logger = logging.getLogger(__name__)


class LeaseLost(Exception):  # noqa: N818 - it names what happened
    """Another worker has the job now, so the results are thrown away."""


class Cancelled(Exception):  # noqa: N818 - it names what happened
    """A person asked the job to stop."""


class Lease:
    """Extends a lease every JOB_HEARTBEAT_SECONDS until the block ends; the work calls `check` between its steps.

    Work that makes no step for JOB_STUCK_SECONDS hangs (a driver, a network folder): the lease is no longer extended,
    so that another worker takes the job, and `on_stuck` is called in the lease's own thread.
    """

    def __init__(
        self, job: LeasedJob, *, beat: Callable[[LeasedJob], bool], on_stuck: Callable[[], None] = lambda: None
    ) -> None:
        self._job = job
        self._beat = beat
        self._on_stuck = on_stuck
        self._last_step = time.monotonic()
        self._is_ended = threading.Event()
        self._is_lost = threading.Event()
        self._is_cancelled = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{job.pk}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_ended.set()
        self._thread.join()

    def check(self) -> None:
        """Note a step; raise LeaseLost or Cancelled if the work should stop. It reads no database: call it often."""
        self.note_step()
        self.obey()

    def note_step(self) -> None:
        """Note that the work has made a step, and does not hang."""
        self._last_step = time.monotonic()

    def obey(self) -> None:
        """Raise LeaseLost or Cancelled if the work should stop. Called where it waits, which is no step."""
        if self._is_lost.is_set():
            raise LeaseLost
        if self._is_cancelled.is_set():
            raise Cancelled

    def _keep(self) -> None:
        try:
            while not (self._is_ended.wait(settings.JOB_HEARTBEAT_SECONDS) or self._is_lost.is_set()):
                if time.monotonic() - self._last_step > settings.JOB_STUCK_SECONDS:
                    self._is_lost.set()
                    logger.error(
                        "%s %s made no step for %d s and is given back: its process hangs",
                        *(self._job.task_name, self._job.pk, settings.JOB_STUCK_SECONDS),
                    )
                    self._on_stuck()
                else:
                    self._beat_once()
        finally:
            connection.close()  # each thread has its own

    def _beat_once(self) -> None:
        try:
            if not self._beat(self._job):
                self._is_lost.set()
            elif type(self._job)._default_manager.filter(pk=self._job.pk, is_cancel_requested=True).exists():
                self._is_cancelled.set()
        except DatabaseError:
            # The next heartbeat may succeed. If none does before the lease ends, `hold` raises LeaseLost.
            logger.warning("no heartbeat for job %s: the database does not answer", self._job.pk)
            connection.close()


def hold(job: LeasedJob) -> None:
    """Lock the claim until the commit of the current transaction. Raises LeaseLost if another worker has the job."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("hold() outside a transaction holds nothing")
    rows = type(job)._default_manager.filter(pk=job.pk, state=LeasedJob.State.RUNNING, claimed_by=job.claimed_by)
    if not rows.update(heartbeat_at=clock.now()):  # an UPDATE locks the row; a SELECT does not on SQLite
        raise LeaseLost
