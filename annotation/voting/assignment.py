"""What an annotator gets next: lease a comparison, renew, release, expire.

A call costs a bounded number of indexed queries, however many comparisons and votes the study has.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction
from django.db.models import Count, Exists, F, IntegerField, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from annotation.models import Annotator, Assignment, Comparison, Study
from annotation.voting import slots
from annotation.voting.allocation import present, search_start, stored_chance
from annotation.voting.opening import closure, sentence
from annotation.voting.rules import VotingRules
from generation.models import GeneratedImage
from generation.refusals import Refused

ANSWERED = (Assignment.State.VOTED, Assignment.State.LATE)
# A patient search repeats when somebody was quicker; each repeat means that somebody else got on.
SEARCH_REPEATS = 20
EXPIRY_BATCH = 500


class NextKind(StrEnum):
    """What the server answers to "next"."""

    COMPARISON = "comparison"
    WAIT = "wait"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Next:
    """The answer to "next": a comparison, or wait (seconds, at most one lease), or done.

    `done_count` of `quota` comparisons are answered; the quota is never above the study's size.
    """

    kind: NextKind
    done_count: int
    quota: int
    assignment: Assignment | None = None
    wait_seconds: int = 0


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far an annotator is: main assignments ever made, those answered, the quota, the study's last position."""

    assignment_count: int
    answered_count: int
    quota: int
    last_position: int


def next_assignment(*, annotator: Annotator, rules: VotingRules, now: datetime) -> Next:
    """The annotator's live assignment if there is one (a reload shows the same), else a new lease.

    Done means that the quota is reached or that every comparison the annotator has not answered is full
    of standing votes; comparisons that were set aside count for neither. Raises `Refused` when the study
    is not open or the annotator has left it.
    """
    with transaction.atomic():
        if found := lease_under_lock(annotator=lock(annotator.pk), rules=rules, now=now):
            return found
    # Nothing was free and unlocked. Look again and wait for locks: only then is "nothing" an answer.
    for _repeat in range(SEARCH_REPEATS):
        expire_leases(now=now, study=annotator.study)
        with transaction.atomic():
            annotator = lock(annotator.pk)
            found = lease_under_lock(annotator=annotator, rules=rules, now=now, is_patient=True)
            answer = found or _nothing_free(annotator, rules, now)
        if answer.kind != NextKind.WAIT or answer.wait_seconds:
            return answer
    return replace(answer, wait_seconds=1)


def lock(annotator_id: int) -> Annotator:
    """The annotator, freshly read with the study and locked: what one annotator does happens one after the other."""
    return Annotator.objects.select_for_update(no_key=True, of=("self",)).select_related("study").get(pk=annotator_id)


def lease_under_lock(
    *, annotator: Annotator, rules: VotingRules, now: datetime, is_patient: bool = False
) -> Next | None:
    """`next_assignment` without its last word: None where nothing was found free.

    `annotator` comes from `lock`, in this transaction. Unless patient, it skips what others have locked, so
    it may run in a transaction that holds another comparison.
    """
    refuse_unless_taking_part(annotator)
    if reason := closure(study=annotator.study, rules=rules, now=now):
        raise Refused(sentence(reason))
    progress = _progress(annotator, rules)
    assignment = _live(annotator, rules, now, is_patient=is_patient)
    if assignment is None:
        if progress.answered_count >= progress.quota:
            return _done(annotator, progress, now)
        if (comparison := _take_slot(annotator, progress, is_patient=is_patient)) is None:
            return None
        assignment = _lease(annotator, comparison, progress.assignment_count, _lease_end(rules, now), now)
    if annotator.state == Annotator.State.FINISHED:
        Annotator.objects.filter(pk=annotator.pk).update(state=Annotator.State.ACTIVE, finished_at=None)
    return Next(NextKind.COMPARISON, progress.answered_count, progress.quota, assignment)


