"""Cast a vote, undo a vote. Nothing that an annotator sent is lost: what cannot count is kept as late."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.models import Annotator, Assignment, Vote
from annotation.voting import slots
from annotation.voting.assignment import (
    Next,
    NextKind,
    lease_under_lock,
    lock,
    make_way,
    next_assignment,
    refuse_unless_taking_part,
)
from annotation.voting.availability import Closure, closure
from annotation.voting.quality.exclusion import conclude, judge, mark
from annotation.voting.rules import VotingRules
from annotation.voting.storage.prepared import Insert, Select, Update, given
from annotation.voting.storage.sqlite_queue import in_turn
from jobs.refusals import Refused

LEASED = (Assignment.State.LEASED,)
GIVEN_BACK = (Assignment.State.RELEASED, Assignment.State.REPORTED)
_BY_ID = Select(lambda: Vote.objects.filter(pk=given("vote", Vote.id)).order_by())
_STORE = Insert(Vote)


def _answered_from(states: tuple[Assignment.State, ...]) -> Update:
    """An assignment in one of these states was answered: what was shown is stored, and the lease ends."""
    changes = {
        "state": given("outcome", Assignment.state),
        "shown_at": given("shown_at", Assignment.shown_at),
        "rendition": given("rendition", Assignment.rendition),
        "is_ahead": False,
        "lease_expires_at": None,
    }
    return Update(lambda: (Assignment.objects.filter(pk=given("assignment", Assignment.id), state__in=states), changes))


_ANSWERED = {states: _answered_from(states) for states in (LEASED, GIVEN_BACK)}


class BallotInvalid(Refused):
    """The ballot itself is wrong; sending it again cannot help."""


Find = Callable[[], tuple[Assignment, VotingRules]]


class _SentBefore(Exception):  # noqa: N818 - takes the transaction back, and nobody else sees it
    """A vote with the ballot's id is stored already."""


class CastState(StrEnum):
    """What became of a ballot."""

    ACCEPTED = "accepted"  # counts
    LATE = "late"  # kept, does not count: its slot was taken, or the study had closed
    ALREADY_VOTED = "already_voted"  # the assignment was answered before by another vote, which stands
    DUPLICATE = "duplicate"  # this very vote was received before


@dataclass(frozen=True, slots=True)
class Ballot:
    """What the annotator's page sends. Times are the browser's; `response_ms` runs from painted to chosen."""

    vote_id: uuid.UUID
    choice: str
    shown_at: datetime | None = None
    voted_at: datetime | None = None
    response_ms: int | None = None
    rendition: str = ""


@dataclass(frozen=True, slots=True)
class CastResult:
    """What became of a ballot, the vote that is kept for its assignment, and whether exclusions may have changed."""

    state: CastState
    vote: Vote
    are_marks_due: bool = False


def found_by_id(assignment: Assignment, rules: VotingRules) -> Find:
    """What `vote_and_next` asks for, of an assignment that is at hand."""

    def find() -> tuple[Assignment, VotingRules]:
        assignment.annotator = lock(assignment.annotator_id)
        return assignment, rules

    return find


def cast_vote(*, ballot: Ballot, assignment: Assignment, rules: VotingRules, now: datetime) -> CastResult:
    """Record a vote, once, however often it is sent.

    A lease that ended is no fault: the vote counts if the slot is still free, else it is kept as late.
    While the study is paused, what was on the annotator's screen still counts; after closing it is kept
    as late. Raises `BallotInvalid` for a choice that the study does not offer, a vote faster than the
    minimum viewing time, or a vote id used for something else; `Refused` when the annotator has left.
    """
    try:
        annotator, result = _cast(ballot, assignment, rules, now)
    except _SentBefore:
        annotator, result = _cast(ballot, assignment, rules, now, is_sent_before=True)
    if result.are_marks_due:
        mark(annotator=annotator, now=now)
    return result


def vote_and_next(*, ballot: Ballot, find: Find, now: datetime) -> tuple[CastResult, Next | Closure]:
    """`cast_vote` and `next_assignment` in one transaction wherever something is free.

    `find` runs first in the transaction, at times twice: it reads the assignment with its annotator and study, locks
    the annotator, and knows the rules. Instead of the next this says why the study gives out nothing now, where it was
    paused or closed meanwhile.
    """
    try:
        found = _cast_and_lease(ballot, find, now)
    except _SentBefore:
        found = _cast_and_lease(ballot, find, now, is_sent_before=True)
    annotator, rules, result, following = found
    # The vote is committed; only now may anything wait for what others hold.
    if result.are_marks_due:
        mark(annotator=annotator, now=now)
    if following is None:
        following = next_assignment(annotator=annotator, rules=rules, now=now)
    elif isinstance(following, Next) and following.kind == NextKind.DONE:
        conclude(annotator=annotator, rules=rules, now=now)
    return result, following


