"""Celery tasks of annotation: thin, all on the control queue. Each may run twice, late, or not at all."""

from celery import shared_task
from django.utils import timezone

from annotation.models import ReportFileJob, ReportJob, Study
from annotation.reports.report_jobs.file_jobs import forget_old_files, work_on_file
from annotation.reports.report_jobs.report_jobs import work_on_report
from annotation.studies.lifecycle.periodic import keep_up
from annotation.studies.lifecycle.transitions import advance
from jobs import claims


@shared_task
def tick() -> None:
    """Every half minute (CELERY_BEAT_SCHEDULE)."""
    now = timezone.now()
    keep_up(now)
    forget_old_files(now)


@shared_task
def advance_study(study_id: int) -> None:
    """After a job of the study: do what is due next. Nothing where the study is gone."""
    study = Study.objects.filter(pk=study_id).first()
    if study is not None:
        advance(study)


@shared_task
def make_report(job_id: int) -> None:
    """Make the report of a job; nothing where it is settled or somebody else's."""
    claims.work(ReportJob, job_id, work_on_report)


@shared_task
def make_report_file(job_id: int) -> None:
    """Make a file of a report that takes long; nothing where it is settled or somebody else's."""
    claims.work(ReportFileJob, job_id, work_on_file)
