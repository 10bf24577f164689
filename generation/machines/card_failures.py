"""Handle a job that fails because of its device. No broken card stops all jobs, and no job breaks all cards.

A card that failed on two different jobs takes no more until a person readmits it. A job that failed on two cards has
failed for good, and counts against neither of them. Loads torch only to read an error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from generation.machines.workers import live_signs, this_card
from generation.models import Card, CardFailure
from jobs import clock
from jobs.models import LeasedJob
from jobs.refusals import Broken, Refused, SetBack

PAUSE = timedelta(minutes=1)  # until the process has started again
FAILURES_UNTIL_REFUSED = 2


class NoRoom(Refused):
    """A model is in this device's memory, and one image does not fit beside it; another kind of card may have room."""


@contextmanager
def device_faults(job: LeasedJob, *, owner: str) -> Iterator[None]:
    """Do the whole of a job in the block, as in `device_faults_of_a_part`; refuse a model that did not fit before."""
    refuse_too_large(owner)
    with device_faults_of_a_part(job, owner=owner):
        yield
    too_large.holds_other_work = True


def refuse_too_large(owner: str) -> None:
    """Raise Refused or SetBack if the model did not fit into this process's memory before."""
    if owner in too_large:
        raise _without_room(owner)


@contextmanager
def device_faults_of_a_part(job: LeasedJob, *, owner: str) -> Iterator[None]:
    """Replace an error of the device in the block by the exception that decides how the job ends; others pass.

    owner: the model that is loaded. Raises SetBack or Broken for an error after which the process must end. For weights
    that do not fit into memory it raises Refused; SetBack, if a new process or another kind of card may have room.
    """
    try:
        yield
    except NoRoom as refusal:
        if not other_kinds_serve():
            raise
        too_large[owner] = str(refusal)
        raise _without_room(owner) from refusal
    except Exception as error:
        from generation.machines.devices import (  # a web process imports this module
            Fault,
            device_name,
            empty_memory,
            fault_of,
        )

        fault = fault_of(error)
        if fault is Fault.STICKY:
            raise note_failure(job, error) from error
        if fault is not Fault.MEMORY or isinstance(error, Refused):
            raise
        sentence = f"{owner}: its weights do not fit into the memory of {device_name()}; use a card with more memory."
    else:
        return
    # Outside the except block, whose traceback keeps the tensors alive that filled the memory.
    empty_memory()
    if too_large.holds_other_work:
        raise SetBack(sentence, pause=timedelta(0), is_counted=False, ends_process=True)
    too_large[owner] = sentence
    raise _without_room(owner)


class _TooLarge(dict[str, str]):
    """The models that do not fit into this process's memory with their weights or an image, and the sentence about it.

    `holds_other_work`: whether the process made something before, whose remains may take the room.
    """

    holds_other_work = False


too_large = _TooLarge()


def _without_room(owner: str) -> Refused | SetBack:
    sentence = too_large[owner]
    return SetBack(sentence, pause=PAUSE, is_counted=False) if other_kinds_serve() else Refused(sentence)


def other_kinds_serve() -> bool:
    """Return whether a worker with another kind of card than this process's takes jobs."""
    return live_signs().filter(queue="gpu", note="").exclude(card__name=this_card().name).exists()


@transaction.atomic
def note_failure(job: LeasedJob, error: Exception) -> Refused | SetBack:
    """Record that this process's card cannot go on after the job, and return what the job's end must be."""
    card = Card.objects.select_for_update().get(pk=this_card().pk)
    text = " ".join(str(error).split())[:500] or type(error).__name__
    former = Card.objects.filter(key=job.failed_on).exclude(pk=card.pk).first()
    failures = CardFailure.objects.filter(task_name=job.task_name, job_id=job.pk)
    if former is not None:
        failures.delete()
        return Broken(
            f"It broke the processes on two cards ({former} and {card}), so it is not tried on a third: {text}"
        )
    type(job)._default_manager.filter(pk=job.pk).update(failed_on=card.key)
    failures.get_or_create(card=card, task_name=job.task_name, job_id=job.pk, defaults={"error": text})
    if card.failures.count() >= FAILURES_UNTIL_REFUSED:
        Card.objects.filter(pk=card.pk, refused_at__isnull=True).update(refused_at=clock.now())
    return SetBack(f"{card} ({card.name}) failed: {text}", pause=PAUSE, ends_process=True)


def refused_cards() -> QuerySet[Card]:
    """Return the cards that take no more jobs."""
    return Card.objects.filter(refused_at__isnull=False).order_by("host", "number")


@transaction.atomic
def readmit(name: str) -> Card:
    """Let a card take jobs again, by its `<host>:<number>` or UUID, and forget its failures.

    Raises Refused for an unknown name.
    """
    cards = {str(card): card for card in Card.objects.order_by("pk")}
    card = cards.get(name) or next((card for card in cards.values() if card.key == name), None)
    if card is None:
        known = ", ".join(sorted(cards)) or "none, because no worker has run yet"
        raise Refused(f"There is no card {name}; known are {known}.")
    card.failures.all().delete()
    Card.objects.filter(pk=card.pk).update(refused_at=None)
    return card