@in_turn
def _cast(
    ballot: Ballot, assignment: Assignment, rules: VotingRules, now: datetime, *, is_sent_before: bool = False
) -> tuple[Annotator, CastResult]:
    annotator = lock(assignment.annotator_id)
    known = _known(ballot, assignment) if is_sent_before else None
    return annotator, known or _cast_under_lock(annotator, ballot, assignment, rules, now)


@in_turn
def _cast_and_lease(
    ballot: Ballot, find: Find, now: datetime, *, is_sent_before: bool = False
) -> tuple[Annotator, VotingRules, CastResult, Next | Closure | None]:
    assignment, rules = find()
    annotator = assignment.annotator
    known = _known(ballot, assignment) if is_sent_before else None
    result = known or _cast_under_lock(annotator, ballot, assignment, rules, now)
    reason = closure(study=annotator.study, rules=rules, now=now)
    return annotator, rules, result, reason or lease_under_lock(annotator=annotator, rules=rules, now=now)


def last_vote(*, annotator: Annotator, rules: VotingRules) -> Vote | None:
    """The annotator's last vote that stands, where the study lets votes be undone."""
    if not rules.undo_seconds:
        return None
    standing = Vote.objects.filter(assignment__annotator=annotator, state=Vote.State.STANDING)
    return standing.exclude(assignment__kind=Assignment.Kind.PRACTICE).order_by("-received_at").first()


def undo_seconds_left(*, vote: Vote, rules: VotingRules, now: datetime) -> float:
    """How much longer the vote may be undone, in seconds; never below zero."""
    left = rules.undo_seconds - (now - vote.received_at).total_seconds()
    return max(0.0, left) if vote.state == Vote.State.STANDING else 0.0


def undo_vote(*, vote: Vote, rules: VotingRules, now: datetime) -> Assignment:
    """Take a vote back: it stays, superseded, and its comparison is on the screen again with its slot held.

    What was on the screen follows it, held ahead.

    Raises `Refused` after `undo_seconds`, or where the vote does not stand, or the study has closed.
    """
    annotator, assignment, is_due = _undo_and_judge(vote, rules, now)
    if is_due:
        mark(annotator=annotator, now=now)
    return assignment


@in_turn
def _undo_and_judge(vote: Vote, rules: VotingRules, now: datetime) -> tuple[Annotator, Assignment, bool]:
    annotator = lock(vote.assignment.annotator_id)
    assignment = _undo_under_lock(annotator, vote, rules, now)
    return annotator, assignment, judge(annotator=annotator, rules=rules)


def _undo_under_lock(annotator: Annotator, vote: Vote, rules: VotingRules, now: datetime) -> Assignment:
    refuse_unless_taking_part(annotator)
    if closure(study=annotator.study, rules=rules, now=now) == Closure.CLOSED:
        raise Refused(_("The study has closed, so this vote can no longer be undone."))
    if (now - vote.received_at).total_seconds() > rules.undo_seconds:
        raise Refused(_("The time in which this vote could be undone is over."))
    # An excluded vote can be undone like any other, so that nobody learns of the exclusion.
    standing = Vote.objects.filter(pk=vote.pk, state=Vote.State.STANDING)
    was_excluded = standing.exclude(excluded_at=None).exists()
    if not standing.update(state=Vote.State.SUPERSEDED, excluded_at=None, exclusion_reason=""):
        raise Refused(_("This vote does not stand, so there is nothing to undo."))
    given_back = make_way(annotator=annotator, rules=rules, now=now)
    assignment = _on_the_screen_again(vote.assignment_id, rules, now)
    uncounted = [assignment.comparison_id] if assignment.kind == Assignment.Kind.MAIN else []
    # Comparisons are locked in the order of their ids (see `slots`), and only after all assignments.
    for comparison_id in sorted((*uncounted, *given_back)):
        if comparison_id in given_back:
            slots.free([comparison_id])
        else:
            lead = None if was_excluded else slots.lead_of(vote.choice, assignment.left_model)
            slots.uncount_vote(comparison_id, lead)
    Annotator.objects.filter(pk=annotator.pk, state=Annotator.State.FINISHED).update(
        state=Annotator.State.ACTIVE, finished_at=None
    )
    return assignment


