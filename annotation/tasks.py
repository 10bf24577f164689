"""Celery tasks of annotation, all on the control queue. Each may run twice, late, or not at all."""

from celery import shared_task
from django.utils import timezone

from annotation.models import ReportFileJob, ReportJob, Study
from annotation.reports.report_jobs.downloads import delete_old_files, run_file_job
from annotation.reports.report_jobs.report_jobs import run_report_job
from annotation.studies.lifecycle.periodic import maintain
from annotation.studies.lifecycle.transitions import advance
from jobs import claims


@shared_task
def tick() -> None:
    """Do the work of every half minute (CELERY_BEAT_SCHEDULE)."""
    now = timezone.now()
    maintain(now)
    delete_old_files(now)


@shared_task
def advance_study(study_id: int) -> None:
    """Advance a study after one of its jobs; do nothing if the study is deleted."""
    study = Study.objects.filter(pk=study_id).first()
    if study is not None:
        advance(study)


@shared_task
def make_report(job_id: int) -> None:
    """Make the report of a job, unless it is finished or claimed by another worker."""
    claims.work(ReportJob, job_id, run_report_job)


@shared_task
def make_report_file(job_id: int) -> None:
    """Make a large file of a report, unless its job is finished or claimed by another worker."""
    claims.work(ReportFileJob, job_id, run_file_job)
