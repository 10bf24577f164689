"""Jobs that a person waits for: try one again, and save its progress."""

import time
from typing import TypeVar

from django.db import transaction
from django.db.models import QuerySet

from annotation.models.report_job import WatchedJob
from annotation.reports.progress import Progress
from jobs.claims import requeue
from jobs.leases import Lease
from jobs.messages import enqueue

_SAVE_INTERVAL = 0.5  # seconds between two updates of a job's progress
J = TypeVar("J", bound=WatchedJob)


def retry(job: WatchedJob, **changes: str) -> None:
    """Enqueue a job again that has ended, with these changes to its row; do nothing while it waits or runs."""
    row = type(job)._default_manager.filter(pk=job.pk)
    with transaction.atomic():
        if requeue(row):
            row.update(percent=0, step="", **changes)
            job.refresh_from_db()
            enqueue([job])


def job_progress(job: WatchedJob, lease: Lease) -> Progress:
    """Return a function that saves a job's progress. It raises LeaseLost or Cancelled if the work must stop."""
    saved_at = 0.0

    def save(share: float, step: str) -> None:
        nonlocal saved_at
        lease.check()
        if time.monotonic() - saved_at > _SAVE_INTERVAL:
            saved_at = time.monotonic()
            claimed_row(job).update(percent=round(100 * share), step=step)

    return save


def claimed_row(job: J) -> QuerySet[J]:
    """Return the job's row, or nothing once another worker has claimed the job."""
    return type(job)._default_manager.filter(pk=job.pk, claimed_by=job.claimed_by)
