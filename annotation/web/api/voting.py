"""The API's operations of an annotator: the next comparison, a vote, undo, a report of an image.

The annotator's token in the path is the only credential. No cookie is read, so a page of another site cannot use the
annotator's session, and no CSRF token is needed. Each request is a POST, because even asking for the next comparison
leases one, and browsers prefetch GETs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Router, Status
from pydantic import BaseModel

from annotation.models import Annotator, Assignment, Vote
from annotation.studies.current import current_manifest
from annotation.studies.language import language_of
from annotation.studies.manifest import Manifest
from annotation.voting import annotators
from annotation.voting.assignment import Next, NextKind, ahead_end, next_assignment, release, release_ahead
from annotation.voting.availability import Closure, closure, sentence
from annotation.voting.casting import (
    Ballot,
    CastResult,
    CastState,
    cast,
    complete,
    last_vote,
    lease_next,
    undo_seconds_left,
    undo_vote,
)
from annotation.voting.image_reports import report_image
from annotation.voting.rules import VotingRules
from annotation.voting.storage.sqlite_queue import in_turn
from annotation.voting.storage.vote_statements import locked_assignment
from annotation.web.access.tokens import TokenCipher
from annotation.web.annotator.images import addresses
from annotation.web.annotator.next_page import BEFORE_COMPARISONS, breaks_due, next_page
from annotation.web.api import schemas
from jobs.refusals import Refused

router = Router()

REFUSALS = {400: schemas.RefusalOut, 404: schemas.RefusalOut, 409: schemas.RefusalOut, 422: schemas.RefusalOut}
ASSIGNMENTS = TokenCipher(b"semblance assignments 1", ">QQ")  # annotator id, assignment id
NO_SUCH_COMPARISON = gettext_noop("This annotator has no such comparison: send the assignment as it came with it.")
PAGE_DUE = gettext_noop("Another page comes before the next comparison: open the annotator's link to see it.")
SANE_YEARS = range(2000, 2200)

NextOut = schemas.ComparisonOut | schemas.WaitOut | schemas.DoneOut | schemas.StoppedOut


@dataclass(frozen=True, slots=True)
class Visit:
    """A request: its annotator, the study's manifest and rules, the time, and the language of the answer."""

    annotator: Annotator
    manifest: Manifest
    rules: VotingRules
    now: datetime
    language: str


@router.post("/annotators/{token}/next", response={200: schemas.NextOut, **REFUSALS}, operation_id="next")
def ask_next(request: HttpRequest, token: str) -> HttpResponse:
    """Return the comparison on the annotator's screen or the next one, else `wait`, `done` or `stopped`."""
    with _visit(token) as visit:
        return _answer(_what_is_next(visit))


def _what_is_next(visit: Visit) -> NextOut:
    if reason := closure(study=visit.annotator.study, rules=visit.rules, now=visit.now):
        return schemas.StoppedOut(message=sentence(reason))
    if _is_page_due(visit):
        return schemas.StoppedOut(message=_(PAGE_DUE))
    following = next_assignment(annotator=visit.annotator, rules=visit.rules, now=visit.now)
    return _next_out(visit, following, last_vote(annotator=visit.annotator, rules=visit.rules))


def _answer(document: BaseModel) -> HttpResponse:
    """The document as JSON. If django-ninja validated the answer again, a vote would cost three times as much."""
    return HttpResponse(document.model_dump_json(), content_type="application/json; charset=utf-8")


@router.post("/annotators/{token}/votes", response={200: schemas.CastOut, **REFUSALS}, operation_id="vote")
def vote(request: HttpRequest, token: str, body: schemas.BallotIn) -> HttpResponse:
    """Store a vote and return the next comparison. The vote is committed before the answer is sent."""
    now = timezone.now()
    visit, result, leased = _vote_and_lease(token, body, now)
    with translation.override(visit.language):
        following = complete(annotator=visit.annotator, rules=visit.rules, result=result, following=leased, now=now)
        return _answer(schemas.CastOut(state=_state_out(result), next=_next_out(visit, following, result.vote)))


