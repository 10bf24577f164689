"""The overview of a study: the page, and the answers to pages that watch it. They show counts only, nothing sealed."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.actions import actions_for
from annotation.studies.pilot.making import may_have_pilot
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.overview.cards import snapshot_of


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


urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/", study, name="study"),
    path("studies/<slug:slug>/live", live, name="study-live"),
]
