"""The page of the workers: what runs, on which card, and the cards that take no more jobs."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from annotation.studies.audit import record
from annotation.studies.lifecycle.watching import workers
from annotation.studies.lifecycle.workers import BY_QUEUE, served
from annotation.web.access.guard import researcher_page
from generation.machines.card_failures import readmit, refused_cards
from generation.models import FileFetch
from jobs.refusals import Refused

MOST_FETCHES = 20


@require_safe
@researcher_page
def page(request: HttpRequest) -> HttpResponse:
    """Show the workers that were seen lately, refused cards, and the files that hosts fetch."""
    queues = served()
    context: dict[str, Any] = {
        "tab": "workers",
        "now": timezone.now(),
        "workers": workers(),
        "refused": list(refused_cards().prefetch_related("failures")),
        "missing": [sentence for queue, sentence in BY_QUEUE.items() if queue not in queues and queue != "endpoints"],
        "fetches": FileFetch.objects.order_by("-seen_at")[:MOST_FETCHES],
    }
    return render(request, "web/installation/workers.html", context)


@require_POST
@researcher_page
def readmit_card(request: HttpRequest) -> HttpResponse:
    """Let a refused card take jobs again."""
    try:
        card = readmit(request.POST.get("card", "")[:300])
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        record("card readmitted", actor=cast(User, request.user), card=str(card))
        messages.success(request, f"{card} ({card.name}) takes jobs again; its failures are forgotten.")
    return redirect("installation-workers")


urlpatterns: list[URLPattern] = [
    path("installation/workers/", page, name="installation-workers"),
    path("installation/workers/readmit/", readmit_card, name="readmit-card"),
]
