"""Fetch what queued jobs need, before they run, and record how much has arrived.

Each host with a worker runs one such process. No worker claims a job whose files are not on its host.
"""

import logging
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet

from generation.hub.answers import FetchPostponed
from generation.hub.downloads import Pause, wait
from generation.hub.fetching import fetch, in_gb, only_fetcher, plan_fetch
from generation.hub.wanted import Wanted, is_at_hand, is_fetched, wanted_of
from generation.models import DiffusionModel, FileFetch, GenerationJob, ModelTrial
from jobs import clock
from jobs.claims import fail_queued
from jobs.models import LeasedJob
from jobs.refusals import Refused

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_NOTES = 2.0
SILENT_AFTER = timedelta(minutes=3)  # the process that fetched has died, or its host is gone


@dataclass(frozen=True)
class Need:
    """Queued jobs, and what must be on this host before they run."""

    wanted: Sequence[Wanted]
    jobs: QuerySet[LeasedJob]


def image_needs() -> list[Need]:
    """Return what the queued trials and generation jobs need that is not on this host."""
    needs = []
    for kind, field in ((ModelTrial, "diffusion_model"), (GenerationJob, "image_set__diffusion_model")):
        queued: QuerySet[Any] = kind._default_manager.filter(state=kind.State.QUEUED).order_by()
        models = DiffusionModel.objects.filter(pk__in=queued.values(field))
        absent = [model for model in models if not is_at_hand(model)]
        needs += [Need(wanted_of(model), queued.filter(**{field: model})) for model in absent]
    return needs


def fetch_queued(needs: list[Need], *, pause: Pause = wait) -> bool:
    """Fetch what queued jobs need. Return whether something remains to be fetched.

    Only one process of a host does it at a time. A refusal of the hub fails the jobs with its sentence; a hub that is
    away and a full disk leave them queued.
    """
    if not needs:
        return False
    with only_fetcher(may_wait=False) as is_only:
        # One that is stuck holds up no other.
        settled = [is_only and _is_settled(need, pause) for need in needs]
    return not all(settled)


def _is_settled(need: Need, pause: Pause) -> bool:
    """Fetch what is needed; return whether nothing is left to do: all files are here, or the jobs have failed."""
    for wanted in need.wanted:
        if is_fetched(wanted):
            continue
        note = _Notes(wanted)
        try:
            note(0, None)
            plan = plan_fetch(wanted, pause=pause)
            fetch(plan, report=note, pause=pause)
            note(plan.byte_total, plan.byte_total, is_last=True)
        except Refused as refusal:
            fail_queued(need.jobs, error=str(refusal))
            note.forget()
            return True
        except FetchPostponed as fault:
            logger.warning("%s", fault)
            note.fail(str(fault))
            return False
    return True


class _Notes:
    """Writes how far a fetch is into the database, at most every two seconds; an outage of it stops no fetch."""

    def __init__(self, wanted: Wanted) -> None:
        self._row: dict[str, Any] = {
            "host": socket.gethostname(),
            "repository": wanted.repository,
            "revision": wanted.revision,
            "selection": wanted.selection,
        }
        self._next_at = 0.0

    def __call__(self, byte_count: int, byte_total: int | None, *, is_last: bool = False) -> None:
        if is_last or time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + SECONDS_BETWEEN_NOTES
            bounded = min(byte_count, byte_total) if byte_total is not None else byte_count
            self._write(byte_count=max(0, bounded), byte_total=byte_total, error="")

    def fail(self, sentence: str) -> None:
        """Write why the fetch waits."""
        self._write(error=sentence)

    def forget(self) -> None:
        """Delete the row when the fetch has failed for good: the failed jobs say why."""
        FileFetch.objects.filter(**self._row).delete()

    def _write(self, **values: object) -> None:
        try:
            FileFetch.objects.update_or_create(**self._row, defaults={**values, "seen_at": clock.now()})
        except DatabaseError as error:
            logger.warning("the progress of %s is not noted: %s", self._row["repository"], type(error).__name__)
            connection.close()


def fetching_in_words(revisions: Iterable[tuple[str, str]]) -> str:
    """Return how far each host has fetched these repositories and revisions; empty if none is being fetched."""
    these = Q()
    for repository, revision in revisions:
        these |= Q(repository=repository, revision=revision)
    if not these:
        return ""
    rows = FileFetch.objects.filter(these, seen_at__gte=clock.ago(SILENT_AFTER)).order_by("host", "pk")
    by_host: dict[str, list[FileFetch]] = {}
    for row in rows:
        by_host.setdefault(row.host, []).append(row)
    unfinished = {
        host: files
        for host, files in by_host.items()
        if any(row.error or row.byte_total is None or row.byte_count < row.byte_total for row in files)
    }
    return " ".join(_on_host(host, files, is_one=len(by_host) == 1) for host, files in unfinished.items())


def _on_host(host: str, rows: Sequence[FileFetch], *, is_one: bool) -> str:
    place = "" if is_one else f" on {host}"
    if error := next((row.error for row in rows if row.error), ""):
        return f"{'Fetching' if is_one else host} waits: {error}"
    here, total = sum(row.byte_count for row in rows), sum(row.byte_total or 0 for row in rows)
    if not total:
        return f"Fetching{place}: the hub is asked which files there are."
    return f"Fetching {in_gb(here)} of {in_gb(total)}{place}."
