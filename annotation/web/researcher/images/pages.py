"""The images of a study before and while people vote on them: contact sheets, seeds to drop, all of them as a file."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST, require_safe

from annotation.models import Study, StudyFileJob
from annotation.reports.report_jobs.images_file import NAME, current_images, request_images
from annotation.reports.report_jobs.watched_jobs import retry
from annotation.studies.audit import record
from annotation.studies.comparisons import comparisons_of
from annotation.studies.current import current_manifest
from annotation.studies.imports.imported_images import imported_images
from annotation.studies.lifecycle.actions import ACTIONS
from annotation.studies.lifecycle.pipeline_jobs import failed_seeds
from annotation.studies.lifecycle.transitions import drop_seed, may_drop_seeds
from annotation.studies.sealing import is_sealed
from annotation.studies.warnings.image_warnings import flags_of
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.images.sheets import (
    ADDRESSES,
    Viewer,
    numbered_prompts,
    prompt_sheets,
)
from annotation.web.researcher.overview.cards import snapshot_of
from generation.models import GeneratedImage
from generation.pictures import renditions
from jobs.refusals import Refused
from jobs.wording import counted

PROMPTS_PER_PAGE = 8


@require_safe
@researcher_page
def study_images(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the contact sheets of some prompts, or of those with a flag."""
    study = get_object_or_404(Study, slug=slug)
    manifest, show = current_manifest(study), request.GET.get("show", "")
    account_id = cast(User, request.user).pk
    viewer = Viewer(study, account_id, is_sealed(study, manifest=manifest), manifest.has_two_models)
    flags, counts = flags_of(study), snapshot_of(study).counts
    numbered = numbered_prompts(study, flags, only_flagged=show == "flagged")
    page = Paginator(numbered, PROMPTS_PER_PAGE).get_page(request.GET.get("page"))
    may_drop = study.state in ("scoring", "generating") and may_drop_seeds(study)
    context: dict[str, Any] = {
        "study": study,
        "tab": "images",
        "is_blind": viewer.is_blind,
        "counts": counts,
        "imported_count": sum(one.image_count for one in imported_images(study)),
        "verdict": _verdict(counts.image_count, counts.planned_image_count, flags.counts),
        "show": show,
        "page": page,
        "sheets": prompt_sheets(viewer, page.object_list, flags.reported),
        "failed": failed_seeds(study) if may_drop else [],
        "retry": ACTIONS["retry"] if may_drop else None,
    }
    return render(request, "web/researcher/images.html", context)


def _verdict(image_count: int, planned: int, flags: dict[str, int]) -> str:
    """Return what is wrong with the images, in a sentence with its number."""
    missing = planned - image_count
    found = [f"{count} {flag}" for flag, count in flags.items()] + ([f"{missing} missing"] if missing else [])
    there = f"{image_count:,} of {counted(planned, 'image')}"
    return f"{there}; {', '.join(found)}." if found else f"{there}, and none has a flag."


@require_safe
@researcher_page
def sheet_image(request: HttpRequest, slug: str, address: str, rendition: str) -> HttpResponse:
    """Serve an image of a sheet to the account that the address was made for; nothing tells which model made it."""
    try:
        account_id, image_id = ADDRESSES.decrypt(address)
    except ValueError:
        raise Http404 from None
    if account_id != request.user.pk or rendition not in renditions.SIZES:
        raise Http404
    image = get_object_or_404(GeneratedImage, pk=image_id)
    sets = GeneratedImage.objects.filter(pk=image_id).order_by().values("image_set")
    if not comparisons_of(sets).filter(study__slug=slug).exists():
        raise Http404
    try:
        response = HttpResponse(renditions.read(image, rendition), content_type="image/webp")
    except Refused as refusal:
        raise Http404(str(refusal)) from None
    response["X-Content-Type-Options"] = "nosniff"
    return response


@require_POST
@researcher_page
def drop(request: HttpRequest, slug: str) -> HttpResponse:
    """Drop a seed that failed for good from every set of a prompt."""
    study = get_object_or_404(Study, slug=slug)
    position, seed = (_number(request.POST.get(name, "")) for name in ("position", "seed"))
    try:
        if position is None or seed is None:
            raise Refused("Nothing was dropped: the form names no comparison and seed. Load the page again.")
        drop_seed(study=study, position=position, seed=seed, actor=cast(User, request.user))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"Seed {seed} is dropped from every set of comparison {position + 1}.")
    return redirect("study-images", slug)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


@require_safe
@researcher_page
def images_file(request: HttpRequest, slug: str) -> HttpResponse | FileResponse:
    """Serve all images as a zip file, or show how far it is."""
    study = get_object_or_404(Study, slug=slug)
    try:
        job = request_images(study)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("study-images", slug)
    path = current_images(job)
    if path:
        record("images downloaded", study=study, actor=cast(User, request.user))
        name = f"{slug}-{NAME}"
        return FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type="application/zip")
    context = {"study": study, "tab": "images", "job": job}
    return render(request, "web/researcher/images_file.html", context, status=202 if job.is_waiting else 500)


@require_safe
@researcher_page
def images_file_progress(_request: HttpRequest, slug: str) -> JsonResponse:
    """Answer the page that waits for the file."""
    job = get_object_or_404(StudyFileJob, study__slug=slug)
    return JsonResponse({"state": job.state, "percent": job.percent, "step": job.step})


@require_POST
@researcher_page
def images_file_again(_request: HttpRequest, slug: str) -> HttpResponse:
    """Make the file again after a failure."""
    retry(get_object_or_404(StudyFileJob, study__slug=slug))
    return redirect(reverse("images-file", args=[slug]))


urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/images/", study_images, name="study-images"),
    path("studies/<slug:slug>/images/drop/", drop, name="drop-seed"),
    path("studies/<slug:slug>/images/all.zip", images_file, name="images-file"),
    path("studies/<slug:slug>/images/all/progress", images_file_progress, name="images-file-progress"),
    path("studies/<slug:slug>/images/all/again", images_file_again, name="images-file-again"),
    path("studies/<slug:slug>/images/<str:address>.<slug:rendition>", sheet_image, name="sheet-image"),
]
