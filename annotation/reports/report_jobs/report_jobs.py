"""The jobs that compute reports: one row for each study, metric and pair of models.

A page requests its report each time it is viewed. A request changes nothing while the job waits or runs, nor while the
study is unchanged.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Max, QuerySet, Sum
from django.utils import timezone

from annotation.models import Annotator, Assignment, ReportJob, Study
from annotation.models.report_job import WatchedJob
from annotation.reports.data.gathering import Scored, choose_metric, scored_by
from annotation.reports.findings.results import AgreementReport
from annotation.reports.progress import Progress
from annotation.reports.report_jobs.report_cache import cached_report, code_sha256, delete_report, load_report
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.deletion import delete_study
from annotation.voting.imports.import_runs import refuse_unfinished_import
from annotation.voting.withdrawal import refuse_unfinished_withdrawal
from jobs.claims import requeue
from jobs.leases import Lease
from jobs.messages import enqueue
from jobs.refusals import Refused, SetBack

MIN_INTERVAL = timedelta(minutes=1)  # between two reports; otherwise each view would start one while votes come in
BEFORE_READY = (Study.State.DRAFT, Study.State.GENERATING, Study.State.SCORING)
_SAVE_INTERVAL = 0.5  # seconds between two updates of a job's progress
J = TypeVar("J", bound=WatchedJob)


# --- requests -----------------------------------------------------------------------------------
def request_report(study: Study, *, metric: str = "", pair: str = "") -> ReportJob:
    """Return the job of the study's report; enqueue it if it is new or the study has changed since.

    metric: as for `gather`, which also says what is refused. pair: as `pair_of` returns it. A failed report is tried
    again by `retry` only.
    """
    refuse_unfinished_import(study)
    refuse_unfinished_withdrawal(study)
    _refuse_unscored(study)
    scored = scored_by(study)
    chosen = choose_metric(tuple(scored), manifest=current_manifest(study), wanted=metric)
    stamp = study_stamp(study, metric=chosen, scored=scored)
    job, is_new = ReportJob.objects.get_or_create(study=study, metric=chosen, pair=pair, defaults={"stamp": stamp})
    if is_new:
        enqueue([job])
    elif _is_due(job, study, stamp):
        retry(job, stamp=stamp)
    return job


def _refuse_unscored(study: Study) -> None:
    """Refuse a study whose sets are not all scored: its job would fail. An external study needs no scores."""
    if study.state in BEFORE_READY and study.source != Study.Source.EXTERNAL:
        raise Refused("There is no report yet, because not every set of images is scored.")


def retry(job: WatchedJob, **changes: str) -> None:
    """Enqueue a job again that has ended, with these changes to its row; do nothing while it waits or runs."""
    row = type(job)._default_manager.filter(pk=job.pk)
    with transaction.atomic():
        if requeue(row):
            row.update(percent=0, step="", **changes)
            job.refresh_from_db()
            enqueue([job])


def finished_report(job: ReportJob) -> AgreementReport | None:
    """Return the job's latest finished report, also while the next one is computed, or None.

    A report from another state of the study is not returned, because the report of an open study differs from that of
    the closed study.
    """
    report = load_report(job.sha256)
    return report if report is not None and report.study.state == job.study.state else None


def study_stamp(study: Study, *, metric: str, scored: Mapping[str, Scored]) -> str:
    """Return the SHA-256 of counters that change if the data of a report change.

    It reads no vote, whereas `fingerprint` reads all of them. It misses some changes (a vote that was undone and given
    again, for example); the report then stays as it was until something else changes. So the stamp only hints that a
    new report is due, and never names one.
    """
    counters = ("vote_count", "slot_count", "votes_a", "votes_b", "votes_tie")
    people = study.annotators.order_by().values_list("state", "broken_rules")
    seen = [
        code_sha256(),
        study.state,
        study.manifest_sha256,
        study.manifest_versions.count(),
        sorted(study.comparisons.aggregate(**{name: Sum(name) for name in counters}).items()),
        Assignment.objects.filter(annotator__study=study, state=Assignment.State.LATE).count(),
        sorted(people.annotate(Count("pk"), Sum("withdrawn_vote_count"))),
        [(name, one.count, one.latest) for name, one in scored.items()],
        study.events.aggregate(Count("pk"), Max("pk")),
        metric,
    ]
    return hashlib.sha256(json.dumps(seen, default=str).encode()).hexdigest()


def _is_due(job: ReportJob, study: Study, stamp: str) -> bool:
    if job.state == ReportJob.State.FAILED:
        return job.stamp != stamp
    report = load_report(job.sha256)
    if report is None or report.study.state != study.state:
        return True
    return job.stamp != stamp and (job.finished_at is None or job.finished_at < timezone.now() - MIN_INTERVAL)


# --- work ---------------------------------------------------------------------------------------
def run_report_job(job: ReportJob, lease: Lease) -> None:
    """Compute the report of a claimed job. A second run finds the report in the cache."""
    before = job.sha256
    stamp = study_stamp(job.study, metric=job.metric, scored=scored_by(job.study))
    withdrawn = _withdrawn_count(job.study)
    cached = cached_report(job.study, metric=job.metric, pair=job.pair, progress=job_progress(job, lease))
    if _withdrawn_count(job.study) != withdrawn:
        delete_report(cached.sha256)
        raise SetBack("An annotator withdrew meanwhile, so it is made again.", pause=timedelta(0), is_counted=False)
    claimed_row(job).update(sha256=cached.sha256, stamp=stamp, percent=100, step="")
    if before not in ("", cached.sha256) and not ReportJob.objects.filter(sha256=before).exists():
        delete_report(before)


def _withdrawn_count(study: Study) -> int:
    return study.annotators.filter(state=Annotator.State.WITHDRAWN).count()


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


# --- deletion -----------------------------------------------------------------------------------
def delete_with_reports(*, study: Study, actor: User | None = None) -> None:
    """Delete a study as `delete_study` does, and its stored reports; `delete_old_files` deletes its downloads."""
    stored = list(study.report_jobs.exclude(sha256="").values_list("sha256", flat=True))
    delete_study(study=study, actor=actor)
    for sha256 in stored:
        delete_report(sha256)
