"""The work of every half minute, so that no lost message and no dead worker stops a study for good."""

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.db.models import OuterRef, Subquery

from annotation.models import Comparison, ReportFileJob, ReportJob, Study, StudyFileJob, UploadJob
from annotation.studies.current import current_manifest, current_manifests
from annotation.studies.lifecycle.transitions import ANNOTATING, advance, is_due
from annotation.studies.lifecycle.votes_over_time import fill_earlier, note_votes
from annotation.voting.assignment import expire_leases
from annotation.voting.quality.screening_out import finish_screening_out
from annotation.voting.stopping import close_all_decided
from annotation.voting.withdrawal import finish_withdrawals
from generation.machines.workers import served_queues
from generation.models import GenerationJob, ModelTrial
from jobs import claims, messages
from jobs.models import LeasedJob
from jobs.refusals import Refused
from scoring.models import ScoringJob

logger = logging.getLogger(__name__)

JOBS_BY_QUEUE: dict[str, tuple[type[LeasedJob], ...]] = {  # as in CELERY_TASK_ROUTES
    "gpu": (ModelTrial, GenerationJob, ScoringJob),
    "control": (ReportJob, ReportFileJob, StudyFileJob, UploadJob),
}


def maintain(now: datetime) -> None:
    """Requeue jobs of dead workers, end leases, finish withdrawals, advance every study. Safe to run twice."""
    guarded("reaping", reap)
    guarded("sending reports", send_reports)
    guarded("expiring leases", partial(expire_leases, now=now))
    guarded("freeing slots", finish_screening_out)
    guarded("finishing withdrawals", finish_withdrawals)
    least = _least_overlaps()
    studies = list(Study.objects.exclude(state__in=Study.AT_REST).order_by("pk"))
    guarded("reading the manifests", partial(current_manifests, studies))  # one query for all that are not cached
    guarded("counting votes by hour", partial(note_votes, studies, now))
    guarded("filling earlier hours", partial(fill_earlier, now))
    for study in studies:
        guarded(f"advancing {study.slug}", partial(_advance_if_due, study, least.get(study.pk), now))
        guarded(f"closing decided comparisons of {study.slug}", partial(stop_early, study, now))


def _least_overlaps() -> dict[int, int | None]:
    """Return the smallest overlap of a comparison in each study that takes votes, with one query for all.

    It reads one entry of an index for each study; MIN with GROUP BY would read all entries.
    """
    comparisons = Comparison.objects.filter(study=OuterRef("pk")).order_by("overlap")
    studies = Study.objects.filter(state__in=ANNOTATING).order_by()
    least = studies.annotate(least=Subquery(comparisons.values("overlap")[:1])).values_list("pk", "least")
    return dict(least)


def _advance_if_due(study: Study, least_overlap: int | None, now: datetime) -> None:
    """Advance a study if that may do anything. A laboratory has hundreds of studies that only take votes."""
    is_behind = least_overlap is not None and least_overlap < current_manifest(study).annotation.overlap
    if is_behind or is_due(study, now):
        advance_unless_deleted(study)


def advance_unless_deleted(study: Study) -> str:
    """Advance a study, and return in words what was done, or why nothing was: a person may be deleting it."""
    try:
        return advance(study)
    except Study.DoesNotExist:
        return f"{study} is deleted"
    except Refused as refusal:
        logger.warning("advancing %s: %s", study.slug, refusal)
        return "nothing to do"


def reap() -> None:
    """Requeue the jobs of workers that stopped answering; `advance` sends their messages."""
    served = served_queues()
    for queue, kinds in JOBS_BY_QUEUE.items():
        is_idle = queue in served and not any(claims.is_at_work(kind) for kind in kinds)
        for kind in kinds:
            claims.reap(kind, is_queue_idle=is_idle)
    if "endpoints" in served:
        _wake_endpoints()


def _wake_endpoints() -> None:
    """Send a message for the endpoints if their jobs are due and none runs: theirs may be lost while the gpu works."""
    asked = GenerationJob.objects.exclude(image_set__diffusion_model__endpoint="")
    job = claims.due(asked).first()
    if job is not None and not asked.filter(state=GenerationJob.State.RUNNING).exists():
        messages.wake_another(job)


def send_reports() -> None:
    """Send the messages of jobs (reports, uploads) requested while the broker was away, or whose worker died."""
    for kind in (ReportJob, ReportFileJob, StudyFileJob, UploadJob):
        messages.enqueue(claims.due(kind.objects.filter(enqueued_at__isnull=True)))


def stop_early(study: Study, now: datetime) -> int:
    """Close the comparisons whose winner is certain, if the study stops early; return how many were closed."""
    return close_all_decided(study=study, rules=current_manifest(study).voting_rules(), now=now)


def guarded(title: str, step: Callable[[], object]) -> None:
    """Run one step, and log its failure, so that it does not stop the steps of other studies."""
    try:
        step()
    except Refused as refusal:
        logger.warning("%s: %s", title, refusal)
    except Exception:
        logger.exception("%s failed", title)
