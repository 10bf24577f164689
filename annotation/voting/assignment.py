"""Assign comparisons to annotators: lease one, renew, release and expire leases.

A call costs a bounded number of indexed queries, however many comparisons and votes the study has. Rows are locked in
the order that `slots` describes: first the annotator (`lock`), then assignments, then comparisons. So the actions of
one annotator run one after another, however many tabs are open, and transactions of two annotators meet only at a
comparison. A search skips a comparison that another transaction has locked, because waiting for it could close a circle
of transactions that wait for each other, and because the next free comparison is as good. If a search finds nothing, it
is repeated as a patient one, which waits: else an annotator would be told that nothing is left because of a lock that
lasts a millisecond.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import F, Min, OuterRef, QuerySet, Subquery
from django.db.models.lookups import IsNull
from django.utils.translation import gettext as _

from annotation.models import Annotator, Assignment, Comparison, Study
from annotation.voting import slots
from annotation.voting.availability import closure, sentence
from annotation.voting.quality.exclusion import finish_annotator, judge
from annotation.voting.quality.screening_out import is_to_be_screened_out
from annotation.voting.rules import VotingRules
from annotation.voting.search import Hold, Progress, lease_another, progress_of
from annotation.voting.stopping import close_decided
from annotation.voting.storage.sqlite_queue import in_turn
from annotation.voting.storage.vote_statements import counts_of, renewed_leases
from jobs.refusals import Refused

# How long a comparison is held for a page that fetched it before the annotator reaches it.
AHEAD_SECONDS = 180
# A patient search repeats if another annotator was quicker; so each repeat means that another one got on.
SEARCH_REPEATS = 20
EXPIRY_BATCH = 500


class NextKind(StrEnum):
    """The kinds of answer to "next"."""

    COMPARISON = "comparison"
    WAIT = "wait"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Next:
    """The answer to "next": a comparison, or wait (seconds, at most one lease), or done.

    done_count of total are answered, checks among them; the quota is never above the study's size. ahead: the
    comparisons held for later, in their order; the annotator has not seen them yet.
    """

    kind: NextKind
    done_count: int
    total: int
    assignment: Assignment | None = None
    ahead: tuple[Assignment, ...] = ()
    wait_seconds: int = 0


def next_assignment(*, annotator: Annotator, rules: VotingRules, now: datetime) -> Next:
    """Return the comparison that the annotator holds (a reload shows the same), else lease a new one.

    If a check is due, it comes instead of a comparison. Done means that the quota is reached, or that all comparisons
    which the annotator has not answered have all their votes; comparisons that were set aside count for neither. Raises
    `Refused` if the study is not open or the annotator has left it.
    """
    answer = _search(annotator, rules, now)
    if answer.kind == NextKind.DONE:
        finish_annotator(annotator=annotator, rules=rules, now=now)
    return answer


def _search(annotator: Annotator, rules: VotingRules, now: datetime) -> Next:
    if leased := _lease_what_is_free(annotator.pk, rules, now):
        return leased
    # Nothing was free and unlocked. Search again and wait for locks: only after that is "nothing" an answer.
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
    leased = lease_under_lock(annotator=annotator, rules=rules, now=now, is_patient=True)
    return leased or _nothing_free(annotator, rules, now)


def lock(annotator_id: int) -> Annotator:
    """Lock the annotator, and return them freshly read, with the study."""
    own_row = Annotator.objects.select_for_update(no_key=True, of=("self",))
    return own_row.select_related("study").defer("platform_parameters").get(pk=annotator_id)


def lease_under_lock(
    *, annotator: Annotator, rules: VotingRules, now: datetime, is_patient: bool = False
) -> Next | None:
    """`next_assignment` for an annotator whose lock this transaction holds; None if nothing was found free.

    Unless patient, it skips comparisons that others have locked, so it may run in a transaction that holds another one.
    """
    refuse_unless_taking_part(annotator)
    if reason := closure(study=annotator.study, rules=rules, now=now):
        raise Refused(sentence(reason))
    ends_at, ahead_ends_at = now + timedelta(seconds=rules.lease_seconds), ahead_end(rules, now)
    # `leased_at` stays: the annotator may have seen what the page held ahead before the server knew.
    leases, counts = renewed_leases(annotator, ends_at=ends_at, ahead_ends_at=ahead_ends_at, is_patient=is_patient)
    progress = progress_of(annotator, rules, counts, leases)
    if not leases:
        first, progress = lease_another(annotator, progress, Hold(rules, now, ends_at), is_patient=is_patient)
        if first is None:
            return _done(annotator, progress, rules, now) if progress.is_complete else None
        leases = [first]
    # Held ahead: never more than the quota, and never waiting for others.
    while len(leases) <= rules.prefetch:
        another, progress = lease_another(annotator, progress, Hold(rules, now, ahead_ends_at, is_ahead=True))
        if another is None:
            break
        leases.append(another)
    if annotator.state == Annotator.State.FINISHED or annotator.waiting_since:
        Annotator.objects.filter(pk=annotator.pk).update(
            state=Annotator.State.ACTIVE, finished_at=None, waiting_since=None
        )
    return Next(NextKind.COMPARISON, progress.done_count, progress.total, leases[0], tuple(leases[1:]))


@in_turn
def release(*, assignment: Assignment, now: datetime) -> bool:
    """Release the comparison at once. If it is no longer leased, change nothing and return False."""
    lock(assignment.annotator_id)
    return give_back(assignment, Assignment.State.RELEASED, now)


@in_turn
def release_ahead(*, annotator: Annotator, now: datetime) -> int:
    """Release what is held ahead, because the page closes; return how many comparisons there were.

    The comparison on the screen stays leased, so that the annotator comes back to it.
    """
    lock(annotator.pk)
    ahead = _leased(annotator).filter(is_ahead=True).order_by("comparison")
    return sum(give_back(assignment, Assignment.State.RELEASED, now) for assignment in ahead)


def give_back(assignment: Assignment, state: Assignment.State, now: datetime) -> bool:
    """Move a leased assignment to a state that holds no slot; return False if it was no longer leased.

    Runs under the annotator's `lock`. A caller that gives back several goes in the order of their comparisons.
    """
    leased = Assignment.objects.filter(pk=assignment.pk, state=Assignment.State.LEASED)
    is_given_back = leased.update(state=state, is_ahead=False, lease_expires_at=None, released_at=now) == 1
    if is_given_back and assignment.kind == Assignment.Kind.MAIN:
        slots.free([assignment.comparison_id])
    return is_given_back


@in_turn
def expire_leases(*, now: datetime, study: Study | None = None) -> int:
    """Release leases that have ended, up to EXPIRY_BATCH, and their slots; return how many there were.

    Call it in no transaction that holds a comparison. An assignment that another transaction has locked is left to it.
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
    """Raise `Refused` if the annotator was screened out or has withdrawn."""
    if annotator.state in (Annotator.State.SCREENED_OUT, Annotator.State.WITHDRAWN):
        raise Refused(_("This link takes no more votes: its annotator has left the study."))


