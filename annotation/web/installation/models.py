"""The page of the models: what each one is, who uses it, and what a worker found; check it, make one image of it."""

from base64 import b64decode
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from annotation.studies.installation.registry import (
    USUAL_PROMPT,
    described,
    registered,
    request_check,
    request_trial,
)
from annotation.studies.study_file.registered import names_for_files
from annotation.web.access.guard import researcher_page
from annotation.web.installation.numbers import bytes_in_words
from generation.models import DiffusionModel, ModelTrial
from generation.sampling.trials import outcome_of
from jobs.refusals import Refused

PER_PAGE = 30


@require_safe
@researcher_page
def page(request: HttpRequest) -> HttpResponse:
    """Show the models by name."""
    words = request.GET.get("words", "").strip()[:200]
    shown = Paginator(registered(words), PER_PAGE).get_page(request.GET.get("page"))
    rows = described(list(shown.object_list))
    context: dict[str, Any] = {
        "tab": "models",
        "now": timezone.now(),
        "page": shown,
        "rows": [(one, bytes_in_words(one.inspection.byte_count) if one.inspection else "") for one in rows],
        "words": words,
        "prompt": USUAL_PROMPT,
        "has_models": bool(rows) or bool(words),
        "is_busy": any(one.is_busy for one in rows),
        "nameable": names_for_files(),
        "own_file": settings.OWN_METRICS_FILE,
    }
    return render(request, "web/installation/models.html", context)


@require_POST
@researcher_page
def check(request: HttpRequest, model_id: int) -> HttpResponse:
    """Let a worker check the model's files."""
    model, actor = get_object_or_404(DiffusionModel, pk=model_id), cast(User, request.user)
    try:
        request_check(model=model, actor=actor)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"A worker will check the files of {model}. This page shows the result.")
    return _back(model)


@require_POST
@researcher_page
def try_one(request: HttpRequest, model_id: int) -> HttpResponse:
    """Let a worker make one image of the model."""
    model, actor = get_object_or_404(DiffusionModel, pk=model_id), cast(User, request.user)
    try:
        request_trial(model=model, prompt=request.POST.get("prompt", ""), actor=actor)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"A worker will make one image of {model}, in no study. This page shows it.")
    return _back(model)


def _back(model: DiffusionModel) -> HttpResponse:
    return redirect(f"{reverse('installation-models')}?words={model.name}#model-{model.pk}")


@require_safe
@researcher_page
def picture(_request: HttpRequest, trial_id: int) -> HttpResponse:
    """Serve the picture of a trial."""
    outcome = outcome_of(get_object_or_404(ModelTrial, pk=trial_id))
    if outcome is None or not outcome.picture:
        raise Http404
    response = HttpResponse(b64decode(outcome.picture), content_type="image/webp")
    response["X-Content-Type-Options"] = "nosniff"
    return response


urlpatterns: list[URLPattern] = [
    path("installation/models/", page, name="installation-models"),
    path("installation/models/<int:model_id>/check/", check, name="check-model"),
    path("installation/models/<int:model_id>/try/", try_one, name="try-model"),
    path("installation/models/trials/<int:trial_id>.webp", picture, name="trial-picture"),
]
