"""Withdrawal deletes an annotator's votes and answers. A tombstone stays: a random id, a count, a time.

The votes of one sitting are deleted in the transaction that writes the tombstone. If an annotator has thousands, the
rest is deleted in slices; if the process dies between two of them, the half-minute tick continues.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.models.annotator import new_seed, withdrawal_marker
from annotation.models.personal_data import blank_columns, delete_personal_rows
from annotation.voting import slots
from annotation.voting.assignment import lock
from annotation.voting.overview_cache import forget_overview
from annotation.voting.quality.screening_out import free_slots, unfinished
from annotation.voting.storage.slices import SMALL_ROWS, in_slices
from annotation.voting.storage.sqlite_queue import in_turn
from jobs.refusals import Refused

MOST_AT_ONCE = 500
AT_ONCE = 100  # assignments deleted with the tombstone: more than most annotators have, and far below 0.2 s


def is_open(*, until: datetime | None, now: datetime) -> bool:
    """Whether annotators may still withdraw; if there is no date, they always may."""
    return until is None or now <= until


def withdraw(*, annotator: Annotator, until: datetime | None, now: datetime) -> Annotator:
    """Delete the annotator's votes, answers and all that names them, free their slots, and return the tombstone.

    The link still leads to the tombstone, so that the annotator is told that they have withdrawn. Doing it again
    changes nothing. Raises `Refused` after `until`.
    """
    tombstone = None
    while tombstone is None:  # they may be screened out at the same moment
        free_slots(annotator)
        tombstone = _leave(annotator.pk, until, now)
    _delete_rest(tombstone)
    forget_overview(tombstone.study_id)
    return tombstone


@in_turn
def _leave(annotator_id: int, until: datetime | None, now: datetime) -> Annotator | None:
    """Write the tombstone; return None if slots of the annotator, who was screened out, are still to be freed."""
    annotator = lock(annotator_id)
    if annotator.state == Annotator.State.WITHDRAWN:
        return annotator
    if unfinished().filter(pk=annotator_id).exists():
        return None
    if not is_open(until=until, now=now):
        raise Refused(_("The time in which your votes could be deleted is over."))
    given = Vote.objects.filter(assignment__annotator=annotator, assignment__kind=Assignment.Kind.MAIN)
    vote_count = given.exclude(state=Vote.State.SUPERSEDED).count()
    delete_personal_rows([annotator.pk])
    annotator = _tombstone(annotator, vote_count, now)
    _delete(annotator, _assignments(annotator)[:AT_ONCE])
    return annotator


def finish_withdrawals() -> None:
    """Delete the votes that withdrawals left behind because their process died."""
    for annotator in _unfinished(Annotator.objects.all()):
        _delete_rest(annotator)


def refuse_unfinished_withdrawal(study: Study) -> None:
    """Raise Refused while votes of an annotator who has withdrawn are still being deleted: a report would show them."""
    if _unfinished(study.annotators.all()).exists():
        raise Refused(f"Votes of an annotator who has withdrawn from {study} are being deleted. Try again in a minute.")


def _unfinished(annotators: QuerySet[Annotator]) -> QuerySet[Annotator]:
    own = Assignment.objects.filter(annotator=OuterRef("pk"))
    return annotators.filter(Exists(own), state=Annotator.State.WITHDRAWN)


def _assignments(annotator: Annotator) -> list[int]:
    return list(annotator.assignments.order_by("pk").values_list("pk", flat=True))


def _delete_rest(tombstone: Annotator) -> None:
    in_slices(_assignments(tombstone), partial(_delete, tombstone), most=MOST_AT_ONCE, least=SMALL_ROWS)


def _delete(tombstone: Annotator, assignment_ids: Sequence[int]) -> None:
    tombstone = lock(tombstone.pk)
    own = tombstone.assignments.filter(pk__in=assignment_ids)
    comparisons = slots.take_back_all(own, are_slots_held=not tombstone.screened_out_for)
    own.delete()  # the votes are deleted with them
    slots.recount(comparisons)
    if tombstone.screened_out_for and not tombstone.assignments.exists():
        Annotator.objects.filter(pk=tombstone.pk).update(screened_out_for="")


def _tombstone(annotator: Annotator, vote_count: int, now: datetime) -> Annotator:
    known_as = annotator.external_id
    blank_columns(annotator, kept=("token",))  # the link says that they withdrew
    if known_as:
        annotator.external_id = withdrawal_marker(study_id=annotator.study_id, external_id=known_as)
    annotator.state, annotator.withdrawn_at, annotator.withdrawn_vote_count = Annotator.State.WITHDRAWN, now, vote_count
    # `screened_out_for` goes with the last vote: it says that no slot is held.
    annotator.consent_sha256 = annotator.broken_rules = ""
    annotator.seed = new_seed()
    annotator.welcomed_at = annotator.instructions_read_at = annotator.check_passed_at = annotator.finished_at = None
    annotator.waiting_since = None
    annotator.check_try_count = annotator.break_count = 0
    annotator.created_at = now  # the time of the first visit could tell who it was
    annotator.save()
    log_of([annotator.pk]).update(object_repr=str(annotator))  # it was their label
    return annotator


def log_of(annotator_ids: Collection[int]) -> QuerySet[LogEntry]:
    """Return what the admin has logged about these annotators."""
    return LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Annotator), object_id__in=list(map(str, annotator_ids))
    )