def move_screen_ahead(*, annotator: Annotator, rules: VotingRules, now: datetime) -> list[int]:
    """Hold the comparison on the screen ahead of all others; release those beyond what the rules let an annotator hold.

    Runs under the annotator's `lock`. Returns the comparisons whose slots the caller frees (`slots.free`).
    """
    leases = list(_leased(annotator).select_for_update(no_key=True, of=("self",)))
    kept_count = max(1, rules.prefetch)
    kept, excess = ([one.pk for one in part] for part in (leases[:kept_count], leases[kept_count:]))
    Assignment.objects.filter(pk__in=kept).update(is_ahead=True, lease_expires_at=ahead_end(rules, now))
    Assignment.objects.filter(pk__in=excess).update(
        state=Assignment.State.RELEASED, is_ahead=False, lease_expires_at=None, released_at=now
    )
    return [one.comparison_id for one in leases[kept_count:] if one.kind == Assignment.Kind.MAIN]


def _leased(annotator: Annotator) -> QuerySet[Assignment]:
    """The comparison on the annotator's screen, then those held ahead."""
    leased = Assignment.objects.filter(annotator=annotator, state=Assignment.State.LEASED)
    return leased.order_by("is_ahead", "leased_at", "pk")


def ahead_end(rules: VotingRules, now: datetime) -> datetime:
    """Return when the lease of a comparison that is held ahead ends."""
    return now + timedelta(seconds=min(AHEAD_SECONDS, rules.lease_seconds))


def _done(annotator: Annotator, progress: Progress, rules: VotingRules, now: datetime) -> Next:
    if annotator.state == Annotator.State.ACTIVE:
        # Since this annotator's last vote, others' votes may have made a repeated comparison clear.
        judge(annotator=annotator, rules=rules)
        # Screening out waits for several comparisons, so it is a transaction of its own.
        if not is_to_be_screened_out(annotator, rules):
            Annotator.objects.filter(pk=annotator.pk).update(state=Annotator.State.FINISHED, finished_at=now)
    return Next(NextKind.DONE, progress.done_count, progress.total)


def unseen(annotator: Annotator) -> QuerySet[Comparison]:
    """The study's comparisons that the annotator has not answered, holds or reported; none set aside or decided."""
    states = (*Assignment.ANSWERED, Assignment.State.LEASED, Assignment.State.REPORTED)
    main = Assignment.objects.filter(annotator=annotator, kind=Assignment.Kind.MAIN, state__in=states)
    # Not ~Exists, for which PostgreSQL may join: see `storage.lease_statements`.
    is_unseen = IsNull(Subquery(main.filter(comparison=OuterRef("pk")).order_by().values("pk")[:1]), True)
    return Comparison.objects.filter(is_unseen, study=annotator.study_id, parked_at=None, decided_at=None)


def _nothing_free(annotator: Annotator, rules: VotingRules, now: datetime) -> Next:
    """Return "wait" while a comparison that the annotator could still get lacks votes, else "done".

    An annotator waits one lease at most: longer would ask too much of them. To wait 0 seconds means that a comparison
    has become free, so the caller searches again at once.
    """
    progress = progress_of(annotator, rules, counts_of(annotator))
    wait = Next(NextKind.WAIT, progress.done_count, progress.total)
    unfinished = unseen(annotator).filter(vote_count__lt=F("overlap"))
    close_decided(unfinished, rules=rules, now=now)
    if not unfinished.exists():
        return _done(annotator, progress, rules, now)
    if unseen(annotator).filter(slot_count__lt=F("overlap")).exists():
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