@transaction.atomic
def release(*, assignment: Assignment, now: datetime) -> bool:
    """Give the comparison back at once; False when it was not leased any more, and then nothing changes."""
    leased = Assignment.objects.filter(pk=assignment.pk, state=Assignment.State.LEASED)
    is_released = leased.update(state=Assignment.State.RELEASED, lease_expires_at=None, released_at=now) == 1
    if is_released and assignment.kind == Assignment.Kind.MAIN:
        slots.free([assignment.comparison_id])
    return is_released


@transaction.atomic
def expire_leases(*, now: datetime, study: Study | None = None) -> int:
    """Give back the slots of leases that have ended, up to EXPIRY_BATCH; how many there were.

    Run it outside any transaction that holds a comparison. What another process has locked is left to it.
    """
    due = Assignment.objects.filter(state=Assignment.State.LEASED, lease_expires_at__lte=now)
    if study is not None:
        due = due.filter(comparison__study=study)
    batch = dict(due.values_list("pk", "comparison_id")[:EXPIRY_BATCH])
    list(Comparison.objects.filter(pk__in=batch.values()).order_by("pk").select_for_update(no_key=True).values("pk"))
    locked = due.filter(pk__in=batch).select_for_update(no_key=True, skip_locked=True, of=("self",))
    ended = list(locked.values_list("pk", "comparison_id", "kind"))
    Assignment.objects.filter(pk__in=[pk for pk, _comparison, _kind in ended]).update(
        state=Assignment.State.RELEASED, lease_expires_at=None, released_at=now
    )
    counts = Counter(comparison for _pk, comparison, kind in ended if kind == Assignment.Kind.MAIN)
    for count in sorted(set(counts.values())):
        slots.free([comparison for comparison in counts if counts[comparison] == count], count)
    return len(ended)


def refuse_unless_taking_part(annotator: Annotator) -> None:
    """Raise `Refused` for an annotator who was screened out or has withdrawn."""
    if annotator.state in (Annotator.State.SCREENED_OUT, Annotator.State.WITHDRAWN):
        raise Refused(_("This link takes no more votes: its annotator has left the study."))


def _lease_end(rules: VotingRules, now: datetime) -> datetime:
    return now + timedelta(seconds=rules.lease_seconds)


def _progress(annotator: Annotator, rules: VotingRules) -> _Progress:
    """One query. Not part of `lock`'s: after waiting for a lock, PostgreSQL keeps the old view of other tables."""
    main = Assignment.objects.filter(annotator=OuterRef("pk"), kind=Assignment.Kind.MAIN).order_by()
    counts = main.values("annotator").annotate(total=Count("pk"), answered=Count("pk", filter=Q(state__in=ANSWERED)))
    positions = Comparison.objects.filter(study=OuterRef("study")).order_by("-position").values("position")
    assignment_count, answered_count, last_position = (
        Annotator.objects.filter(pk=annotator.pk)
        .values_list(
            Coalesce(Subquery(counts.values("total")), 0),
            Coalesce(Subquery(counts.values("answered")), 0),
            Coalesce(Subquery(positions[:1]), -1, output_field=IntegerField()),
        )
        .get()
    )
    quota = min(rules.comparisons_per_annotator, last_position + 1)
    return _Progress(assignment_count, answered_count, quota, last_position)


def _live(annotator: Annotator, rules: VotingRules, now: datetime, *, is_patient: bool) -> Assignment | None:
    """The assignment on the annotator's screen, its lease renewed; the latest, where an undo left two."""
    live = (
        Assignment.objects.filter(annotator=annotator, kind=Assignment.Kind.MAIN, state=Assignment.State.LEASED)
        .select_related("comparison__prompt")
        .select_for_update(no_key=True, skip_locked=not is_patient, of=("self",))
        .order_by("-leased_at", "-pk")
        .first()
    )
    if live:
        live.lease_expires_at = _lease_end(rules, now)
        live.save(update_fields=["lease_expires_at"])
    return live


