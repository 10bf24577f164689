"""Withdrawal deletes an annotator's votes and answers. A tombstone stays: a random id, a count, a time."""

from datetime import datetime

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from annotation.models import Annotator, Assignment, Vote
from annotation.models.annotator import new_resume_code, new_seed, withdrawal_marker
from annotation.voting import slots
from annotation.voting.assignment import lock
from annotation.voting.storage.sqlite_queue import in_turn
from jobs.refusals import Refused


def is_open(*, until: datetime | None, now: datetime) -> bool:
    """Whether annotators may still withdraw; if there is no date, they always may."""
    return until is None or now <= until


@in_turn
def withdraw(*, annotator: Annotator, until: datetime | None, now: datetime) -> Annotator:
    """Delete the annotator's votes, answers and all that names them, free their slots, and return the tombstone.

    The link still leads to the tombstone, so that the annotator is told that they have withdrawn. Doing it again
    changes nothing. Raises `Refused` after `until`.
    """
    annotator = lock(annotator.pk)
    if annotator.state == Annotator.State.WITHDRAWN:
        return annotator
    if not is_open(until=until, now=now):
        raise Refused(_("The time in which your votes could be deleted is over."))
    comparisons = slots.take_back_all(annotator)
    given = Vote.objects.filter(assignment__annotator=annotator, assignment__kind=Assignment.Kind.MAIN)
    vote_count = given.exclude(state=Vote.State.SUPERSEDED).count()
    annotator.assignments.all().delete()  # the votes are deleted with them
    slots.recount(comparisons)
    annotator.answers.all().delete()
    return _tombstone(annotator, vote_count, now)


def _tombstone(annotator: Annotator, vote_count: int, now: datetime) -> Annotator:
    if annotator.external_id:
        annotator.external_id = withdrawal_marker(study_id=annotator.study_id, external_id=annotator.external_id)
    annotator.state, annotator.withdrawn_at, annotator.withdrawn_vote_count = Annotator.State.WITHDRAWN, now, vote_count
    annotator.label, annotator.consent_sha256, annotator.screened_out_for = "", "", ""
    annotator.broken_rules = ""
    annotator.platform_parameters = {}
    annotator.resume_code, annotator.seed = new_resume_code(), new_seed()
    annotator.welcomed_at = annotator.instructions_read_at = annotator.check_passed_at = annotator.finished_at = None
    annotator.waiting_since = None
    annotator.check_try_count = annotator.break_count = 0
    annotator.created_at = now  # the time of the first visit could tell who it was
    annotator.save()
    _log_of(annotator).update(object_repr=str(annotator))  # it was their label
    return annotator


def _log_of(annotator: Annotator) -> QuerySet[LogEntry]:
    """Return what the admin has logged about the annotator."""
    return LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Annotator), object_id=str(annotator.pk)
    )
