"""Where an annotator stands: which page the link leads to right now. No other page is within reach."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import wraps
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import translation
from django.views.decorators.cache import never_cache

from annotation.models import Annotator, Answer, Assignment
from annotation.studies.current import current_manifest
from annotation.studies.manifest import Manifest
from annotation.voting import annotators
from annotation.voting.availability import Closure, closure
from annotation.voting.casting import last_vote, undo_seconds_left
from annotation.voting.checks.practice import practice_count
from annotation.voting.room import has_all_votes
from annotation.voting.storage.search_statements import ANSWERED


class Place(StrEnum):
    """What an annotator's link shows; the first three are a study's `Closure`."""

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


# Where no comparison is given out although the study takes votes. (A script may vote without the instructions.)
BEFORE_COMPARISONS = (Place.WELCOME, Place.QUESTIONS, Place.PRACTICE, Place.CHECK, Place.BREAK)


def place(*, annotator: Annotator, manifest: Manifest, now: datetime) -> Place:
    """The page this annotator's link leads to. Whoever has finished sees the end, whatever the study's state."""
    state = annotator.state
    if state in (Annotator.State.WITHDRAWN, Annotator.State.SCREENED_OUT):
        return Place(state)
    if state == Annotator.State.FINISHED:
        return _way_out(annotator, manifest)
    if reason := closure(study=annotator.study, rules=manifest.voting_rules(), now=now):
        return Place(reason)
    if way_in := _way_in(annotator, manifest):
        # Nobody reads and practises for comparisons that are all done.
        is_in_vain = has_all_votes(annotator.study) and not annotators.has_voted(annotator)
        return Place.STUDY_FULL if is_in_vain else way_in
    return Place.BREAK if breaks_due(annotator, manifest) else Place.COMPARISONS


def _way_out(annotator: Annotator, manifest: Manifest) -> Place:
    """The page after the comparisons; STUDY_FULL for an annotator who found none to vote on."""
    if not annotators.has_voted(annotator):
        return Place.STUDY_FULL
    is_asked = manifest.frame.asks_comment and not _has_answered(annotator, Answer.Page.COMMENT)
    return Place.COMMENT if is_asked else Place.END


def _way_in(annotator: Annotator, manifest: Manifest) -> Place | None:
    """The first page before the comparisons that the annotator has not left yet."""
    frame, texts = manifest.frame, manifest.texts
    if texts.has_welcome and not annotator.welcomed_at:
        return Place.WELCOME
    if frame.questions and not _has_answered(annotator, Answer.Page.QUESTIONS):
        return Place.QUESTIONS
    if not annotator.instructions_read_at:
        return Place.INSTRUCTIONS
    if frame.practice and practice_count(annotator) < frame.practice:
        return Place.PRACTICE
    if frame.check and not annotator.check_passed_at:
        return Place.CHECK
    return None


def breaks_due(annotator: Annotator, manifest: Manifest, *, votes_more: int = 0) -> int:
    """The number of the break that is due, or would be after so many votes more; from 1, 0 where none is."""
    if not manifest.frame.break_every:
        return 0
    answered = annotator.assignments.exclude(kind=Assignment.Kind.PRACTICE).filter(state__in=ANSWERED)
    number = (answered.count() + votes_more) // manifest.frame.break_every
    return number if number > annotator.break_count else 0


class Undoable(NamedTuple):
    """A vote that may still be undone for so many seconds."""

    vote_id: UUID
    seconds_left: float


def undoable(annotator: Annotator, manifest: Manifest, *, now: datetime) -> Undoable | None:
    """The annotator's last vote, while it may be undone."""
    rules = manifest.voting_rules()
    vote = last_vote(annotator=annotator, rules=rules)
    if vote is None or closure(study=annotator.study, rules=rules, now=now) == Closure.CLOSED:
        return None
    seconds = undo_seconds_left(vote=vote, rules=rules, now=now)
    return Undoable(vote.pk, seconds) if seconds > 0 else None


def _has_answered(annotator: Annotator, page: Answer.Page) -> bool:
    return annotator.answers.filter(page=page).exists()


def spoken(language: str) -> str:
    """The study's language where the pages speak it, else the default."""
    return language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def in_language(language: str, view: Callable[[], HttpResponse]) -> HttpResponse:
    """Answer in the study's language, whatever the browser prefers, and say so in the header."""
    with translation.override(spoken(language)):
        response = view()
        response["Content-Language"] = spoken(language)
        return response


AnnotatorView = Callable[[HttpRequest, Annotator, Manifest], HttpResponse]


def annotator_page(view: AnnotatorView) -> Callable[[HttpRequest, str], HttpResponse]:
    """Turn a link's token into the annotator and the manifest; answer in the study's language, never from a cache."""

    @never_cache
    @wraps(view)
    def wrapper(request: HttpRequest, token: str) -> HttpResponse:
        annotator = annotators.by_token(token)
        if annotator is None:
            raise Http404("no annotator has this link")
        manifest = current_manifest(annotator.study)
        return in_language(manifest.texts.language, lambda: view(request, annotator, manifest))

    return wrapper
