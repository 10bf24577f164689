"""The researcher's pages: the list of studies, and a study with its progress. They show counts only, nothing sealed."""

import csv
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.models import Annotator, Answer, Assignment, Study
from annotation.reports.data.pseudonyms import names_for_staff, pseudonyms
from annotation.studies.audit import record
from annotation.studies.current import current_manifest
from annotation.studies.documents import COMPLETION_CODES
from annotation.studies.invitations import invite_all
from annotation.studies.lifecycle.actions import ACTIONS, actions_for, asked
from annotation.studies.sharing import Role
from annotation.studies.study_file.writing import write_study_file
from annotation.voting.annotators import PEOPLE, free_leases, free_leases_of
from annotation.web.access.guard import may, researcher_page
from annotation.web.researcher.forms import InvitationForm, ReturnedForm
from generation.tables.formulas import cell, marked
from jobs.refusals import Refused
from jobs.row_counts import count_of
from jobs.wording import counted

MOST_ANNOTATORS_LISTED = 200


def _count_of(state: Assignment.State, **more: str) -> Subquery:
    """Return the number of an annotator's assignments in a state, as a subquery: only listed annotators are counted."""
    return count_of(Assignment.objects.filter(state=state, **more), "annotator")


def invitations_context(request: HttpRequest, study: Study, form: InvitationForm | None = None) -> dict[str, Any]:
    """Return what the invitations show; `form` is an invitation form that was refused."""
    people = study.annotators.filter(kind__in=PEOPLE)
    listed = people.annotate(
        # A main assignment in the state VOTED has exactly one standing vote.
        vote_count=_count_of(Assignment.State.VOTED, kind=Assignment.Kind.MAIN),
        held_count=_count_of(Assignment.State.LEASED, kind=Assignment.Kind.MAIN),
    )
    may_change, shown = may(request, Role.EDITOR), list(listed[:MOST_ANNOTATORS_LISTED])
    names = names_for_staff(study)  # after them, because an annotator may join in between
    return {
        "open_link": request.build_absolute_uri(reverse("join", args=[study.open_link_token])) if may_change else "",
        "people": [
            (one, names[one.pk], one.situation(is_over=study.is_over, has_voted=one.vote_count > 0)) for one in shown
        ],
        "people_count": people.count(),
        "has_answers": Answer.objects.filter(annotator__study=study).exists(),
        "simulated_count": study.annotators.filter(kind=Annotator.Kind.SIMULATED).count(),
        "invitation_form": form or InvitationForm(),
        "returned_form": ReturnedForm() if current_manifest(study).platform.id_parameter else None,
        "site": request.build_absolute_uri("/").rstrip("/"),
    }


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def act(request: HttpRequest, slug: str, action: str) -> HttpResponse:
    """Run an action and show its outcome. An action with a question runs only after its page confirmed it."""
    study = get_object_or_404(Study, slug=slug)
    if action not in ACTIONS:
        raise Http404
    chosen = asked(ACTIONS[action], study)
    if request.method != "POST" or (chosen.question and "confirmed" not in request.POST):
        if chosen in actions_for(study):
            return render(request, "web/researcher/confirm.html", {"study": study, "action": chosen})
        messages.error(request, f"“{chosen.label}” does nothing now: {study} is {study.get_state_display().lower()}.")
        return redirect("study", study.slug)
    try:
        chosen.carry_out(study=study, actor=cast(User, request.user))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, str(chosen.done))
    return redirect("study", study.slug)


@require_safe
@researcher_page
def study_file(request: HttpRequest, slug: str) -> HttpResponse:
    """Serve the study as a file that `create_study` reads."""
    study = get_object_or_404(Study, slug=slug)
    manifest = current_manifest(study)
    if any(getattr(manifest.platform, code) for code in COMPLETION_CODES):
        record("completion codes downloaded", study=study, actor=cast(User, request.user))
    response = HttpResponse(write_study_file(manifest), content_type="application/toml; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slug}.toml"'
    return response


@require_POST
@researcher_page
def make_invitations(request: HttpRequest, slug: str) -> HttpResponse:
    """Create personal links."""
    study = get_object_or_404(Study, slug=slug)
    form = InvitationForm(request.POST)
    if not form.is_valid():
        context = {"study": study, "tab": "overview", **invitations_context(request, study, form)}
        return render(request, "web/researcher/invitations_page.html", context, status=400)
    labels, count = form.cleaned_data["labels"], form.cleaned_data["count"] or 0
    try:
        made = invite_all(study=study, labels=labels, count=count, actor=cast(User, request.user))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"{counted(len(made), 'personal link')} created.")
    return redirect(f"{reverse('study', args=[study.slug])}#invitations")


@require_safe
@researcher_page
def invitations_file(request: HttpRequest, slug: str) -> HttpResponse:
    """Serve every personal link as CSV: label, link."""
    study = get_object_or_404(Study, slug=slug)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-invitations.csv"'
    writer = csv.writer(response)
    writer.writerow(["label", "link"])
    record("links downloaded", study=study, actor=cast(User, request.user), fields=["label", "link"])
    for annotator in study.annotators.filter(kind=Annotator.Kind.PERSONAL):
        link = request.build_absolute_uri(reverse("visit", args=[annotator.token]))
        writer.writerow([marked(annotator.label), link])
    return response


@require_POST
@researcher_page
def free(request: HttpRequest, slug: str, annotator_id: int) -> HttpResponse:
    """Release what an annotator holds who will not come back: others can get it at once."""
    annotator = get_object_or_404(Annotator, pk=annotator_id, study__slug=slug)
    count = free_leases(annotator=annotator, now=timezone.now())
    messages.success(request, f"{counted(count, 'comparison')} released.")
    return redirect(f"{reverse('study', args=[slug])}#invitations")


@require_POST
@researcher_page
def free_returned(request: HttpRequest, slug: str) -> HttpResponse:
    """Release what annotators hold who returned the study on the platform, or timed out there."""
    study, form = get_object_or_404(Study, slug=slug), ReturnedForm(request.POST)
    if form.is_valid():
        count, unknown = free_leases_of(study=study, external_ids=form.cleaned_data["ids"], now=timezone.now())
        messages.success(request, f"{counted(count, 'comparison')} released.")
        if unknown:
            messages.warning(request, f"No annotator of this study has the id {', '.join(unknown)}.")
    else:
        messages.error(request, "Nothing was released: the list of ids is empty.")
    return redirect(f"{reverse('study', args=[slug])}#invitations")


@require_safe
@researcher_page
def answers_file(request: HttpRequest, slug: str) -> HttpResponse:
    """Serve the answers of annotators as CSV, under the report's pseudonyms. Tries count from 1."""
    study = get_object_or_404(Study, slug=slug)
    names = pseudonyms(study)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-answers.csv"'
    writer = csv.writer(response)
    writer.writerow(["annotator", "page", "question", "try", "answer", "answered_at"])
    record("answers downloaded", study=study, actor=cast(User, request.user), fields=["answer"])
    for row in Answer.objects.filter(annotator__study=study).order_by("annotator_id", "pk"):
        values = (names[row.annotator_id], row.page, row.name, row.occurrence + 1, row.value, row.answered_at)
        writer.writerow([cell(value) for value in values])
    return response
