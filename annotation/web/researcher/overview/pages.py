"""The overview of a study: the page, the answers to pages that watch it, its actions, and its study file.

Pages show counts only, nothing sealed.
"""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_safe

from annotation.models import Study
from annotation.studies.audit import record
from annotation.studies.current import current_manifest
from annotation.studies.documents import COMPLETION_CODES
from annotation.studies.lifecycle.actions import ACTIONS, actions_for, asked
from annotation.studies.lifecycle.progress import progress
from annotation.studies.pilot.making import may_have_pilot
from annotation.studies.study_file.writing import write_study_file
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.overview.cards import snapshot_of
from jobs.refusals import Refused


@require_safe
@researcher_page
def study(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a study: how far it is, the actions that are possible, and what needs attention."""
    study = get_object_or_404(Study, slug=slug)
    return render(request, "web/researcher/study.html", overview_of(study))


def overview_of(study: Study) -> dict[str, Any]:
    """Return what the overview shows to everybody who may see the study."""
    manifest, snapshot = current_manifest(study), snapshot_of(study)
    return {
        "study": study,
        "tab": "overview",
        "manifest": manifest,
        "snapshot": snapshot,
        "simulated_count": snapshot.counts.simulated_annotator_count,
        "actions": actions_for(study),
        "may_have_pilot": may_have_pilot(study),
        "has_pilots": study.pilots.exists(),
    }


@require_safe
@researcher_page
def live(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer a page that watches the study: 304 if nothing has changed since the ETag that it sends."""
    snapshot = snapshot_of(get_object_or_404(Study, slug=slug))
    if request.headers.get("If-None-Match", "").removeprefix("W/") == snapshot.etag:
        response: HttpResponse = HttpResponseNotModified()
    else:
        response = JsonResponse({"version": snapshot.page_version, "cards": snapshot.cards})
    response["ETag"] = snapshot.etag
    return response


# --- actions, and the study file ----------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def act(request: HttpRequest, slug: str, action: str) -> HttpResponse:
    """Run an action and show its outcome. An action with a question runs only after its page confirmed it."""
    study = get_object_or_404(Study, slug=slug)
    if action not in ACTIONS:
        raise Http404
    chosen = asked(ACTIONS[action], study)
    if request.method != "POST" or (chosen.question and "confirmed" not in request.POST):
        if chosen in actions_for(study):
            votes = progress(study).votes_in_words(study) if chosen.name == "close" else ""
            return render(request, "web/researcher/confirm.html", {"study": study, "action": chosen, "votes": votes})
        messages.error(request, f"“{chosen.label}” does nothing now: {study} is {study.get_state_display().lower()}.")
        return redirect("study", study.slug)
    try:
        chosen.carry_out(study=study, actor=cast(User, request.user))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, str(chosen.done))
    return redirect("study", study.slug)


@require_safe
@researcher_page
def study_file(request: HttpRequest, slug: str) -> HttpResponse:
    """Serve the study as a file that `create_study` reads."""
    study = get_object_or_404(Study, slug=slug)
    manifest = current_manifest(study)
    if any(getattr(manifest.platform, code) for code in COMPLETION_CODES):
        record("completion codes downloaded", study=study, actor=cast(User, request.user))
    response = HttpResponse(write_study_file(manifest), content_type="application/toml; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slug}.toml"'
    return response


urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/", study, name="study"),
    path("studies/<slug:slug>/live", live, name="study-live"),
    path("studies/<slug:slug>/study.toml", study_file, name="study-file"),
    path("studies/<slug:slug>/do/<slug:action>/", act, name="study-action"),
]
