"""Two ways back to one place: the open link on the same device, and the resume code on any device."""

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
from annotation.voting.availability import closure
from annotation.voting.room import NoRoom, NoRoomLeft
from annotation.web.access import rate_limit
from annotation.web.annotator.next_page import in_language
from annotation.web.annotator.onboarding import welcome_context
from annotation.web.annotator.pages import LOOK_AGAIN_SECONDS
from annotation.web.researcher.forms import ResumeForm

# What a platform calls a person, or anything else. The marker of a withdrawal has a colon, so nobody can name one.
PLATFORM_VALUE = re.compile(r"[A-Za-z0-9_.@+-]{1,200}")
# One start page, as `new_link_token` names it.
FORM = re.compile(r"[A-Za-z0-9_-]{22}")
DEVICE_COOKIE = "annotator"
DEVICE_COOKIE_SECONDS = 365 * 24 * 3600
# 47 random bits cannot be guessed at this rate: 240 tries an hour from one address.
MOST_RESUME_TRIES = 20
RESUME_WINDOW_SECONDS = 300


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What this is, and a way on for each of its visitors."""
    return render(request, "web/landing.html", {"form": ResumeForm()})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def resume(request: HttpRequest) -> HttpResponse:
    """The resume code leads to the annotator's link. At most 20 tries in five minutes from one address."""
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
    """The open link: a start page; agreeing to take part makes a place, once for a device or a platform's id."""
    study = get_object_or_404(Study, open_link_token=open_link_token)
    manifest = current_manifest(study)
    if manifest.platform.id_parameter:
        external_id = _parameter(request, manifest.platform.id_parameter)
        known = annotators.by_external_id(study=study, external_id=external_id)
    else:
        external_id, known = "", _annotator_of_device(request, study)
    if known:
        return redirect("visit", known.token)
    return in_language(manifest.texts.language, lambda: _arrival_page(request, study, manifest, external_id))


def _parameter(request: HttpRequest, name: str) -> str:
    """A parameter of the link, where it is one that a platform would give; else empty."""
    value = request.GET.get(name, "")
    return value if PLATFORM_VALUE.fullmatch(value) else ""


def _arrival_page(request: HttpRequest, study: Study, manifest: Manifest, external_id: str) -> HttpResponse:
    """The page for a visitor without a place. Nothing is stored unless they take part."""
    rules, now = manifest.voting_rules(), timezone.now()
    if manifest.platform.id_parameter and not external_id:
        return render(request, "web/annotator/no_id.html", status=400)
    if reason := closure(study=study, rules=rules, now=now):
        context = {"look_again_seconds": LOOK_AGAIN_SECONDS, "opens_at": rules.opens_at}
        return render(request, f"web/annotator/{reason}.html", context)
    try:
        if _takes_part(request, manifest):
            if not rate_limit.is_allowed(request, action="join", most=settings.OPEN_LINK_JOINS_PER_MINUTE, seconds=60):
                return _too_many_page(request)
            return _take_part(request, study, manifest, external_id)
        if lack := annotators.no_room(study=study, rules=rules, now=now):
            return _no_room_page(request, manifest, lack, external_id)
    except NoRoomLeft as refusal:  # the last place went while the page was read
        return _no_room_page(request, manifest, refusal.reason, external_id, status=409)
    return _start_page(request, manifest, external_id)


def _too_many_page(request: HttpRequest) -> HttpResponse:
    """The refusal that keeps one program from filling a study's places. The button works again within a minute."""
    response = render(request, "429.html", {"is_joining": True}, status=429)
    response["Retry-After"] = "60"
    return response


def _takes_part(request: HttpRequest, manifest: Manifest) -> bool:
    """Whether the form was sent with the consent text in force; an outdated page is no consent and shows anew."""
    return request.method == "POST" and request.POST.get("consent_sha256", "") == manifest.texts.consent_sha256


def _take_part(request: HttpRequest, study: Study, manifest: Manifest, external_id: str) -> HttpResponse:
    arrival = annotators.Arrival(
        external_id=external_id,
        platform_parameters={name: _parameter(request, name) for name in manifest.platform.other_parameters},
        token=_place_token(study, request.POST.get("form", "")),
        consent_sha256=manifest.texts.consent_sha256 if manifest.texts.has_welcome else None,
    )
    annotator = annotators.join(study=study, rules=manifest.voting_rules(), now=timezone.now(), arrival=arrival)
    return redirect("visit", annotator.token) if external_id else _joined(request, annotator)


def _place_token(study: Study, form: str) -> str:
    """The link of the place that this form makes: sent twice, it makes one. Empty for no form of ours."""
    if not FORM.fullmatch(form):
        return ""
    digest = salted_hmac(f"semblance place {study.pk}", form, algorithm="sha256").digest()
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


def _no_room_page(
    request: HttpRequest, manifest: Manifest, lack: NoRoom, external_id: str, status: int = 200
) -> HttpResponse:
    code = manifest.platform.study_full_code if lack == NoRoom.FULL and external_id else ""
    context = {
        "reason": lack.words,
        "look_again_seconds": LOOK_AGAIN_SECONDS,
        "external_id": external_id,
        "completion_code": code,
        "leaving_address": manifest.platform.leaving_address(code),
    }
    return render(request, f"web/annotator/{lack}.html", context, status=status)


def _joined(request: HttpRequest, annotator: Annotator) -> HttpResponse:
    response = redirect("visit", annotator.token)
    response.set_signed_cookie(
        DEVICE_COOKIE,
        annotator.token,
        salt=DEVICE_COOKIE,
        max_age=DEVICE_COOKIE_SECONDS,
        path=request.path,  # the cookie is sent to this open link only
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def _annotator_of_device(request: HttpRequest, study: Study) -> Annotator | None:
    token = request.get_signed_cookie(DEVICE_COOKIE, default="", salt=DEVICE_COOKIE)
    return Annotator.objects.filter(token=token, study=study).first() if token else None
