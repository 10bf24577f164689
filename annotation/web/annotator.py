"""The annotator's pages. One link, one place: `place` decides which page it shows."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from annotation.models import Annotator, Vote
from annotation.studies.manifest import Manifest
from annotation.voting import annotators
from annotation.web import markdown
from annotation.web.page_words import page_words
from annotation.web.visiting import Place, annotator_page, place

# How often a page that waits for the researcher looks again.
LOOK_AGAIN_SECONDS = 60


@require_safe
@annotator_page
def visit(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """The page that is due: status, instructions, comparisons or the end."""
    due = place(annotator=annotator, rules=manifest.voting_rules(), now=timezone.now())
    if due == Place.COMPARISONS:
        return _comparisons(request, annotator, manifest)
    if due == Place.INSTRUCTIONS:
        return _instructions(request, annotator, manifest)
    if due == Place.END:
        return _end(request, annotator, manifest)
    context = {
        "annotator": annotator,
        "look_again_seconds": LOOK_AGAIN_SECONDS,
        "opens_at": manifest.annotation.opens_at,
    }
    return render(request, f"web/annotator/{due}.html", context)


@require_safe
@annotator_page
def instructions(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """The instructions again, for whoever has begun."""
    return _instructions(request, annotator, manifest)


@require_POST
@annotator_page
def start(_request: HttpRequest, annotator: Annotator, _manifest: Manifest) -> HttpResponse:
    """The instructions have been read; on to the comparisons."""
    annotators.read_instructions(annotator=annotator, now=timezone.now())
    return redirect("visit", annotator.token)


@require_safe
@annotator_page
def end(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Where the comparisons lead when none is left."""
    return _end(request, annotator, manifest)


def _comparisons(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    context = {
        "annotator": annotator,
        "manifest": manifest,
        "texts": manifest.texts,
        "words": page_words(),
        "next_url": reverse("api:ask_next", args=[annotator.token]),
        "votes_url": reverse("api:vote", args=[annotator.token]),
    }
    return render(request, "web/annotator/comparisons.html", context)


def _instructions(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    context = {
        "annotator": annotator,
        "manifest": manifest,
        "texts": manifest.texts,
        "instructions": markdown.render(manifest.texts.instructions),
        "has_begun": annotator.instructions_read_at is not None,
    }
    return render(request, "web/annotator/instructions.html", context)


def _end(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    context = {
        "annotator": annotator,
        "debrief": markdown.render(manifest.texts.debrief),
        "has_finished": annotator.state == Annotator.State.FINISHED,
        "vote_count": Vote.objects.filter(assignment__annotator=annotator).exclude(state=Vote.State.SUPERSEDED).count(),
    }
    return render(request, "web/annotator/end.html", context)
