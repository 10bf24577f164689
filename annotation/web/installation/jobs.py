"""The page of the jobs of every kind, with retry, give up and cancel; and the page of workers and refused cards."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from annotation.studies.audit import record
from annotation.studies.installation import job_list
from annotation.studies.installation.job_list import BY_NAME, FIRST_ROWS, KINDS, Kind, State
from annotation.studies.lifecycle.watching import workers
from annotation.studies.lifecycle.workers import BY_QUEUE, served
from annotation.web.access.guard import researcher_page
from annotation.web.installation.numbers import number_in
from generation.machines.card_failures import readmit, refused_cards
from generation.models import FileFetch
from jobs.refusals import Refused
from jobs.wording import counted

PER_PAGE = 50
STATES = (State.FAILED, State.RUNNING, State.QUEUED, State.DONE, State.CANCELLED)
MOST_FETCHES = 20


class Verb(NamedTuple):
    """An action that an admin may take. states: of the jobs that offer it."""

    label: str
    states: tuple[str, ...]
    carry_out: Callable[..., int]
    done: str


VERBS = {
    "retry": Verb("Retry", (State.FAILED,), job_list.retry, "queued again"),
    "give-up": Verb("Give up", (State.FAILED,), job_list.give_up, "given up"),
    "cancel": Verb("Cancel", (State.QUEUED, State.RUNNING), job_list.cancel, "cancelled"),
}


@require_safe
@researcher_page
def page(request: HttpRequest) -> HttpResponse:
    """Show the jobs of a state: some of each kind, or all of one kind in pages."""
    counts = job_list.counts()
    totals = {state: sum(counts.get((kind.name, state), 0) for kind in KINDS) for state in STATES}
    asked = request.GET.get("state", "")
    usual = next((state for state in STATES if totals[state]), State.FAILED)
    state = State(asked) if asked in totals else usual
    kind = BY_NAME.get(request.GET.get("kind", ""))
    context: dict[str, Any] = {
        "tab": "jobs",
        "now": timezone.now(),
        "state": state,
        "kind": kind,
        "states": [(one, totals[one]) for one in STATES],
        "kinds": [(one, counts.get((one.name, state), 0)) for one in KINDS if counts.get((one.name, state))],
        "total": totals[state],
        "verbs": verbs_of(kind, state),
        "has_jobs": any(totals.values()),
    }
    return render(request, "web/installation/jobs.html", context | _rows(request, kind, state, counts))


def verbs_of(kind: Kind | None, state: str) -> list[tuple[str, Verb]]:
    """Return what may be done with jobs of this state; None for the kind: with those of any kind."""
    return [
        (name, verb)
        for name, verb in VERBS.items()
        if state in verb.states and (name != "cancel" or kind is None or kind.may_cancel)
    ]


def _rows(request: HttpRequest, kind: Kind | None, state: str, counts: job_list.Counts) -> dict[str, Any]:
    if kind is not None:
        after = _place(request.GET.get("after", ""))
        jobs, following = job_list.page_after(kind, state, after, PER_PAGE)
        places = {"is_first": after is None, "following": "-".join(map(str, following)) if following else ""}
        return places | {"rows": job_list.described((kind, job) for job in jobs)}
    found = [
        (one, job)
        for one in KINDS
        if counts.get((one.name, state))
        for job in job_list.rows_of(one, state)[:FIRST_ROWS]
    ]
    return {"rows": job_list.described(found)}


def _place(text: str) -> job_list.Place | None:
    """Return the place in the list that an address names; None, the beginning, for anything else."""
    priority, separator, pk = text.partition("-")
    return (number_in(priority), number_in(pk)) if separator else None


@require_POST
@researcher_page
def act(request: HttpRequest) -> HttpResponse:
    """Do something with one job, or with all of a kind and state; images that cost money ask first."""
    kind, name = BY_NAME.get(request.POST.get("kind", "")), request.POST.get("verb", "")
    job = request.POST.get("job", "")
    if kind is None or name not in VERBS or not job:
        messages.error(request, "Nothing was done: there is no such job. Load the page again.")
        return redirect("installation-jobs")
    ids, verb, actor = None if job == "all" else [number_in(job)], VERBS[name], cast(User, request.user)
    if name == "retry" and "paid" not in request.POST and (price := job_list.price_of_retrying(kind, ids)):
        context = {"tab": "jobs", "kind": kind, "job": job, "price": price}
        return render(request, "web/installation/retry_and_pay.html", context)
    try:
        count = verb.carry_out(kind, ids, actor=actor)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        said = f"{counted(count, 'job')} {verb.done}." if count else "Nothing was done: the job has changed meanwhile."
        messages.success(request, said)
    query = urlencode({"state": verb.states[0], "kind": kind.name})
    return redirect(f"{reverse('installation-jobs')}?{query}" if job == "all" else reverse("installation-jobs"))


# --- workers ------------------------------------------------------------------------------------
@require_safe
@researcher_page
def workers_page(request: HttpRequest) -> HttpResponse:
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
    path("installation/jobs/", page, name="installation-jobs"),
    path("installation/jobs/do/", act, name="job-action"),
    path("installation/workers/", workers_page, name="installation-workers"),
    path("installation/workers/readmit/", readmit_card, name="readmit-card"),
]
