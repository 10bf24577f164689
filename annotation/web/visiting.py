"""Where an annotator stands: which page the link leads to right now. No other page is within reach."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import wraps

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import translation
from django.views.decorators.cache import never_cache

from annotation.models import Annotator
from annotation.studies.current import current_manifest
from annotation.studies.manifest import Manifest
from annotation.voting import annotators
from annotation.voting.opening import Closure, closure
from annotation.voting.rules import VotingRules


class Place(StrEnum):
    """What an annotator's link shows; the first three are a study's `Closure`."""

    NOT_YET_OPEN = Closure.NOT_YET_OPEN.value
    PAUSED = Closure.PAUSED.value
    CLOSED = Closure.CLOSED.value
    LEFT = "left"  # withdrawn or screened out
    INSTRUCTIONS = "instructions"
    COMPARISONS = "comparisons"
    END = "end"


def place(*, annotator: Annotator, rules: VotingRules, now: datetime) -> Place:
    """The page this annotator's link leads to. Whoever has finished sees the end, whatever the study's state."""
    if annotator.state == Annotator.State.FINISHED:
        return Place.END
    if annotator.state != Annotator.State.ACTIVE:
        return Place.LEFT
    if reason := closure(study=annotator.study, rules=rules, now=now):
        return Place(reason)
    return Place.COMPARISONS if annotator.instructions_read_at else Place.INSTRUCTIONS


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