@in_turn
def _vote_and_lease(
    token: str, body: schemas.BallotIn, now: datetime
) -> tuple[Visit, CastResult, Next | Closure | None]:
    """The one transaction of a vote: lock the annotator, read the assignment, store the vote, lease the next."""
    annotator_id, assignment_id = _opened(body.assignment)
    assignment = locked_assignment(assignment_id, annotator_id=annotator_id, token=token)
    if assignment is None:
        with _visit(token):
            raise Http404(_(NO_SUCH_COMPARISON))
    annotator, ballot = assignment.annotator, _ballot(body)
    visit = _visit_of(annotator, now)
    with translation.override(visit.language):
        result = cast(annotator=annotator, ballot=ballot, assignment=assignment, rules=visit.rules, now=now)
        return visit, result, lease_next(annotator=annotator, rules=visit.rules, now=now)


@router.post("/annotators/{token}/release", response={200: schemas.ReleasedOut, **REFUSALS}, operation_id="release")
def give_back(request: HttpRequest, token: str, body: schemas.AssignmentIn) -> schemas.ReleasedOut:
    """Release a comparison because its annotator leaves. Another annotator may then get it."""
    with _visit_for(token, body.assignment) as (visit, assignment):
        return schemas.ReleasedOut(released=release(assignment=assignment, now=visit.now))


@router.post("/annotators/{token}/leave", response={200: schemas.LeftOut, **REFUSALS}, operation_id="leave")
def leave(request: HttpRequest, token: str) -> schemas.LeftOut:
    """Release the comparisons fetched ahead because the page closes. The comparison on the screen stays leased."""
    with _visit(token) as visit:
        return schemas.LeftOut(released=release_ahead(annotator=visit.annotator, now=visit.now))


@router.post(
    "/annotators/{token}/reports",
    response={200: schemas.NextOut, **REFUSALS},
    operation_id="report_image",
    url_name="report_image",
)
def report(request: HttpRequest, token: str, body: schemas.ImageReportIn) -> HttpResponse:
    """Store a report of an image, never show its comparison to this annotator again, and return the next comparison."""
    with _visit_for(token, body.assignment) as (visit, assignment):
        images = assignment.left_images if body.side == "left" else assignment.right_images
        if body.n >= len(images):
            raise Http404(_("The set has no such image: count from 0."))
        report_image(assignment=assignment, image_id=images[body.n], kind=body.kind, now=visit.now)
    return ask_next(request, token)


@router.post("/annotators/{token}/undo", response={200: schemas.NextOut, **REFUSALS}, operation_id="undo")
def undo(request: HttpRequest, token: str, body: schemas.UndoIn) -> HttpResponse:
    """Undo a vote if the study still allows it, and return its comparison exactly as it was shown."""
    with _visit(token) as visit:
        own = Vote.objects.select_related("assignment").filter(assignment__annotator=visit.annotator)
        if (undone := own.filter(pk=body.vote_id).first()) is None:
            raise Http404(_("This annotator has no such vote."))
        undo_vote(vote=undone, rules=visit.rules, now=visit.now)
    return ask_next(request, token)


@router.post(
    "/annotators/{token}/instructions-read", response={204: None, **REFUSALS}, operation_id="instructions_read"
)
def instructions_read(request: HttpRequest, token: str) -> Status[None]:
    """Record that the annotator has read the instructions."""
    with _visit(token) as visit:
        if _is_page_due(visit):
            raise Refused(_(PAGE_DUE))
        annotators.read_instructions(annotator=visit.annotator, now=visit.now)
    return Status(204, None)


@contextmanager
def _visit(token: str) -> Iterator[Visit]:
    """The visit of this link's annotator. Inside, texts are in the study's language."""
    annotator = annotators.by_token(token)
    if annotator is None:
        raise Http404(_("No annotator has this link: compare it with the one that you were given."))
    visit = _visit_of(annotator, timezone.now())
    with translation.override(visit.language):
        yield visit


@contextmanager
def _visit_for(token: str, assignment_token: str) -> Iterator[tuple[Visit, Assignment]]:
    """`_visit` with the assignment that the annotator names."""
    annotator_id, assignment_id = _opened(assignment_token)
    with _visit(token) as visit:
        assignment = visit.annotator.assignments.filter(pk=assignment_id).first()
        if assignment is None or assignment.annotator_id != annotator_id:
            raise Http404(_(NO_SUCH_COMPARISON))
        yield visit, assignment


def _visit_of(annotator: Annotator, now: datetime) -> Visit:
    manifest = current_manifest(annotator.study)
    return Visit(annotator, manifest, manifest.voting_rules(), now, language_of(manifest))


