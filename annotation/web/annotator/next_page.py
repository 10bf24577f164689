"""The page that an annotator's link shows now. Every other page of the sequence redirects to it."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import wraps
from typing import Any, NamedTuple
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import translation
from django.views.decorators.cache import never_cache

from annotation.models import Annotator, Answer, Assignment
from annotation.studies.current import current_manifest
from annotation.studies.language import language_of
from annotation.studies.manifest import Manifest
from annotation.voting import annotators
from annotation.voting.availability import Closure, NoRoom, closure, has_all_votes
from annotation.voting.casting import last_vote, undo_seconds_left
from annotation.voting.practice import practice_count
from annotation.web.annotator.images import image_folder
from annotation.web.annotator.places import no_room_page, pilot_token, remember_pilot
from annotation.web.annotator.viewers import bind


class NextPage(StrEnum):
    """The page that an annotator's link shows. The first three values are those of `Closure`."""

    NOT_YET_OPEN = Closure.NOT_YET_OPEN.value
    PAUSED = Closure.PAUSED.value
    CLOSED = Closure.CLOSED.value
    WITHDRAWN = "withdrawn"
    SCREENED_OUT = "screened_out"
    WELCOME = "welcome"
    QUESTIONS = "questions"
    INSTRUCTIONS = "instructions"
    PRACTICE = "practice"
    CHECK = "check"
    BREAK = "break"
    COMPARISONS = "comparisons"
    COMMENT = "comment"
    STUDY_FULL = "study_full"
    END = "end"


# Pages on which no comparison is assigned although the study is open. (A script may vote without the instructions.)
BEFORE_COMPARISONS = (NextPage.WELCOME, NextPage.QUESTIONS, NextPage.PRACTICE, NextPage.CHECK, NextPage.BREAK)


def next_page(*, annotator: Annotator, manifest: Manifest, now: datetime) -> NextPage:
    """Return the page that this annotator's link shows. After they finish it is the end, in any state of the study."""
    state = annotator.state
    if state in (Annotator.State.WITHDRAWN, Annotator.State.SCREENED_OUT):
        return NextPage(state)
    if state == Annotator.State.FINISHED:
        return _page_after_comparisons(annotator, manifest)
    if reason := closure(study=annotator.study, rules=manifest.voting_rules(), now=now):
        return NextPage(reason)
    if before := _page_before_comparisons(annotator, manifest):
        # Nobody should read and practise if no comparison is left for them.
        nothing_left = has_all_votes(annotator.study) and not annotators.has_voted(annotator)
        return NextPage.STUDY_FULL if nothing_left else before
    return NextPage.BREAK if breaks_due(annotator, manifest) else NextPage.COMPARISONS


def _page_after_comparisons(annotator: Annotator, manifest: Manifest) -> NextPage:
    """Return the page after the comparisons; STUDY_FULL for an annotator who had nothing to vote on."""
    if not annotators.has_voted(annotator):
        return NextPage.STUDY_FULL
    is_asked = manifest.frame.asks_comment and not _has_answered(annotator, Answer.Page.COMMENT)
    return NextPage.COMMENT if is_asked else NextPage.END


def _page_before_comparisons(annotator: Annotator, manifest: Manifest) -> NextPage | None:
    """Return the first page before the comparisons that the annotator has not completed, else None."""
    frame, texts = manifest.frame, manifest.texts
    if texts.has_welcome and not annotator.welcomed_at:
        return NextPage.WELCOME
    if frame.questions and not _has_answered(annotator, Answer.Page.QUESTIONS):
        return NextPage.QUESTIONS
    if not annotator.instructions_read_at:
        return NextPage.INSTRUCTIONS
    if frame.practice and practice_count(annotator) < frame.practice:
        return NextPage.PRACTICE
    if frame.check and not annotator.check_passed_at:
        return NextPage.CHECK
    return None


def breaks_due(annotator: Annotator, manifest: Manifest, *, votes_more: int = 0) -> int:
    """Return the number (from 1) of the break that is due after `votes_more` further votes; 0 if none is."""
    if not manifest.frame.break_every:
        return 0
    answered = annotator.assignments.exclude(kind=Assignment.Kind.PRACTICE).filter(state__in=Assignment.ANSWERED)
    number = (answered.count() + votes_more) // manifest.frame.break_every
    return number if number > annotator.break_count else 0


class Undoable(NamedTuple):
    """A vote and the seconds for which it may still be undone."""

    vote_id: UUID
    seconds_left: float


def undoable(annotator: Annotator, manifest: Manifest, *, now: datetime) -> Undoable | None:
    """Return the annotator's last vote if it may still be undone, else None."""
    rules = manifest.voting_rules()
    vote = last_vote(annotator=annotator, rules=rules)
    if vote is None or closure(study=annotator.study, rules=rules, now=now) == Closure.CLOSED:
        return None
    seconds = undo_seconds_left(vote=vote, rules=rules, now=now)
    return Undoable(vote.pk, seconds) if seconds > 0 else None


def _has_answered(annotator: Annotator, page: Answer.Page) -> bool:
    return annotator.answers.filter(page=page).exists()


def in_language(manifest: Manifest, view: Callable[[], HttpResponse]) -> HttpResponse:
    """Call the view in the study's language, not the browser's, and name that language in the header."""
    with translation.override(language_of(manifest)):
        response = view()
        response["Content-Language"] = language_of(manifest)
        return response


AnnotatorView = Callable[..., HttpResponse]  # (request, annotator, manifest, and further values of the address)
TokenView = Callable[..., HttpResponse]  # (request, token, the same values)


def annotator_page(view: AnnotatorView) -> TokenView:
    """Give a view the annotator and manifest of its token. It answers in the study's language, never from a cache.

    From then on the browser may see the annotator's images.
    """

    @never_cache
    @wraps(view)
    def wrapper(request: HttpRequest, token: str, **values: Any) -> HttpResponse:
        annotator = annotators.by_token(token)
        if annotator is None:
            raise Http404("no annotator has this link")
        manifest = current_manifest(annotator.study)
        if _was_in_pilot(request, annotator):
            refused = NoRoom.PILOT, annotator.external_id
            return in_language(manifest, lambda: no_room_page(request, manifest, *refused))
        response = in_language(manifest, lambda: view(request, annotator, manifest, **values))
        if annotator.has_come and not annotator.external_id:
            remember_pilot(response, annotator)
        bind(response, annotator_id=annotator.pk, path=image_folder())
        return response

    return wrapper


def _was_in_pilot(request: HttpRequest, annotator: Annotator) -> bool:
    """Return whether an annotator who has not begun opened their link in the browser of a person from the pilot."""
    token = "" if annotator.has_come else pilot_token(request, annotator.study)
    return annotators.was_in_pilot(study=annotator.study, token=token)
