"""The place of a person in a study, remembered by their browser, and the pages for those who find no place."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from annotation.models import Annotator, Study
from annotation.studies.manifest import Manifest
from annotation.voting.availability import NoRoom

DEVICE_COOKIE = "annotator"
DEVICE_COOKIE_SECONDS = 365 * 24 * 3600
RELOAD_SECONDS = 60  # after which a waiting page asks again


def remember_place(response: HttpResponse, annotator: Annotator, *, path: str) -> None:
    """Store the annotator's link in a cookie that the browser sends to this path only."""
    _store(response, DEVICE_COOKIE, annotator, path)


def remember_pilot(response: HttpResponse, annotator: Annotator) -> None:
    """Store the link of an annotator of a pilot for every path: the study itself must know who took part in it."""
    if annotator.study.pilot_of_id:
        _store(response, _pilot_cookie(annotator.study.pilot_of_id), annotator, "/")


def _store(response: HttpResponse, name: str, annotator: Annotator, path: str) -> None:
    response.set_signed_cookie(
        name,
        annotator.token,
        salt=DEVICE_COOKIE,
        max_age=DEVICE_COOKIE_SECONDS,
        path=path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def annotator_of_device(request: HttpRequest, study: Study) -> Annotator | None:
    """Return the annotator of the study whose place this browser remembers, or None."""
    token = request.get_signed_cookie(DEVICE_COOKIE, default="", salt=DEVICE_COOKIE)
    return Annotator.objects.filter(token=token, study=study).first() if token else None


def pilot_token(request: HttpRequest, study: Study) -> str:
    """Return the token of the link that this browser had in a pilot of the study, or an empty text."""
    return request.get_signed_cookie(_pilot_cookie(study.pk), default="", salt=DEVICE_COOKIE) or ""


def _pilot_cookie(study_id: int) -> str:
    """Return the cookie of all pilots of a study: the last one of them is enough."""
    return f"pilot-{study_id}"


def no_room_page(
    request: HttpRequest, manifest: Manifest, reason: NoRoom, external_id: str, status: int = 200
) -> HttpResponse:
    """Return the page for a person who cannot join. A platform gets the code of a full study, unless room may come."""
    code = manifest.platform.study_full_code if reason != NoRoom.HELD and external_id else ""
    context = {
        "reason": reason.words,
        "reload_seconds": RELOAD_SECONDS,
        "external_id": external_id,
        "completion_code": code,
        "leaving_address": manifest.platform.leaving_address(code),
    }
    return render(request, f"web/annotator/{reason}.html", context, status=status)
