"""Cast a vote, undo a vote. Nothing an annotator sends is lost: a vote that cannot count is stored as LATE.

A vote and the lease of what follows it are one transaction, so that an answer costs one commit. Rows are locked in the
order that `slots` describes: first the annotator, so that the same ballot, sent twice at once, is handled one after the
other; then the assignment, whose state decides between a vote and the expiry of its lease; then the comparison, whose
counters the vote changes. That transaction holds a comparison when it looks for the next one, so it waits for nothing
more: what must wait for others (marking excluded votes, a patient search) runs after its commit, in `complete`.
"""

import uuid
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
    move_screen_ahead,
    next_assignment,
    refuse_unless_taking_part,
)
from annotation.voting.availability import Closure, closure
from annotation.voting.quality.exclusion import finish_annotator, judge, mark
from annotation.voting.rules import VotingRules
from annotation.voting.storage.sqlite_queue import in_turn
from annotation.voting.storage.vote_statements import store_answer, store_vote
from jobs.refusals import Refused


class BallotInvalid(Refused):
    """The ballot itself is not valid; sending it again cannot help."""


class CastState(StrEnum):
    """The outcome of a ballot."""

    ACCEPTED = "accepted"  # counts
    LATE = "late"  # kept, does not count: its slot was taken, or the study had closed
    ALREADY_VOTED = "already_voted"  # the assignment was answered before by another vote, which stands
    DUPLICATE = "duplicate"  # this very vote was received before


@dataclass(frozen=True, slots=True)
class Ballot:
    """A vote as the page sends it. Times are the browser's; response_ms: from images painted to choice made."""

    vote_id: uuid.UUID
    choice: str
    shown_at: datetime | None = None
    voted_at: datetime | None = None
    response_ms: int | None = None
    rendition: str = ""


@dataclass(frozen=True, slots=True)
class CastResult:
    """The outcome of a ballot, the vote that is stored for its assignment, and whether `mark` is due."""

    state: CastState
    vote: Vote
    are_marks_due: bool = False


def vote_and_next(
    *, ballot: Ballot, assignment: Assignment, rules: VotingRules, now: datetime
) -> tuple[CastResult, Next | Closure]:
    """Cast a vote and lease what comes next, in one transaction if something is free."""
    annotator, result, following = _vote_and_next(ballot, assignment, rules, now)
    return result, complete(annotator=annotator, rules=rules, result=result, following=following, now=now)


@in_turn
def _vote_and_next(
    ballot: Ballot, assignment: Assignment, rules: VotingRules, now: datetime
) -> tuple[Annotator, CastResult, Next | Closure | None]:
    annotator = lock(assignment.annotator_id)
    result = cast(annotator=annotator, ballot=ballot, assignment=assignment, rules=rules, now=now)
    return annotator, result, lease_next(annotator=annotator, rules=rules, now=now)


def cast(
    *, annotator: Annotator, ballot: Ballot, assignment: Assignment, rules: VotingRules, now: datetime
) -> CastResult:
    """Record a vote, once, however often it is sent, in the caller's transaction, which holds the annotator's lock.

    A vote whose lease has ended counts if the slot is still free; else it is kept as late. While the study is paused,
    what was on the annotator's screen still counts; after closing it is kept as late. Raises `BallotInvalid` for a
    choice that the study does not offer, a vote faster than the minimum viewing time, or a vote id used for something
    else; `Refused` if the annotator has left. After its commit the caller calls `complete`.
    """
    try:
        refuse_unless_taking_part(annotator)
        _refuse_invalid(ballot, assignment, rules, now)
    except Refused:
        if known := _known(ballot, assignment):
            return known
        raise
    vote = Vote(
        pk=ballot.vote_id,
        assignment=assignment,
        choice=ballot.choice,
        state=Vote.State.STANDING,
        shown_at=ballot.shown_at,
        voted_at=ballot.voted_at,
        received_at=now,
        response_ms=ballot.response_ms,
    )
    is_over = closure(study=annotator.study, rules=rules, now=now) == Closure.CLOSED
    lead = slots.lead_of(ballot.choice, assignment.left_model) if assignment.kind == Assignment.Kind.MAIN else None
    # No query first looks for a stored vote: there nearly never is one, and if there is, this changes nothing.
    if is_over or not store_answer(vote, rendition=ballot.rendition, lead=lead):
        if known := _known(ballot, assignment):
            return known
        if not _answer_late(vote, ballot, lead, is_over=is_over):
            kept = assignment.votes.filter(state__in=(Vote.State.STANDING, Vote.State.LATE))
            return CastResult(CastState.ALREADY_VOTED, kept.latest("received_at"))
    if vote.state == Vote.State.LATE:
        return CastResult(CastState.LATE, vote)
    return CastResult(CastState.ACCEPTED, vote, judge(annotator=annotator, rules=rules))


