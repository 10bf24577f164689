"""What an annotator gets next: lease a comparison, renew, release, expire.

A call costs a bounded number of indexed queries, however many comparisons and votes the study has.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import F, Min, QuerySet
from django.utils.translation import gettext as _

from annotation.models import Annotator, Assignment, Comparison, Study
from annotation.voting import slots
from annotation.voting.availability import closure, sentence
from annotation.voting.quality.exclusion import conclude, is_to_be_screened_out, judge
from annotation.voting.rules import VotingRules
from annotation.voting.search import Hold, Progress, lease_another, progress_of
from annotation.voting.stopping import close_decided
from annotation.voting.storage.prepared import Given, Select, Update, given
from annotation.voting.storage.search_statements import free, unseen
from annotation.voting.storage.sqlite_queue import in_turn
from jobs.refusals import Refused

# So long a comparison is held for a page that fetched it before the annotator gets there.
AHEAD_SECONDS = 180
# A patient search repeats when somebody was quicker; each repeat means that somebody else got on.
SEARCH_REPEATS = 20
EXPIRY_BATCH = 500

_LOCKED = Select(
    lambda: (
        Annotator.objects.select_for_update(no_key=True, of=("self",))
        .select_related("study")
        .defer("platform_parameters")
        .filter(pk=given("annotator", Annotator.id))
    )
)
_RENEWED = Update(
    lambda: (
        Assignment.objects.filter(pk=given("assignment", Assignment.id)),
        {
            "is_ahead": given("is_ahead", Assignment.is_ahead),
            "lease_expires_at": given("ends_at", Assignment.lease_expires_at),
        },
    )
)


class NextKind(StrEnum):
    """What the server answers to "next"."""

    COMPARISON = "comparison"
    WAIT = "wait"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Next:
    """The answer to "next": a comparison, or wait (seconds, at most one lease), or done.

    `done_count` of `total` are answered, checks among them; the quota is never above the study's size. `ahead`
    are the comparisons held for later, in their order; nobody has seen them yet.
    """

    kind: NextKind
    done_count: int
    total: int
    assignment: Assignment | None = None
    ahead: tuple[Assignment, ...] = ()
    wait_seconds: int = 0


def next_assignment(*, annotator: Annotator, rules: VotingRules, now: datetime) -> Next:
    """The annotator's live assignment if there is one (a reload shows the same), else a new lease.

    A check comes in the place of a comparison where one is due. Done means that the quota is reached or that
    every comparison the annotator has not answered is full of standing votes; comparisons that were set aside
    count for neither. Raises `Refused` when the study is not open or the annotator has left it.
    """
    answer = _search(annotator, rules, now)
    if answer.kind == NextKind.DONE:
        conclude(annotator=annotator, rules=rules, now=now)
    return answer


def _search(annotator: Annotator, rules: VotingRules, now: datetime) -> Next:
    if found := _lease_what_is_free(annotator.pk, rules, now):
        return found
    # Nothing was free and unlocked. Look again and wait for locks: only then is "nothing" an answer.
    for _repeat in range(SEARCH_REPEATS):
        expire_leases(now=now, study=annotator.study)
        answer = _lease_patiently(annotator.pk, rules, now)
        if answer.kind != NextKind.WAIT or answer.wait_seconds:
            return answer
    return replace(answer, wait_seconds=1)


@in_turn
def _lease_what_is_free(annotator_id: int, rules: VotingRules, now: datetime) -> Next | None:
    return lease_under_lock(annotator=lock(annotator_id), rules=rules, now=now)


@in_turn
def _lease_patiently(annotator_id: int, rules: VotingRules, now: datetime) -> Next:
    annotator = lock(annotator_id)
    found = lease_under_lock(annotator=annotator, rules=rules, now=now, is_patient=True)
    return found or _nothing_free(annotator, rules, now)


def lock(annotator_id: int) -> Annotator:
    """The annotator, freshly read with the study and locked: what one annotator does happens one after the other."""
    if found := _LOCKED.first(annotator=annotator_id):
        return found
    raise Annotator.DoesNotExist


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
    live = _live(annotator, is_patient=is_patient)
    progress = progress_of(annotator, rules, live)
    if live:
        assignment = _make_current(live[0], rules, now)
    else:
        hold = Hold(rules, now, now + timedelta(seconds=rules.lease_seconds))
        leased, progress = lease_another(annotator, progress, hold, is_patient=is_patient)
        if leased is None:
            return _done(annotator, progress, rules, now) if progress.is_complete else None
        assignment = leased
    ahead = _ahead(annotator, live[1:], progress, rules, now)
    if annotator.state == Annotator.State.FINISHED or annotator.waiting_since:
        Annotator.objects.filter(pk=annotator.pk).update(
            state=Annotator.State.ACTIVE, finished_at=None, waiting_since=None
        )
    return Next(NextKind.COMPARISON, progress.done_count, progress.total, assignment, ahead)


@in_turn
def release(*, assignment: Assignment, now: datetime) -> bool:
    """Give the comparison back at once; False when it was not leased any more, and then nothing changes."""
    lock(assignment.annotator_id)
    return give_back(assignment, Assignment.State.RELEASED, now)


@in_turn
def release_ahead(*, annotator: Annotator, now: datetime) -> int:
    """Give back what is held ahead, for a page that closes; how many comparisons there were.

    The comparison that the annotator sees stays theirs, so that coming back leads to the same place.
    """
    lock(annotator.pk)
    ahead = _leased(annotator).filter(is_ahead=True).order_by("comparison")
    return sum(give_back(assignment, Assignment.State.RELEASED, now) for assignment in ahead)


def give_back(assignment: Assignment, state: Assignment.State, now: datetime) -> bool:
    """A leased assignment moves to a state that holds no slot; False when it was not leased any more.

    Runs under the annotator's `lock`; several go in the order of their comparisons.
    """
    leased = Assignment.objects.filter(pk=assignment.pk, state=Assignment.State.LEASED)
    is_given_back = leased.update(state=state, is_ahead=False, lease_expires_at=None, released_at=now) == 1
    if is_given_back and assignment.kind == Assignment.Kind.MAIN:
        slots.free([assignment.comparison_id])
    return is_given_back


@in_turn
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
        state=Assignment.State.RELEASED, is_ahead=False, lease_expires_at=None, released_at=now
    )
    counts = Counter(comparison for _pk, comparison, kind in ended if kind == Assignment.Kind.MAIN)
    for count in sorted(set(counts.values())):
        slots.free([comparison for comparison in counts if counts[comparison] == count], count)
    return len(ended)


def refuse_unless_taking_part(annotator: Annotator) -> None:
    """Raise `Refused` for an annotator who was screened out or has withdrawn."""
    if annotator.state in (Annotator.State.SCREENED_OUT, Annotator.State.WITHDRAWN):
        raise Refused(_("This link takes no more votes: its annotator has left the study."))


def make_way(*, annotator: Annotator, rules: VotingRules, now: datetime) -> list[int]:
    """What is on the screen goes ahead, before what was ahead already; at least it is kept, the rest to the rule.

    Runs under the annotator's `lock`. Returns the comparisons whose slots the caller frees (`slots.free`).
    """
    live = _live(annotator, is_patient=True)
    kept_count = max(1, rules.prefetch)
    kept, excess = ([one.pk for one in part] for part in (live[:kept_count], live[kept_count:]))
    Assignment.objects.filter(pk__in=kept).update(is_ahead=True, lease_expires_at=ahead_end(rules, now))
    Assignment.objects.filter(pk__in=excess).update(
        state=Assignment.State.RELEASED, is_ahead=False, lease_expires_at=None, released_at=now
    )
    return [one.comparison_id for one in live[kept_count:] if one.kind == Assignment.Kind.MAIN]


def _leased(annotator: Annotator | Given) -> QuerySet[Assignment]:
    leased = Assignment.objects.filter(annotator=annotator, state=Assignment.State.LEASED)
    return leased.select_related("comparison__prompt")


def _in_line(*, is_patient: bool) -> Select[Assignment]:
    def build() -> QuerySet[Assignment]:
        leased = _leased(given("annotator", Annotator.id))
        locked = leased.select_for_update(no_key=True, skip_locked=not is_patient, of=("self",))
        return locked.order_by("is_ahead", "leased_at", "pk")

    return Select(build)


_IN_LINE = {is_patient: _in_line(is_patient=is_patient) for is_patient in (False, True)}


def _live(annotator: Annotator, *, is_patient: bool) -> list[Assignment]:
    """What is leased to the annotator: the comparison on the screen, then those held ahead in their order."""
    return _IN_LINE[is_patient].rows(annotator=annotator.pk)


def _make_current(assignment: Assignment, rules: VotingRules, now: datetime) -> Assignment:
    """The comparison on the annotator's screen, its lease renewed.

    `leased_at` stays: whoever looked at what was fetched ahead may have begun before the server knew.
    """
    assignment.is_ahead, assignment.lease_expires_at = False, now + timedelta(seconds=rules.lease_seconds)
    _RENEWED(assignment=assignment.pk, is_ahead=False, ends_at=assignment.lease_expires_at)
    return assignment


def _ahead(
    annotator: Annotator, held: list[Assignment], progress: Progress, rules: VotingRules, now: datetime
) -> tuple[Assignment, ...]:
    """What is held ahead, renewed, and filled up to the rule: never beyond the quota, never waiting for others."""
    hold = Hold(rules, now, ahead_end(rules, now), is_ahead=True)
    for one in held:
        _RENEWED(assignment=one.pk, is_ahead=True, ends_at=hold.ends_at)
    while len(held) < rules.prefetch:
        leased, progress = lease_another(annotator, progress, hold)
        if leased is None:
            break
        held = [*held, leased]
    return tuple(held)


def ahead_end(rules: VotingRules, now: datetime) -> datetime:
    """When the lease of a comparison that is held ahead ends."""
    return now + timedelta(seconds=min(AHEAD_SECONDS, rules.lease_seconds))


def _done(annotator: Annotator, progress: Progress, rules: VotingRules, now: datetime) -> Next:
    if annotator.state == Annotator.State.ACTIVE:
        # Since the annotator's last vote others may have made a repeated comparison clear.
        judge(annotator=annotator, rules=rules)
        # Screening out waits for several comparisons, so it has a transaction of its own.
        if not is_to_be_screened_out(annotator, rules):
            Annotator.objects.filter(pk=annotator.pk).update(state=Annotator.State.FINISHED, finished_at=now)
    return Next(NextKind.DONE, progress.done_count, progress.total)


def _nothing_free(annotator: Annotator, rules: VotingRules, now: datetime) -> Next:
    """Wait while a comparison that the annotator could still get lacks standing votes, else done.

    Nobody waits longer than one lease: whoever was there for it has done their part. Waiting 0 seconds:
    something is free by now, so look again at once.
    """
    progress = progress_of(annotator, rules)
    wait = Next(NextKind.WAIT, progress.done_count, progress.total)
    unfinished = unseen(annotator.pk, annotator.study_id).filter(vote_count__lt=F("overlap"))
    close_decided(unfinished, rules=rules, now=now)
    if not unfinished.exists():
        return _done(annotator, progress, rules, now)
    if free(annotator.pk, annotator.study_id).exists():
        return wait
    leases = Assignment.objects.filter(
        comparison__in=unfinished, kind=Assignment.Kind.MAIN, state=Assignment.State.LEASED
    )
    ends_at = leases.aggregate(earliest=Min("lease_expires_at"))["earliest"]
    if ends_at is None or ends_at <= now:
        return wait
    patience_ends_at = (annotator.waiting_since or now) + timedelta(seconds=rules.lease_seconds)
    if patience_ends_at <= now:
        return _done(annotator, progress, rules, now)
    Annotator.objects.filter(pk=annotator.pk, waiting_since=None).update(waiting_since=now)
    return replace(wait, wait_seconds=math.ceil((min(ends_at, patience_ends_at) - now).total_seconds()))
