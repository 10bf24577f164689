"""The page of the storage: how much lies where, and what may be removed."""

from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from annotation.studies.installation.storage import BY_NAME, PLACES, Size, remove, storage
from annotation.web.access.guard import researcher_page
from annotation.web.installation.numbers import bytes_in_words
from generation.pictures import files
from jobs.refusals import Refused
from jobs.wording import counted

LITTLE = 0.1  # of the disk that is free, below which the page says so


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def page(request: HttpRequest) -> HttpResponse:
    """Show the sizes; by POST, count them again."""
    found = storage(is_anew=request.method == "POST")
    if request.method == "POST":
        return redirect("installation-storage")
    free_share = found.free / found.total if found.free is not None and found.total else None
    context: dict[str, Any] = {
        "tab": "storage",
        "now": timezone.now(),
        "found": found,
        "images": _words(found.images),
        "embeddings": _words(found.embeddings),
        "database": "" if found.database_bytes is None else bytes_in_words(found.database_bytes),
        "free": "" if found.free is None else bytes_in_words(found.free),
        "total": "" if found.total is None else bytes_in_words(found.total),
        "used_percent": None if free_share is None else round(100 * (1 - free_share)),
        "is_little": free_share is not None and free_share < LITTLE,
        "places": [(place, _words(found.sizes[place.name]), found.sizes[place.name].files) for place in PLACES],
        "is_remote": files.storage().is_remote,
        "var": settings.VAR_DIR,
    }
    return render(request, "web/installation/storage.html", context)


def _words(size: Size) -> tuple[str, str]:
    more = "more than " if size.is_more else ""
    return f"{more}{size.files:,}", f"{more}{bytes_in_words(size.bytes)}"


@require_POST
@researcher_page
def empty(request: HttpRequest, place: str) -> HttpResponse:
    """Remove what lies in a place; ask first."""
    chosen = BY_NAME.get(place)
    if chosen is not None and chosen.removal and "confirmed" not in request.POST:
        return render(request, "web/installation/empty_place.html", {"tab": "storage", "place": chosen})
    try:
        size = remove(place, actor=cast(User, request.user))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"{counted(size.files, 'file')} removed, {bytes_in_words(size.bytes)}.")
    return redirect("installation-storage")


urlpatterns: list[URLPattern] = [
    path("installation/storage/", page, name="installation-storage"),
    path("installation/storage/<slug:place>/empty/", empty, name="empty-place"),
]
