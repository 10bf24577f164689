"""The researcher's buttons: carry a verb out and say what came of it."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from annotation.models import Study
from annotation.studies.lifecycle.actions import ACTIONS
from annotation.web.access.staff import staff_page
from jobs.refusals import Refused


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def act(request: HttpRequest, slug: str, verb: str) -> HttpResponse:
    """Carry a verb out and say what came of it. One that asks first needs the answer that its page sends along."""
    study = get_object_or_404(Study, slug=slug)
    if verb not in ACTIONS:
        raise Http404
    chosen = ACTIONS[verb]
    if request.method != "POST" or (chosen.question and "confirmed" not in request.POST):
        return render(request, "web/researcher/confirm.html", {"study": study, "verb": chosen})
    try:
        chosen.carry_out(study=study, actor=cast(User, request.user))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, str(chosen.done))
    return redirect("study", study.slug)
