"""A lease on a job, extended by a thread until the work ends."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from jobs.models import LeasedJob

logger = logging.getLogger(__name__)


class LeaseLost(Exception):  # noqa: N818 - it names what happened
    """Another worker has the job now, so the results are thrown away."""


class Cancelled(Exception):  # noqa: N818 - it names what happened
    """A person asked the job to stop."""


class Lease:
    """Extends a lease every JOB_HEARTBEAT_SECONDS until the block ends; the work calls `check` between its steps."""

    def __init__(self, job: LeasedJob, *, beat: Callable[[LeasedJob, datetime], bool]) -> None:
        self._job = job
        self._beat = beat
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
        """Raise LeaseLost or Cancelled if the work should stop. It reads no database, so it may be called often."""
        if self._is_lost.is_set():
            raise LeaseLost
        if self._is_cancelled.is_set():
            raise Cancelled

    def _keep(self) -> None:
        try:
            while not (self._is_ended.wait(settings.JOB_HEARTBEAT_SECONDS) or self._is_lost.is_set()):
                self._beat_once()
        finally:
            connection.close()  # each thread has its own

    def _beat_once(self) -> None:
        try:
            if not self._beat(self._job, timezone.now()):
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
    if not rows.update(heartbeat_at=timezone.now()):  # an UPDATE locks the row; a SELECT does not on SQLite
        raise LeaseLost