def _on_the_screen_again(assignment_id: int, rules: VotingRules, now: datetime) -> Assignment:
    assignment = Assignment.objects.select_related("comparison__prompt").get(pk=assignment_id)
    assignment.state, assignment.leased_at = Assignment.State.LEASED, now
    assignment.lease_expires_at = now + timedelta(seconds=rules.lease_seconds)
    assignment.save(update_fields=["state", "leased_at", "lease_expires_at"])
    return assignment


def _known(ballot: Ballot, assignment: Assignment) -> CastResult | None:
    """What is said of a ballot that was received before; None for a new one."""
    known = _BY_ID.first(vote=ballot.vote_id)
    if known is None:
        return None
    if known.assignment_id != assignment.pk:
        raise BallotInvalid(_("This vote id was used for another comparison; make a new random one."))
    return CastResult(CastState.DUPLICATE, known)


def _cast_under_lock(
    annotator: Annotator, ballot: Ballot, assignment: Assignment, rules: VotingRules, now: datetime
) -> CastResult:
    """Raises `_SentBefore` where the vote turns out to be stored: nobody looks before, since it nearly never is."""
    try:
        refuse_unless_taking_part(annotator)
        _refuse_invalid(ballot, assignment, rules, now)
    except Refused:
        if known := _known(ballot, assignment):
            return known
        raise
    is_over = closure(study=annotator.study, rules=rules, now=now) == Closure.CLOSED
    state = _settle(ballot, assignment, is_over=is_over)
    if state is None:
        kept = assignment.votes.filter(state__in=(Vote.State.STANDING, Vote.State.LATE))
        return _known(ballot, assignment) or CastResult(CastState.ALREADY_VOTED, kept.latest("received_at"))
    vote = Vote(
        pk=ballot.vote_id,
        assignment=assignment,
        choice=ballot.choice,
        state=state,
        shown_at=ballot.shown_at,
        voted_at=ballot.voted_at,
        received_at=now,
        response_ms=ballot.response_ms,
    )
    if _STORE(vote) is None:
        raise _SentBefore
    if state == Vote.State.LATE:
        return CastResult(CastState.LATE, vote)
    return CastResult(CastState.ACCEPTED, vote, judge(annotator=annotator, rules=rules))


def _refuse_invalid(ballot: Ballot, assignment: Assignment, rules: VotingRules, now: datetime) -> None:
    if ballot.choice not in Vote.Choice.values:
        raise BallotInvalid(_("The choice must be left, right or tie."))
    if ballot.choice == Vote.Choice.TIE and not rules.are_ties_allowed:
        raise BallotInvalid(_("This study has no ties: choose left or right."))
    # Below zero where the clocks of two web servers differ: that is nobody's haste.
    if max(0.0, (now - assignment.leased_at).total_seconds()) < rules.minimum_viewing_seconds:
        seconds = rules.minimum_viewing_seconds
        said = ngettext(
            "Please look at the images for at least %(seconds)g second.",
            "Please look at the images for at least %(seconds)g seconds.",
            1 if seconds == 1 else 2,  # gettext takes whole numbers only
        )
        raise BallotInvalid(said % {"seconds": seconds})


def _settle(ballot: Ballot, assignment: Assignment, *, is_over: bool) -> Vote.State | None:
    """Move the assignment to voted or late; the state of the vote, or None where it was answered before.

    Each step is a conditional UPDATE, so of two transactions one wins: this one, or the expiry of the lease.
    """
    counts = assignment.kind == Assignment.Kind.MAIN
    lead = slots.lead_of(ballot.choice, assignment.left_model)
    outcome = Assignment.State.LATE if is_over else Assignment.State.VOTED
    shown = {"assignment": assignment.pk, "shown_at": ballot.shown_at, "rendition": ballot.rendition}
    if _ANSWERED[LEASED](outcome=outcome, **shown):
        if counts and is_over:
            slots.free([assignment.comparison_id])
        elif counts:
            slots.count_vote(assignment.comparison_id, lead)
    elif _ANSWERED[GIVEN_BACK](outcome=outcome, **shown):
        if not is_over and counts and not slots.take_for_vote(assignment.comparison_id, lead):
            outcome = Assignment.State.LATE
            Assignment.objects.filter(pk=assignment.pk).update(state=outcome)
    else:
        return None
    return Vote.State.LATE if outcome == Assignment.State.LATE else Vote.State.STANDING
