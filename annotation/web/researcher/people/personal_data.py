"""Personal data of a study: its record for an ethics board, and the erasure of all of it once the study is closed."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_safe

from annotation.models import Study
from annotation.reports.report_jobs.retention import erase_personal_data, retention_effects
from annotation.studies.people.data_record import as_markdown, data_record
from annotation.web.access.guard import researcher_page
from jobs.refusals import Refused
from jobs.wording import counted


@require_safe
@researcher_page
def record_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the record of the study's personal data on one page, which can be printed."""
    study = get_object_or_404(Study, slug=slug)
    context = {"study": study, "tab": "settings", "record": data_record(study)}
    return render(request, "web/researcher/personal_data.html", context)


@require_safe
@researcher_page
def record_file(_request: HttpRequest, slug: str) -> HttpResponse:
    """Serve the record as Markdown."""
    text = as_markdown(data_record(get_object_or_404(Study, slug=slug)))
    response = HttpResponse(text, content_type="text/markdown; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slug}-personal-data.md"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def erase_all(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the erasure of all personal data removes; by POST, do it."""
    study = get_object_or_404(Study, slug=slug)
    if request.method == "POST" and "confirmed" in request.POST:
        try:
            count = erase_personal_data(study=study, actor=cast(User, request.user))
        except Refused as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, f"The personal data of {counted(count, 'annotator')} is erased.")
        return redirect("personal-data", slug)
    removed, kept = retention_effects(study)
    context = {"study": study, "tab": "settings", "removed": removed, "kept": kept}
    return render(request, "web/researcher/erase_all.html", context)


urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/personal-data/", record_page, name="personal-data"),
    path("studies/<slug:slug>/personal-data.md", record_file, name="personal-data-file"),
    path("studies/<slug:slug>/personal-data/erase/", erase_all, name="erase-personal-data"),
]
