"""The worker processes: their signs of life, and which jobs each may take.

A sign tells which queue is served, by which version, on which card, also during long tasks. A process of another
version than the control worker's, or on a card that is refused, takes no jobs and says why.
"""

import socket
from datetime import timedelta
from typing import Any, TypeVar

from django.db.models import Q, QuerySet

from generation.machines.cards import own_card
from generation.models import Card, WorkerSign
from jobs import clock
from jobs.models import LeasedJob
from jobs.refusals import Refused
from jobs.version import commit, version
from jobs.wording import command
from jobs.work import worker_name

SECONDS_BETWEEN_SIGNS = 10
SILENT_AFTER = timedelta(seconds=60)
FORGOTTEN_AFTER = timedelta(days=1)
J = TypeVar("J", bound=LeasedJob)


def leave_sign(*, name: str, has_started: bool = False) -> None:
    """Record that the process `<queue>@<host>` or `<queue>-<card>@<host>` runs, and forget those that are long gone."""
    queue = queue_of(name)
    note = reason_to_rest(queue)
    card = this_card() if queue == "gpu" and not card_fault() else None
    seen: dict[str, Any] = {
        "queue": queue,
        "seen_at": clock.now(),
        "version": version(),
        "commit": commit(),
        "card": card,
        "note": note[:500],
    }
    if has_started:
        seen |= {"started_at": clock.now(), "model": ""}
    _, is_new = WorkerSign.objects.update_or_create(name=name[:255], defaults=seen)
    if is_new:  # each start in a container has a new name
        WorkerSign.objects.filter(seen_at__lt=clock.ago(FORGOTTEN_AFTER)).delete()


def queue_of(name: str) -> str:
    """Return the queue that a worker process serves, by its name.

    >>> queue_of("gpu-0@host"), queue_of("control@host")
    ('gpu', 'control')
    """
    return name.partition("@")[0].partition("-")[0][:50]


def live_signs() -> QuerySet[WorkerSign]:
    """Return the signs of the processes that were seen lately."""
    return WorkerSign.objects.filter(seen_at__gte=clock.ago(SILENT_AFTER)).order_by("name")


def served_queues() -> set[str]:
    """Return the queues with a recent sign of life of a worker that takes jobs."""
    return set(live_signs().filter(note="").values_list("queue", flat=True))


def this_card() -> Card:
    """Return the row of the device that this process computes on, created or brought up to date."""
    host, found = socket.gethostname(), own_card()
    key = found.uuid if found else f"cpu@{host}"
    seen = {"host": host[:255], "number": found.number if found else "cpu", "name": found.name if found else "CPU"}
    card = Card.objects.filter(key=key[:100]).first()
    if card is None or any(getattr(card, field) != value for field, value in seen.items()):
        card, _ = Card.objects.update_or_create(key=key[:100], defaults=seen)
    return card


def card_fault() -> str:
    """Return why it is not known which device this process computes on; empty if it is known."""
    try:
        own_card()
    except Refused as refusal:
        return str(refusal)
    return ""


def reason_to_rest(queue: str) -> str:
    """Return why this process takes no jobs now, in a sentence; empty if it takes them."""
    installed = _installed_version()
    if installed and installed != version():
        other = f"This worker is of version {version()} and the control worker of {installed}"
        return f"{other}, so it takes no jobs: update it."
    if queue != "gpu":
        return ""
    if fault := card_fault():
        return f"It takes no jobs: {fault}"
    if (card := this_card()).refused_at:
        return f"{card} failed on different jobs and takes no more; `{command('gpus', '--readmit', card)}` readmits it."
    return ""


def _installed_version() -> str:
    """Return the version of the control worker that started last; empty if none has been seen lately.

    It is deployed together with the web server and the migrations, so it stands for the installation.
    """
    control = live_signs().filter(queue="control").order_by("-started_at", "-pk").first()
    return control.version if control else ""


def may_take(job_model: type[J]) -> QuerySet[J]:
    """Return the jobs that this process may take; none if it has a `reason_to_rest`."""
    jobs = job_model._default_manager.all()
    return jobs.none() if reason_to_rest(queue_of(worker_name())) else jobs


def may_take_on_this_card(job_model: type[J]) -> QuerySet[J]:
    """Return the jobs that this process may take on its card.

    Jobs that have failed on it are left out if another card can take them. A broken card gets none.
    """
    if card_fault():
        return job_model._default_manager.none()
    card = this_card()
    others = live_signs().filter(queue="gpu", note="").exclude(card=card)
    jobs = may_take(job_model)
    return jobs.exclude(Q(failed_on=card.key)) if others.exists() else jobs


def note_work(*, model: str, memory_used: int, memory_total: int) -> None:
    """Record the model that this process has loaded, and the memory of its device in bytes."""
    WorkerSign.objects.filter(name=worker_name()[:255]).update(
        model=model[:200], memory_used=memory_used, memory_total=memory_total
    )
