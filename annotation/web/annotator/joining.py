"""The ways in which annotators join and return: the open link on the same device, the resume code on any device."""

import base64
import re
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from annotation.models import Annotator, Study
from annotation.models.study import new_link_token
from annotation.studies.current import current_manifest
from annotation.studies.manifest import Manifest
from annotation.voting import annotators
from annotation.voting.availability import NoRoom, NoRoomLeft, closure
from annotation.web.access import rate_limit
from annotation.web.annotator.forms import ResumeForm
from annotation.web.annotator.next_page import in_language
from annotation.web.annotator.onboarding import welcome_context
from annotation.web.annotator.places import (
    RELOAD_SECONDS,
    annotator_of_device,
    no_room_page,
    pilot_token,
    remember_pilot,
    remember_place,
)

# An id or another parameter from a platform. A withdrawal's marker has a colon, so that no parameter can equal it.
PLATFORM_VALUE = re.compile(r"[A-Za-z0-9_.@+-]{1,200}")
# The random id of one start page, from `new_link_token`.
FORM_ID = re.compile(r"[A-Za-z0-9_-]{22}")
# A code has 47 random bits: it cannot be guessed at 240 tries an hour from one address.
MOST_RESUME_TRIES = 20
RESUME_WINDOW_SECONDS = 300


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """Show the start page: what Semblance is, and a way on for annotators and researchers."""
    return render(request, "web/landing.html", {"form": ResumeForm()})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def resume(request: HttpRequest) -> HttpResponse:
    """Redirect a resume code to the annotator's link. At most 20 tries in five minutes from one address."""
    form = ResumeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        if not rate_limit.is_allowed(request, action="resume", most=MOST_RESUME_TRIES, seconds=RESUME_WINDOW_SECONDS):
            return render(request, "429.html", status=429)
        if form.is_valid():
            return redirect("visit", form.cleaned_data["annotator"].token)
    return render(request, "web/annotator/resume.html", {"form": form}, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def join(request: HttpRequest, open_link_token: str) -> HttpResponse:
    """Show the start page of an open link. Taking part creates one annotator per device or per platform id."""
    study = get_object_or_404(Study, open_link_token=open_link_token)
    manifest = current_manifest(study)
    if manifest.platform.id_parameter:
        external_id = _parameter(request, manifest.platform.id_parameter)
        known = annotators.by_external_id(study=study, external_id=external_id)
    else:
        external_id, known = "", annotator_of_device(request, study)
    if known:
        return redirect("visit", known.token)
    return in_language(manifest, lambda: _arrival_page(request, study, manifest, external_id))


def _parameter(request: HttpRequest, name: str) -> str:
    """Return a parameter of the link if a platform can have set it, else an empty text."""
    value = request.GET.get(name, "")
    return value if PLATFORM_VALUE.fullmatch(value) else ""


def _arrival_page(request: HttpRequest, study: Study, manifest: Manifest, external_id: str) -> HttpResponse:
    """Return the page for a visitor who has not joined. Nothing is stored unless they take part."""
    rules, now = manifest.voting_rules(), timezone.now()
    if manifest.platform.id_parameter and not external_id:
        return render(request, "web/annotator/missing_id.html", status=400)
    if reason := closure(study=study, rules=rules, now=now):
        context = {"reload_seconds": RELOAD_SECONDS, "opens_at": rules.opens_at}
        return render(request, f"web/annotator/{reason}.html", context)
    try:
        if _takes_part(request, manifest):
            if not rate_limit.is_allowed(request, action="join", most=settings.OPEN_LINK_JOINS_PER_MINUTE, seconds=60):
                return _too_many_page(request)
            return _take_part(request, study, manifest, external_id)
        if annotators.was_in_pilot(study=study, external_id=external_id, token=pilot_token(request, study)):
            return no_room_page(request, manifest, NoRoom.PILOT, external_id)
        if no_room := annotators.no_room(study=study, rules=rules, now=now):
            return no_room_page(request, manifest, no_room, external_id)
    except NoRoomLeft as refusal:  # others filled the study while the page was read
        return no_room_page(request, manifest, refusal.reason, external_id, status=409)
    return _start_page(request, manifest, external_id)


def _too_many_page(request: HttpRequest) -> HttpResponse:
    """Return the refusal that keeps one program from filling a study. Joining works again within a minute."""
    response = render(request, "429.html", {"is_joining": True}, status=429)
    response["Retry-After"] = "60"
    return response


def _takes_part(request: HttpRequest, manifest: Manifest) -> bool:
    """Return whether the form was sent with the current consent text. A page with an older text is no consent."""
    return request.method == "POST" and request.POST.get("consent_sha256", "") == manifest.texts.consent_sha256


def _take_part(request: HttpRequest, study: Study, manifest: Manifest, external_id: str) -> HttpResponse:
    arrival = annotators.Arrival(
        external_id=external_id,
        platform_parameters={name: _parameter(request, name) for name in manifest.platform.other_parameters},
        token=_annotator_token(study, request.POST.get("form", "")),
        consent_sha256=manifest.texts.consent_sha256 if manifest.texts.has_welcome else None,
        pilot_token=pilot_token(request, study),
    )
    annotator = annotators.join(study=study, rules=manifest.voting_rules(), now=timezone.now(), arrival=arrival)
    return redirect("visit", annotator.token) if external_id else _joined(request, annotator)


def _annotator_token(study: Study, form_id: str) -> str:
    """Return the token of the annotator whom this start page creates: the form sent twice creates one.

    Empty if the id of the form is not one of ours.
    """
    if not FORM_ID.fullmatch(form_id):
        return ""
    digest = salted_hmac(f"semblance place {study.pk}", form_id, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def _start_page(request: HttpRequest, manifest: Manifest, external_id: str) -> HttpResponse:
    context: dict[str, Any] = {
        "texts": manifest.texts,
        "manifest": manifest,
        "external_id": external_id,
        "form": new_link_token(),
    }
    if not manifest.texts.has_welcome:
        return render(request, "web/annotator/join.html", context)
    return render(request, "web/annotator/welcome.html", context | welcome_context(manifest))


def _joined(request: HttpRequest, annotator: Annotator) -> HttpResponse:
    response = redirect("visit", annotator.token)
    remember_place(response, annotator, path=request.path)
    remember_pilot(response, annotator)
    return response
