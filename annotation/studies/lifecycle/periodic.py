"""What is done every half minute, so that no lost message and no dead worker strands a study."""

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.db.models import Min

from annotation.models import Comparison, ReportFileJob, ReportJob, Study
from annotation.studies.current import current_manifest, current_manifests
from annotation.studies.lifecycle.transitions import ANNOTATING, advance, is_due
from annotation.voting.assignment import expire_leases
from annotation.voting.stopping import close_all_decided
from generation.models import GenerationJob
from jobs import claims
from jobs.refusals import Refused
from scoring.models import ScoringJob

logger = logging.getLogger(__name__)

ENDED = (Study.State.DRAFT, Study.State.CLOSED)


def keep_up(now: datetime) -> None:
    """Take jobs from dead workers, end the leases of annotators who left, advance every study. Safe to run twice."""
    _guarded("reaping", partial(reap, now))
    _guarded("sending reports", send_reports)
    _guarded("expiring leases", partial(expire_leases, now=now))
    least = _least_overlaps()
    studies = list(Study.objects.exclude(state__in=ENDED).order_by("pk"))
    _guarded("reading the manifests", partial(current_manifests, studies))  # all that are not known yet, in one query
    for study in studies:
        _guarded(f"advancing {study.slug}", partial(_advance_if_due, study, least.get(study.pk), now))
        _guarded(f"closing what is decided in {study.slug}", partial(stop_early, study, now))


def _least_overlaps() -> dict[int, int]:
    """The smallest overlap of a comparison in each study that takes votes: one query for all of them."""
    comparisons = Comparison.objects.filter(study__state__in=ANNOTATING).order_by()
    return dict(comparisons.values_list("study").annotate(Min("overlap")))


def _advance_if_due(study: Study, least_overlap: int | None, now: datetime) -> None:
    """Spare a study that only takes votes its queries: a lab has hundreds of them."""
    is_behind = least_overlap is not None and least_overlap < current_manifest(study).annotation.overlap
    if is_behind or is_due(study, now):
        advance(study)


def reap(now: datetime) -> None:
    """Put back the jobs of workers that stopped answering; `advance` sends their messages."""
    claims.reap(GenerationJob, now)
    claims.reap(ScoringJob, now)
    for watched in (ReportJob, ReportFileJob):
        claims.reap(watched, now)


def send_reports() -> None:
    """The messages of reports and their files that were asked for while the broker was away, or whose worker died."""
    for watched in (ReportJob, ReportFileJob):
        claims.enqueue(watched.objects.filter(state=watched.State.QUEUED, enqueued_at__isnull=True))


def stop_early(study: Study, now: datetime) -> int:
    """Close the comparisons whose winner is certain by now, where the study stops early; how many there were."""
    return close_all_decided(study=study, rules=current_manifest(study).voting_rules(), now=now)


def _guarded(what: str, do: Callable[[], object]) -> None:
    """One study's fault is not another's."""
    try:
        do()
    except Refused as refusal:
        logger.warning("%s: %s", what, refusal)
    except Exception:
        logger.exception("%s failed", what)
