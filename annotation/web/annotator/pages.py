"""The annotator's pages. One link, one place: `place` decides which page it shows."""

from contextlib import suppress

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.models import Annotator, Assignment, Vote
from annotation.studies.manifest import Manifest
from annotation.voting.annotators import free_leases
from annotation.voting.casting import undo_vote
from annotation.voting.room import has_all_votes
from annotation.voting.withdrawal import withdraw as withdraw_annotator
from annotation.web.annotator import markdown, onboarding
from annotation.web.annotator.next_page import Place, annotator_page, place, undoable
from annotation.web.annotator.page_strings import other_questions, page_words
from jobs.refusals import Refused

# How often a page that waits for the researcher looks again.
LOOK_AGAIN_SECONDS = 60
WAITING = (Place.NOT_YET_OPEN, Place.PAUSED, Place.CLOSED)
OUTCOMES = (Place.END, Place.STUDY_FULL, Place.SCREENED_OUT, Place.WITHDRAWN)
STOPPABLE = (Place.COMPARISONS, Place.BREAK)


@require_safe
@annotator_page
def visit(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """The page that is due: status, a page around the comparisons, the comparisons, or the end."""
    due = place(annotator=annotator, manifest=manifest, now=timezone.now())
    if due == Place.COMPARISONS:
        return _comparisons(request, annotator, manifest)
    if due in OUTCOMES:
        return _outcome(request, annotator, manifest, due)
    if due in WAITING:
        context = onboarding.page_context(annotator, manifest) | {
            "look_again_seconds": LOOK_AGAIN_SECONDS,
            "opens_at": manifest.annotation.opens_at,
        }
        return render(request, f"web/annotator/{due}.html", context)
    return onboarding.show(request, annotator, manifest, due)


@require_safe
@annotator_page
def instructions(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """The instructions again, for whoever has read them."""
    if annotator.instructions_read_at is None:
        return redirect("visit", annotator.token)
    return onboarding.show(request, annotator, manifest, Place.INSTRUCTIONS)


@require_safe
@annotator_page
def end(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Where the comparisons lead when none is left."""
    if place(annotator=annotator, manifest=manifest, now=timezone.now()) == Place.COMPARISONS:
        return _outcome(request, annotator, manifest, Place.END)
    return redirect("visit", annotator.token)


@require_POST
@annotator_page
def undo_last(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Take the last vote back from the page that came after it; where that is too late, that page shows again."""
    vote = undoable(annotator, manifest, now=timezone.now())
    if vote and str(vote.vote_id) == request.POST.get("vote"):
        with suppress(Refused):  # too late by a moment
            undone = Vote.objects.select_related("assignment").get(pk=vote.vote_id)
            undo_vote(vote=undone, rules=manifest.voting_rules(), now=timezone.now())
    return redirect("visit", annotator.token)


@require_http_methods(["GET", "HEAD", "POST"])
@annotator_page
def stop(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Stop for now: what is held goes back at once. The link goes on whenever the annotator likes."""
    if request.method == "POST":
        free_leases(annotator=annotator, now=timezone.now())
        return redirect("stop", annotator.token)  # a reload sends nothing again
    if place(annotator=annotator, manifest=manifest, now=timezone.now()) not in STOPPABLE:
        return redirect("visit", annotator.token)
    context = onboarding.page_context(annotator, manifest) | {"vote_count": _vote_count(annotator)}
    return render(request, "web/annotator/stop.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@annotator_page
def withdraw(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Ask, then delete the annotator's votes and answers."""
    if annotator.state == Annotator.State.WITHDRAWN:
        return redirect("visit", annotator.token)
    until = manifest.annotation.withdrawal_until
    context = onboarding.page_context(annotator, manifest) | {"until": until, "vote_count": _vote_count(annotator)}
    if request.method == "POST" and "confirmed" in request.POST:
        try:
            withdraw_annotator(annotator=annotator, until=until, now=timezone.now())
        except Refused as refusal:
            return render(request, "web/annotator/withdraw.html", context | {"refusal": refusal}, status=409)
        return redirect("visit", annotator.token)
    return render(request, "web/annotator/withdraw.html", context)


def _comparisons(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    context = onboarding.page_context(annotator, manifest) | {
        "words": page_words(),
        "other_questions": other_questions(manifest),
        "next_url": reverse("api:ask_next", args=[annotator.token]),
        "votes_url": reverse("api:vote", args=[annotator.token]),
        "undo_url": reverse("api:undo", args=[annotator.token]),
        "reports_url": reverse("api:report_image", args=[annotator.token]),
        "leave_url": reverse("api:leave", args=[annotator.token]),
    }
    return render(request, "web/annotator/comparisons.html", context)


def _outcome(request: HttpRequest, annotator: Annotator, manifest: Manifest, due: Place) -> HttpResponse:
    code = _completion_code(annotator, manifest, due)
    context = onboarding.page_context(annotator, manifest) | {
        "debrief": markdown.render(manifest.texts.debrief),
        "is_full": due == Place.STUDY_FULL and has_all_votes(annotator.study),
        "has_finished": annotator.state == Annotator.State.FINISHED,
        "vote_count": _vote_count(annotator),
        "completion_code": code,
        "leaving_address": manifest.platform.leaving_address(code),
    }
    return render(request, f"web/annotator/{due}.html", context)


def _completion_code(annotator: Annotator, manifest: Manifest, due: Place) -> str:
    """What the platform is told of the annotator's outcome; empty while there is none."""
    platform = manifest.platform
    if annotator.screened_out_for == Annotator.Screening.ATTENTION:
        return platform.failed_checks_code
    if due == Place.STUDY_FULL:
        return platform.study_full_code
    codes = {
        Annotator.State.FINISHED: platform.complete_code,
        Annotator.State.SCREENED_OUT: platform.screened_out_code,
        Annotator.State.WITHDRAWN: platform.withdrawn_code,
    }
    return codes.get(Annotator.State(annotator.state), "")


def _vote_count(annotator: Annotator) -> int:
    """As the annotator counts them: checks are among them."""
    votes = Vote.objects.filter(assignment__annotator=annotator).exclude(assignment__kind=Assignment.Kind.PRACTICE)
    return votes.exclude(state=Vote.State.SUPERSEDED).count()
