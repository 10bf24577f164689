"""When a report is due, and what became of it: the job table's side of `making`.

One row for each study and metric. A page asks for the report each time that it is looked at; asking twice, or while it
is being made, changes nothing.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import transaction
from django.db.models import Count, Max, QuerySet, Sum
from django.utils import timezone

from annotation.models import Assignment, ReportJob, Study
from annotation.models.report_job import WatchedJob
from annotation.reports.agreement_report import AgreementReport
from annotation.reports.data.gathering import Scored, choose_metric, scored_by
from annotation.reports.progress import Progress
from annotation.reports.report_jobs.report_cache import code_sha256, forget_report, make_report, stored_report
from annotation.studies.current import current_manifest
from annotation.voting.imports.import_runs import refuse_unfinished_import
from jobs.claims import enqueue, requeue
from jobs.leases import Lease

AT_MOST_EVERY = timedelta(minutes=1)  # while votes come in, each look at the page would make another one
_TOLD_EVERY = 0.5  # seconds between two notes of how far it is
J = TypeVar("J", bound=WatchedJob)


def ask(study: Study, *, metric: str = "") -> ReportJob:
    """The job of the study's report: queued where there is none yet, or where the study has changed since.

    metric: as for `gather`, which also says what is refused. A report that failed is made again by `ask_again` only.
    """
    refuse_unfinished_import(study)
    scored = scored_by(study)
    chosen = choose_metric(tuple(scored), own=current_manifest(study).encoder.metric, wanted=metric)
    now, wanted = timezone.now(), stamp(study, metric=chosen, scored=scored)
    job, is_new = ReportJob.objects.get_or_create(study=study, metric=chosen, defaults={"stamp": wanted})
    if is_new:
        enqueue([job])
    elif _is_due(job, study, wanted, long_ago=now - AT_MOST_EVERY):
        ask_again(job, stamp=wanted)
    return job


def ask_again(job: ReportJob, *, stamp: str = "") -> None:
    """Queue a report that failed, or that the study has outgrown; nothing where it waits or is being made."""
    with transaction.atomic():
        if requeue(ReportJob.objects.filter(pk=job.pk)):
            ReportJob.objects.filter(pk=job.pk).update(percent=0, step="", **({"stamp": stamp} if stamp else {}))
            job.refresh_from_db()
            enqueue([job])


def finished_report(job: ReportJob) -> AgreementReport | None:
    """The latest finished report, also while the next one is made. None where there is none that may still be shown:
    one of an open study says less, or something else, than the closed study's report will.
    """
    report = stored_report(job.sha256)
    return report if report is not None and report.study.state == job.study.state else None


def work_on_report(job: ReportJob, lease: Lease) -> None:
    """Make the report of a claimed job. Made twice it is the same: the second time it is only read."""
    before = job.sha256
    wanted = stamp(job.study, metric=job.metric, scored=scored_by(job.study))
    made = make_report(job.study, metric=job.metric, progress=teller(job, lease))
    rows_of(job).update(sha256=made.sha256, stamp=wanted, percent=100, step="")
    if before not in ("", made.sha256) and not ReportJob.objects.filter(sha256=before).exists():
        forget_report(before)


def teller(job: WatchedJob, lease: Lease) -> Progress:
    """Notes in the job's row how far it is. Raises LeaseLost or Cancelled where the job is not to be gone on with."""
    told_at = 0.0

    def tell(share: float, step: str) -> None:
        nonlocal told_at
        lease.check()
        if time.monotonic() - told_at > _TOLD_EVERY:
            told_at = time.monotonic()
            rows_of(job).update(percent=round(100 * share), step=step)

    return tell


def stamp(study: Study, *, metric: str, scored: Mapping[str, Scored]) -> str:
    """SHA-256 of counters that change whenever something changes that a report is made from.

    It reads no vote, where `making.fingerprint` reads every one. What it cannot see (a vote that was undone and given
    again, say) leaves the report as it was until something else changes: it is a hint that another one is due, never
    its name.
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


def _is_due(job: ReportJob, study: Study, wanted: str, *, long_ago: datetime) -> bool:
    if job.state == ReportJob.State.FAILED:
        return job.stamp != wanted
    report = stored_report(job.sha256)
    if report is None or report.study.state != study.state:
        return True
    return job.stamp != wanted and (job.finished_at is None or job.finished_at < long_ago)


def rows_of(job: J) -> QuerySet[J]:
    """The job's row, as long as it is this claim's."""
    return type(job)._default_manager.filter(pk=job.pk, claimed_by=job.claimed_by)