def _unseen(annotator: Annotator) -> QuerySet[Comparison]:
    """The study's comparisons that the annotator neither answered nor holds, without those set aside."""
    seen = Assignment.objects.filter(
        comparison=OuterRef("pk"),
        annotator=annotator,
        kind=Assignment.Kind.MAIN,
        state__in=(*ANSWERED, Assignment.State.LEASED),
    )
    return Comparison.objects.filter(~Exists(seen), study=annotator.study_id, parked_at=None)


def _free(annotator: Annotator) -> QuerySet[Comparison]:
    return _unseen(annotator).filter(slot_count__lt=F("overlap"))


def _take_slot(annotator: Annotator, progress: _Progress, *, is_patient: bool) -> Comparison | None:
    """Take a slot of one of the least filled comparisons; which one is drawn from the annotator's seed."""
    free = _free(annotator).select_related("prompt")
    least = free.order_by("slot_count", "position").values_list("slot_count", flat=True).first()
    if least is None:
        return None
    start = search_start(stored_chance(annotator.seed, "search", progress.assignment_count), progress.last_position)
    equal = free.filter(slot_count=least).order_by("position")
    if not is_patient:
        equal = equal.select_for_update(no_key=True, skip_locked=True, of=("self",))
    found = equal.filter(position__gte=start).first() or equal.filter(position__lt=start).first()
    return found if found and slots.take(found.pk) else None


def _lease(
    annotator: Annotator, comparison: Comparison, index: int, lease_expires_at: datetime, now: datetime
) -> Assignment:
    """Lease the comparison: as it was shown before, or with sides and orders drawn for assignment number `index`."""
    before = Assignment.objects.filter(comparison=comparison, annotator=annotator, kind=Assignment.Kind.MAIN).first()
    assignment = before or _new_assignment(annotator, comparison, index)
    assignment.comparison = comparison  # with its prompt, already read
    assignment.state = Assignment.State.LEASED
    assignment.leased_at, assignment.lease_expires_at = now, lease_expires_at
    assignment.released_at = None
    assignment.save(update_fields=["state", "leased_at", "lease_expires_at", "released_at"] if before else None)
    return assignment


def _new_assignment(annotator: Annotator, comparison: Comparison, index: int) -> Assignment:
    images: dict[int, list[int]] = {comparison.image_set_a_id: [], comparison.image_set_b_id: []}
    rows = GeneratedImage.objects.filter(image_set__in=images).order_by("seed").values_list("image_set_id", "pk")
    for image_set_id, image_id in rows:
        images[image_set_id].append(image_id)
    shown = present(
        seed=annotator.seed,
        index=index,
        images_a=images[comparison.image_set_a_id],
        images_b=images[comparison.image_set_b_id],
    )
    return Assignment(
        comparison=comparison,
        annotator=annotator,
        left_model=shown.left_model,
        left_images=shown.left_images,
        right_images=shown.right_images,
    )


def _done(annotator: Annotator, progress: _Progress, now: datetime) -> Next:
    if annotator.state == Annotator.State.ACTIVE:
        Annotator.objects.filter(pk=annotator.pk).update(state=Annotator.State.FINISHED, finished_at=now)
    return Next(NextKind.DONE, progress.answered_count, progress.quota)


def _nothing_free(annotator: Annotator, rules: VotingRules, now: datetime) -> Next:
    """Wait while a comparison that the annotator could still get lacks standing votes, else done.

    Waiting 0 seconds: something is free by now, so look again at once.
    """
    progress = _progress(annotator, rules)
    unfinished = _unseen(annotator).filter(vote_count__lt=F("overlap"))
    if not unfinished.exists():
        return _done(annotator, progress, now)
    leases = Assignment.objects.filter(comparison__in=unfinished, state=Assignment.State.LEASED)
    earliest = None if _free(annotator).exists() else leases.aggregate(end=Min("lease_expires_at"))["end"]
    seconds = math.ceil((earliest - now).total_seconds()) if earliest else 0
    wait_seconds = min(max(seconds, 0), rules.lease_seconds)
    return Next(NextKind.WAIT, progress.answered_count, progress.quota, wait_seconds=wait_seconds)