def lease_next(*, annotator: Annotator, rules: VotingRules, now: datetime) -> Next | Closure | None:
    """Lease the next comparison after a vote, in its transaction; return None if none was free.

    If the study was paused or closed meanwhile, it returns that instead.
    """
    reason = closure(study=annotator.study, rules=rules, now=now)
    return reason or lease_under_lock(annotator=annotator, rules=rules, now=now)


def complete(
    *, annotator: Annotator, rules: VotingRules, result: CastResult, following: Next | Closure | None, now: datetime
) -> Next | Closure:
    """Do the work that follows a vote's commit. Only after the commit may it wait for locks of other transactions."""
    if result.are_marks_due:
        mark(annotator=annotator, now=now)
    if following is None:
        return next_assignment(annotator=annotator, rules=rules, now=now)
    if isinstance(following, Next) and following.kind == NextKind.DONE:
        finish_annotator(annotator=annotator, rules=rules, now=now)
    return following


def last_vote(*, annotator: Annotator, rules: VotingRules) -> Vote | None:
    """The annotator's last standing vote; None if there is none or the study lets no vote be undone."""
    if not rules.undo_seconds:
        return None
    standing = Vote.objects.filter(assignment__annotator=annotator, state=Vote.State.STANDING)
    return standing.exclude(assignment__kind=Assignment.Kind.PRACTICE).order_by("-received_at").first()


def undo_seconds_left(*, vote: Vote, rules: VotingRules, now: datetime) -> float:
    """Return the number of seconds for which the vote may still be undone, at least zero."""
    left = rules.undo_seconds - (now - vote.received_at).total_seconds()
    return max(0.0, left) if vote.state == Vote.State.STANDING else 0.0


def undo_vote(*, vote: Vote, rules: VotingRules, now: datetime) -> Assignment:
    """Undo a vote: it stays as superseded, and its comparison is on the screen again with its slot held.

    The comparison that was on the screen follows it, held ahead. Raises `Refused` after `undo_seconds`, if the vote
    does not stand, or if the study has closed.
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
    # An excluded vote can be undone like any other, so that the annotator does not learn of the exclusion.
    standing = Vote.objects.filter(pk=vote.pk, state=Vote.State.STANDING)
    was_excluded = standing.exclude(excluded_at=None).exists()
    if not standing.update(state=Vote.State.SUPERSEDED, excluded_at=None, exclusion_reason=""):
        raise Refused(_("This vote does not stand, so there is nothing to undo."))
    given_back = move_screen_ahead(annotator=annotator, rules=rules, now=now)
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
    """The answer to a ballot that was received before; None for a new one."""
    known = Vote.objects.filter(pk=ballot.vote_id).first()
    if known is None:
        return None
    if known.assignment_id != assignment.pk:
        raise _id_was_used()
    return CastResult(CastState.DUPLICATE, known)


def _id_was_used() -> BallotInvalid:
    return BallotInvalid(_("This vote id was used for another comparison; make a new random one."))


def _refuse_invalid(ballot: Ballot, assignment: Assignment, rules: VotingRules, now: datetime) -> None:
    if ballot.choice not in Vote.Choice.values:
        raise BallotInvalid(_("The choice must be left, right or tie."))
    if ballot.choice == Vote.Choice.TIE and not rules.are_ties_allowed:
        raise BallotInvalid(_("This study has no ties: choose left or right."))
    # Below zero if the clocks of two web servers differ; then the vote is not too fast.
    if max(0.0, (now - assignment.leased_at).total_seconds()) < rules.minimum_viewing_seconds:
        seconds = rules.minimum_viewing_seconds
        said = ngettext(
            "Please look at the images for at least %(seconds)g second.",
            "Please look at the images for at least %(seconds)g seconds.",
            1 if seconds == 1 else 2,  # gettext takes whole numbers only
        )
        raise BallotInvalid(said % {"seconds": seconds})


def _answer_late(vote: Vote, ballot: Ballot, lead: int | None, *, is_over: bool) -> bool:
    """Store a vote that comes after the end of its lease or of the study; False if the assignment was answered before.

    Each step is a conditional UPDATE, so of two transactions one wins: this one, or the expiry of the lease.
    """
    this = Assignment.objects.filter(pk=vote.assignment_id)
    comparison_id = vote.assignment.comparison_id
    vote.state = Vote.State.LATE if is_over else Vote.State.STANDING
    answered = {"shown_at": ballot.shown_at, "rendition": ballot.rendition, "is_ahead": False, "lease_expires_at": None}
    if is_over and this.filter(state=Assignment.State.LEASED).update(state=Assignment.State.LATE, **answered):
        if lead is not None:
            slots.free([comparison_id])
    elif this.filter(state__in=(Assignment.State.RELEASED, Assignment.State.REPORTED)).update(
        state=Assignment.State.LATE if is_over else Assignment.State.VOTED, **answered
    ):
        if not is_over and lead is not None and not slots.take_for_vote(comparison_id, lead):
            vote.state = Vote.State.LATE
            this.update(state=Assignment.State.LATE)
    else:
        return False
    if not store_vote(vote):  # another annotator's vote used the id at the same moment
        raise _id_was_used()
    return True
