"""Screen an annotator out: the study is over for them at once, and the slots of their votes become free in slices.

The votes stay, excluded for good. In one transaction 10,000 votes took 1.4 s, for which nobody else could vote. So an
annotator whose slots are still being freed is screened out for no reason yet (`screened_out_for`), and `released_at`
marks the votes whose slots are free. If the process dies between two slices, the half-minute tick goes on.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.db.models import QuerySet
from django.utils import timezone

from annotation.models import Annotator, Assignment
from annotation.voting import slots
from annotation.voting.quality.broken_rules import rules_in
from annotation.voting.rules import VotingRules
from annotation.voting.storage.slices import SMALL_ROWS, in_slices
from annotation.voting.storage.sqlite_queue import in_turn

MOST_AT_ONCE = 500


def locked(annotator_id: int) -> Annotator:
    """Lock the annotator, and return them freshly read."""
    return Annotator.objects.select_for_update(no_key=True).get(pk=annotator_id)


def is_to_be_screened_out(annotator: Annotator, rules: VotingRules) -> bool:
    """Whether the annotator, at the end, broke a rule that screens out. One who has finished is never screened out."""
    broken = rules_in(annotator.broken_rules)
    is_active = annotator.state == Annotator.State.ACTIVE
    return is_active and any(rule in rules.quality.screens_out for rule in broken)


def screen_out(*, annotator: Annotator, rules: VotingRules, now: datetime) -> bool:
    """Screen the annotator out if they broke a rule that does so; return whether it was done.

    It runs in no transaction that holds a comparison (see `slots`).
    """
    if not rules.quality.screens_out or not _leave(annotator.pk, rules, now):
        return False
    free_slots(annotator)
    return True


@in_turn
def _leave(annotator_id: int, rules: VotingRules, now: datetime) -> bool:
    annotator = locked(annotator_id)
    if not is_to_be_screened_out(annotator, rules):
        return False
    leased = annotator.assignments.filter(state=Assignment.State.LEASED)
    voted = annotator.assignments.filter(state=Assignment.State.VOTED)
    voted.exclude(released_at=None).update(released_at=None)  # of votes that came after their lease
    slots.take_back_all(leased)
    leased.update(state=Assignment.State.RELEASED, is_ahead=False, lease_expires_at=None, released_at=now)
    Annotator.objects.filter(pk=annotator.pk).update(state=Annotator.State.SCREENED_OUT, finished_at=now)
    return True


def free_slots(annotator: Annotator) -> None:
    """Free the slots that an annotator who was screened out still holds. Safe to run twice, also at the same time."""
    if not unfinished().filter(pk=annotator.pk).exists():
        return
    held = annotator.assignments.filter(kind=Assignment.Kind.MAIN, state=Assignment.State.VOTED, released_at=None)
    ids = list(held.order_by("pk").values_list("pk", flat=True))
    in_slices(ids, partial(_free, annotator.pk), most=MOST_AT_ONCE, least=SMALL_ROWS)
    unfinished().filter(pk=annotator.pk).update(screened_out_for=Annotator.Screening.ATTENTION)


def _free(annotator_id: int, assignment_ids: Sequence[int]) -> None:
    annotator = locked(annotator_id)
    if annotator.state == Annotator.State.SCREENED_OUT and not annotator.screened_out_for:
        held = annotator.assignments.filter(pk__in=assignment_ids, released_at=None)
        comparisons = slots.take_back_all(held)
        held.update(released_at=timezone.now())
        slots.recount(comparisons)


def finish_screening_out() -> None:
    """Free the slots that screening out left behind because its process died."""
    for annotator in unfinished():
        free_slots(annotator)


def unfinished() -> QuerySet[Annotator]:
    """Return the annotators who were screened out and whose slots are still being freed."""
    return Annotator.objects.filter(state=Annotator.State.SCREENED_OUT, screened_out_for="")
