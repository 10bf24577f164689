"""The files of a report that take long to make: by a task, and kept for an hour. The pattern is that of `asking`.

A file has a key: the hash of its report, and for what is made from the study itself (the replay bundle) also of the
study's stamp. So a bundle of before a withdrawal is not handed out after it, and an hour later it is gone.
"""

import hashlib
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from annotation.models import ReportFileJob, ReportJob
from annotation.reports.data.gathering import scored_by
from annotation.reports.files import whole_file
from annotation.reports.report_jobs.downloads import DOWNLOADS
from annotation.reports.report_jobs.report_jobs import AT_MOST_EVERY, finished_report, rows_of, stamp, teller
from jobs.claims import enqueue, requeue
from jobs.leases import Lease
from jobs.refusals import Refused

KEPT = timedelta(hours=1)


def ask_file(report_job: ReportJob, name: str) -> ReportFileJob:
    """The job of a download of a finished report: queued where there is no file yet, or only an outgrown one.

    One that failed is made again by `ask_file_again` only.
    """
    job, is_new = ReportFileJob.objects.get_or_create(report_job=report_job, name=name)
    if is_new:
        enqueue([job])
    elif job.state != ReportFileJob.State.FAILED and made_file(job) is None:
        ask_file_again(job)
    return job


def ask_file_again(job: ReportFileJob) -> None:
    """Queue a file that failed, or that is gone or outgrown; nothing where it waits or is being made."""
    with transaction.atomic():
        if requeue(ReportFileJob.objects.filter(pk=job.pk)):
            ReportFileJob.objects.filter(pk=job.pk).update(percent=0, step="")
            job.refresh_from_db()
            enqueue([job])


def made_file(job: ReportFileJob) -> Path | None:
    """The file, where it is there and its report and study are as they were, or were a moment ago: while votes come
    in, a bundle would be outgrown before it is read."""
    path = _path(job.key, job.name)
    if job.state != ReportFileJob.State.DONE or not path.exists():
        return None
    is_recent = job.finished_at is not None and job.finished_at > timezone.now() - AT_MOST_EVERY
    return path if is_recent or job.key == _key(job) else None


def work_on_file(job: ReportFileJob, lease: Lease) -> None:
    """Make the file of a claimed job. Made twice it is the same."""
    report = finished_report(job.report_job)
    if report is None:
        raise Refused("The report is not there any more: look at its page, then ask for the file again.")
    key, before = _key(job), job.key
    with whole_file(_path(key, job.name)) as path:
        DOWNLOADS[job.name].write(job.report_job.study, report, path, teller(job, lease))
    rows_of(job).update(key=key, percent=100, step="")
    if before not in ("", key):
        _path(before, job.name).unlink(missing_ok=True)


def forget_old_files(now: datetime) -> None:
    """Remove the files that were made long ago, whatever became of their studies; asked for again they are made."""
    for path in _folder().glob("*"):
        with suppress(FileNotFoundError):  # another worker was quicker
            if path.stat().st_mtime < (now - KEPT).timestamp():
                path.unlink()


def _key(job: ReportFileJob) -> str:
    report_job = job.report_job
    if not DOWNLOADS[job.name].is_of_study:
        return report_job.sha256
    study = report_job.study
    parts = (report_job.sha256, stamp(study, metric=report_job.metric, scored=scored_by(study)))
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _path(key: str, name: str) -> Path:
    return _folder() / f"{key}.{name}"


def _folder() -> Path:
    return Path(settings.REPORTS_ROOT) / "files"