def _opened(assignment_token: str) -> tuple[int, ...]:
    """The ids of the annotator and of the assignment in a token; 0, which no row has, if it is not one of ours."""
    try:
        return ASSIGNMENTS.decrypt(assignment_token)
    except ValueError:
        return 0, 0


def _is_page_due(visit: Visit) -> bool:
    return next_page(annotator=visit.annotator, manifest=visit.manifest, now=visit.now) in BEFORE_COMPARISONS


def _ballot(body: schemas.BallotIn) -> Ballot:
    return Ballot(
        vote_id=body.vote_id,
        choice=body.choice,
        shown_at=_sane(body.shown_at),
        voted_at=_sane(body.voted_at),
        response_ms=body.response_ms,
        rendition=body.rendition,
    )


def _state_out(result: CastResult) -> Literal["accepted", "late", "already_voted"]:
    """The state to answer with. A vote that was sent before gets the same answer again."""
    if result.state == CastState.ALREADY_VOTED:
        return "already_voted"
    return "late" if result.vote.state == Vote.State.LATE else "accepted"


def _sane(time: datetime | None) -> datetime | None:
    """Return None for the time of a clock that is centuries off, so that the vote itself is stored."""
    return time if time and time.year in SANE_YEARS else None


def _next_out(visit: Visit, following: Next | Closure, last: Vote | None) -> NextOut:
    if isinstance(following, Closure):
        return schemas.StoppedOut(message=sentence(following))
    if following.kind == NextKind.WAIT:
        return schemas.WaitOut(seconds=following.wait_seconds)
    if following.assignment is None:
        return schemas.DoneOut()
    if breaks_due(visit.annotator, visit.manifest):
        return schemas.StoppedOut(message=_(PAGE_DUE))
    # After a vote the page shows at once what is held ahead, so before a break nothing is.
    ahead = () if breaks_due(visit.annotator, visit.manifest, votes_more=1) else following.ahead
    held = _held_out(visit, following, following.assignment, 0)
    return schemas.ComparisonOut(
        **dict(held),
        ahead=[_held_out(visit, following, one, place) for place, one in enumerate(ahead, start=1)],
        ahead_seconds=(ahead_end(visit.rules, visit.now) - visit.now).total_seconds(),
        undo=_undo_out(visit, last),
    )


def _held_out(visit: Visit, following: Next, assignment: Assignment, place: int) -> schemas.HeldOut:
    """The comparison at this place of what follows; 0: on the screen now."""
    plan = visit.manifest.annotation
    return schemas.HeldOut(
        assignment=ASSIGNMENTS.encrypt(visit.annotator.pk, assignment.pk),
        question=_question(assignment, visit.manifest),
        prompt=assignment.comparison.prompt.text if plan.show_prompt else None,
        left=_images_out(visit.annotator, assignment.left_images),
        right=_images_out(visit.annotator, assignment.right_images),
        ties=plan.ties,
        minimum_viewing_seconds=plan.minimum_viewing_seconds,
        progress=schemas.ProgressOut(done=min(following.done_count + place, following.total), of=following.total),
    )


def _question(assignment: Assignment, manifest: Manifest) -> str:
    """The question, or the instruction of an instructed check, with a place for the name of the side on the screen."""
    if assignment.kind == Assignment.Kind.INSTRUCTED:
        return _(manifest.texts.instructed).replace("{side}", f"{{{assignment.known_choice}}}")
    return _(manifest.texts.question)


def _undo_out(visit: Visit, last: Vote | None) -> schemas.UndoOut | None:
    seconds = undo_seconds_left(vote=last, rules=visit.rules, now=visit.now) if last else 0
    return schemas.UndoOut(vote_id=last.pk, seconds=seconds) if last and seconds > 0 else None


def _images_out(annotator: Annotator, image_ids: Sequence[int]) -> tuple[str, ...]:
    return image_tokens(settings.SECRET_KEY, annotator.pk, tuple(image_ids))


@lru_cache(maxsize=1000)
def image_tokens(_secret: str, annotator_id: int, image_ids: tuple[int, ...]) -> tuple[str, ...]:
    """The image tokens, cached: what is held ahead in one answer is on the screen in the next one."""
    return tuple(addresses(annotator_id=annotator_id, image_ids=image_ids))
