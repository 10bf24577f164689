"""Celery tasks of annotation, all on the control queue. Each may run twice, late, or not at all."""

import logging
from functools import partial

from celery import Task, shared_task
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from annotation.models import ReportFileJob, ReportJob, Study, StudyFileJob, UploadJob
from annotation.reports.report_jobs.downloads import delete_old_files, run_file_job
from annotation.reports.report_jobs.images_file import run_images_job
from annotation.reports.report_jobs.report_jobs import run_report_job
from annotation.reports.report_jobs.retention import erase_due
from annotation.studies.lifecycle.periodic import advance_unless_deleted, guarded, maintain
from annotation.studies.lifecycle.pipeline_jobs import studies_of_job
from annotation.studies.mail.sending import send_invitations, send_notices, send_password_links
from annotation.studies.notices.watching import watch
from annotation.studies.uploads.importing import run_upload_job
from annotation.studies.uploads.receiving import delete_old_uploads
from generation.machines.workers import may_take
from jobs import claims, messages
from jobs.models import job_name
from jobs.work import work_next

logger = logging.getLogger(__name__)


@shared_task
def tick() -> None:
    """Do the work of every half minute (CELERY_BEAT_SCHEDULE)."""
    now = timezone.now()
    maintain(now)
    delete_old_files(now)
    delete_old_uploads(now)
    erase_due(now)
    guarded("watching for notices", partial(watch, now))
    guarded("sending notices", partial(send_notices, now))
    guarded("sending invitations", partial(send_invitations, now))


@shared_task
def advance_study(study_id: int) -> None:
    """Advance a study after one of its jobs; do nothing if the study is deleted."""
    study = Study.objects.filter(pk=study_id).first()
    if study is not None:
        advance_unless_deleted(study)


@shared_task
def advance_after(task_name: str, job_id: int) -> None:
    """Advance the studies that wait for a job that has ended (settings.TASKS_AFTER_JOBS)."""
    for study in studies_of_job(task_name, job_id):
        with bound_contextvars(study=study.slug, job=job_name(task_name, job_id)):
            logger.info("after the job: %s", advance_unless_deleted(study))


@shared_task
def make_report(_job_id: int = 0) -> None:
    """Make the report that was requested first. Messages of version 0.2.0 hold a job's id, which is not read."""
    work_next(may_take(ReportJob), run_report_job)


@shared_task
def make_report_file(_job_id: int = 0) -> None:
    """Make the large file of a report that was requested first. A job's id is not read, as in `make_report`."""
    work_next(may_take(ReportFileJob), run_file_job)


@shared_task
def make_study_file(_job_id: int = 0) -> None:
    """Make the zip file of a study's images that was requested first."""
    work_next(may_take(StudyFileJob), run_images_job)


@shared_task
def import_upload(_job_id: int = 0) -> None:
    """Import the files that came first, or go on with them. An import that left its turn gets another message."""
    work_next(may_take(UploadJob), run_upload_job)
    messages.enqueue(claims.due(UploadJob.objects.filter(enqueued_at__isnull=True)))


@shared_task(bind=True, max_retries=5, default_retry_delay=60)
def mail_password_links(self: "Task[..., None]", address: str, site: str) -> None:
    """Mail links to choose a password. It has no row in a job table: if its message is lost, the person asks again."""
    if not send_password_links(address, site):
        raise self.retry()
