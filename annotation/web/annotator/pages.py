"""The annotator's pages. An annotator has one link; `next_page` decides which page it shows."""

from contextlib import suppress

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.models import Annotator, Assignment, Vote
from annotation.studies.mail.inviting import unsubscribe
from annotation.studies.manifest import Manifest
from annotation.voting.annotators import free_leases
from annotation.voting.availability import has_all_votes
from annotation.voting.casting import undo_vote
from annotation.voting.withdrawal import withdraw as withdraw_annotator
from annotation.web.annotator import markdown, onboarding
from annotation.web.annotator.next_page import NextPage, annotator_page, next_page, undoable
from annotation.web.annotator.page_strings import other_questions, page_strings
from annotation.web.annotator.places import RELOAD_SECONDS
from jobs.refusals import Refused

WAITING = (NextPage.NOT_YET_OPEN, NextPage.PAUSED, NextPage.CLOSED)
OUTCOMES = (NextPage.END, NextPage.STUDY_FULL, NextPage.SCREENED_OUT, NextPage.WITHDRAWN)
STOPPABLE = (NextPage.COMPARISONS, NextPage.BREAK)


@require_safe
@annotator_page
def visit(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Show the page that is due."""
    due = next_page(annotator=annotator, manifest=manifest, now=timezone.now())
    if due == NextPage.COMPARISONS:
        return _comparisons(request, annotator, manifest)
    if due in OUTCOMES:
        return _outcome(request, annotator, manifest, due)
    if due in WAITING:
        context = onboarding.page_context(annotator, manifest) | {
            "reload_seconds": RELOAD_SECONDS,
            "opens_at": manifest.annotation.opens_at,
        }
        return render(request, f"web/annotator/{due}.html", context)
    return onboarding.show(request, annotator, manifest, due)


@require_safe
@annotator_page
def instructions(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Show the instructions again to an annotator who has read them."""
    if annotator.instructions_read_at is None:
        return redirect("visit", annotator.token)
    return onboarding.show(request, annotator, manifest, NextPage.INSTRUCTIONS)


@require_safe
@annotator_page
def end(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Show the end: the comparison page leads here when no comparison is left."""
    if next_page(annotator=annotator, manifest=manifest, now=timezone.now()) == NextPage.COMPARISONS:
        return _outcome(request, annotator, manifest, NextPage.END)
    return redirect("visit", annotator.token)


@require_POST
@annotator_page
def undo_last(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Undo the last vote from the page that came after it. If it is too late, that page shows again."""
    vote = undoable(annotator, manifest, now=timezone.now())
    if vote and str(vote.vote_id) == request.POST.get("vote"):
        with suppress(Refused):  # the time ran out just now
            undone = Vote.objects.select_related("assignment").get(pk=vote.vote_id)
            undo_vote(vote=undone, rules=manifest.voting_rules(), now=timezone.now())
    return redirect("visit", annotator.token)


@require_http_methods(["GET", "HEAD", "POST"])
@annotator_page
def stop(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Release the annotator's leases at once. The link continues whenever the annotator likes."""
    if request.method == "POST":
        free_leases(annotator=annotator, now=timezone.now())
        return redirect("stop", annotator.token)  # so that a reload does not post again
    if next_page(annotator=annotator, manifest=manifest, now=timezone.now()) not in STOPPABLE:
        return redirect("visit", annotator.token)
    context = onboarding.page_context(annotator, manifest) | {"vote_count": _vote_count(annotator)}
    return render(request, "web/annotator/stop.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@annotator_page
def withdraw(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Ask for confirmation, then delete the annotator's votes and answers."""
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


@require_http_methods(["GET", "HEAD", "POST"])
@annotator_page
def no_mail(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Ask whether to stop further mails; by POST, stop them. A GET changes nothing: mail programs follow links."""
    is_done = request.method == "POST"
    if is_done:
        unsubscribe(annotator=annotator, now=timezone.now())
    context = onboarding.page_context(annotator, manifest) | {"is_done": is_done}
    return render(request, "web/annotator/no_mail.html", context)


def _comparisons(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    context = onboarding.page_context(annotator, manifest) | {
        "strings": page_strings(),
        "other_questions": other_questions(manifest),
        "next_url": reverse("api:ask_next", args=[annotator.token]),
        "votes_url": reverse("api:vote", args=[annotator.token]),
        "undo_url": reverse("api:undo", args=[annotator.token]),
        "reports_url": reverse("api:report_image", args=[annotator.token]),
        "leave_url": reverse("api:leave", args=[annotator.token]),
    }
    return render(request, "web/annotator/comparisons.html", context)


def _outcome(request: HttpRequest, annotator: Annotator, manifest: Manifest, due: NextPage) -> HttpResponse:
    code = _completion_code(annotator, manifest, due)
    context = onboarding.page_context(annotator, manifest) | {
        "debrief": markdown.render(manifest.texts.debrief),
        "is_full": due == NextPage.STUDY_FULL and has_all_votes(annotator.study),
        "has_finished": annotator.state == Annotator.State.FINISHED,
        "vote_count": _vote_count(annotator),
        "completion_code": code,
        "leaving_address": manifest.platform.leaving_address(code),
    }
    return render(request, f"web/annotator/{due}.html", context)


def _completion_code(annotator: Annotator, manifest: Manifest, due: NextPage) -> str:
    """Return the code that reports the annotator's outcome to the platform; empty if there is none."""
    platform = manifest.platform
    if due == NextPage.SCREENED_OUT and annotator.screened_out_for != Annotator.Screening.COMPREHENSION:
        return platform.failed_checks_code
    if due == NextPage.STUDY_FULL:
        return platform.study_full_code
    codes = {
        Annotator.State.FINISHED: platform.complete_code,
        Annotator.State.SCREENED_OUT: platform.screened_out_code,
        Annotator.State.WITHDRAWN: platform.withdrawn_code,
    }
    return codes.get(Annotator.State(annotator.state), "")


def _vote_count(annotator: Annotator) -> int:
    """Return the number of votes as the annotator counts them: attention checks are included."""
    votes = Vote.objects.filter(assignment__annotator=annotator).exclude(assignment__kind=Assignment.Kind.PRACTICE)
    return votes.exclude(state=Vote.State.SUPERSEDED).count()
