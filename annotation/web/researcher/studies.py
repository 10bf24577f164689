"""The researcher's pages: the list of studies, and a study with its progress. Counts only: nothing here is sealed."""

import csv
from typing import Any

from django.contrib import messages
from django.db.models import Count, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from annotation.models import Annotator, Answer, Assignment, Comparison, Study
from annotation.reports.data.gathering import is_sealed
from annotation.reports.data.pseudonyms import pseudonyms
from annotation.studies.current import current_manifest
from annotation.studies.imports.imported_images import imported_images
from annotation.studies.lifecycle.actions import actions_for
from annotation.studies.lifecycle.progress import progress
from annotation.studies.lifecycle.quality_watch import alarming, rule_counts
from annotation.studies.lifecycle.workers import missing_worker, served
from annotation.studies.study_file.writing import write_study_file
from annotation.studies.validation.image_warnings import image_warnings
from annotation.voting.annotators import PEOPLE, free_leases, free_leases_of, invite
from annotation.voting.image_reports import reports_of
from annotation.web.access.staff import CHANGE, staff_page
from annotation.web.annotator import markdown
from annotation.web.researcher.forms import InvitationForm, ReturnedForm
from annotation.web.researcher.reported import waiting_count
from generation.tables.formulas import cell, marked

MOST_ANNOTATORS_LISTED = 200


def _count_of(state: Assignment.State, **more: str) -> Coalesce:
    """An annotator's assignments in a state, read from the index for those that are listed alone."""
    own = Assignment.objects.filter(annotator=OuterRef("pk"), state=state, **more).order_by().values("annotator")
    return Coalesce(Subquery(own.annotate(count=Count("pk")).values("count")), 0)


@require_safe
@staff_page
def studies(request: HttpRequest) -> HttpResponse:
    """All studies, the newest first; without any, what to do first."""
    # A subquery, since grouping all studies by their comparisons costs their order and sorts whole rows.
    own = Comparison.objects.filter(study=OuterRef("pk")).order_by().values("study")
    vote_count = Coalesce(Subquery(own.annotate(total=Sum("vote_count")).values("total")), 0)
    rows = Study.objects.select_related("model_a", "model_b").annotate(vote_count=vote_count)
    rows = rows.order_by("-created_at", "-pk")
    return render(request, "web/researcher/studies.html", {"studies": rows})


@require_safe
@staff_page
def study(request: HttpRequest, slug: str) -> HttpResponse:
    """One study: where it stands, what can be done, who is invited."""
    found = get_object_or_404(Study.objects.select_related("model_a", "model_b"), slug=slug)
    return render(request, "web/researcher/study.html", _study_context(request, found))


def _study_context(request: HttpRequest, study: Study, form: InvitationForm | None = None) -> dict[str, Any]:
    """What the study's page shows, with the invitation form as it was sent where it had faults."""
    people = study.annotators.filter(kind__in=PEOPLE)
    listed = people.annotate(
        # A main assignment that is answered in time has exactly one vote that stands.
        vote_count=_count_of(Assignment.State.VOTED, kind=Assignment.Kind.MAIN),
        held_count=_count_of(Assignment.State.LEASED, kind=Assignment.Kind.MAIN),
    )
    manifest, counts, rules = current_manifest(study), progress(study), rule_counts(study)
    may_change = request.user.has_perm(CHANGE)
    return {
        "study": study,
        "manifest": manifest,
        "is_sealed": is_sealed(study, manifest=manifest),
        "progress": counts,
        "image_warnings": image_warnings(study),
        "imported": imported_images(study),
        "missing_worker": markdown.render_line(missing_worker(study, served(timezone.now()))),
        "rule_counts": rules,
        "alarms": alarming(study, rules),
        "verbs": actions_for(study),
        "may_change": may_change,
        "open_link": request.build_absolute_uri(reverse("join", args=[study.open_link_token])) if may_change else "",
        "people": [
            (one, one.situation(is_over=study.is_over, has_voted=one.vote_count > 0))
            for one in listed[:MOST_ANNOTATORS_LISTED]
        ],
        "people_count": people.count(),
        "has_reports": reports_of(study.pk).exists(),
        "parked_count": waiting_count(study),
        "has_answers": Answer.objects.filter(annotator__study=study).exists(),
        "simulated_count": counts.simulated_annotator_count,
        "invitation_form": form or InvitationForm(),
        "returned_form": ReturnedForm() if current_manifest(study).platform.id_parameter else None,
        "site": request.build_absolute_uri("/").rstrip("/"),
    }


@require_safe
@staff_page
def study_file(_request: HttpRequest, slug: str) -> HttpResponse:
    """The study as a file that `create_study` reads."""
    found = get_object_or_404(Study, slug=slug)
    response = HttpResponse(write_study_file(current_manifest(found)), content_type="application/toml; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{found.slug}.toml"'
    return response


@require_POST
@staff_page
def make_invitations(request: HttpRequest, slug: str) -> HttpResponse:
    """Make personal links."""
    study = get_object_or_404(Study, slug=slug)
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return render(request, "web/researcher/study.html", _study_context(request, study, form), status=400)
    labels = form.labels_for(study)
    for label in labels:
        invite(study=study, label=label)
    said = ngettext("%(n)s personal link was made.", "%(n)s personal links were made.", len(labels))
    messages.success(request, said % {"n": len(labels)})
    return redirect(f"{reverse('study', args=[study.slug])}#invitations")


@require_safe
@staff_page
def invitations_file(request: HttpRequest, slug: str) -> HttpResponse:
    """Every personal link as CSV: label, link."""
    study = get_object_or_404(Study, slug=slug)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-invitations.csv"'
    writer = csv.writer(response)
    writer.writerow(["label", "link"])
    for annotator in study.annotators.filter(kind=Annotator.Kind.PERSONAL):
        link = request.build_absolute_uri(reverse("visit", args=[annotator.token]))
        writer.writerow([marked(annotator.label), link])
    return response


@require_POST
@staff_page
def free(request: HttpRequest, slug: str, annotator_id: int) -> HttpResponse:
    """Give back what an annotator holds who will not come back: it is given out to others at once."""
    annotator = get_object_or_404(Annotator, pk=annotator_id, study__slug=slug)
    count = free_leases(annotator=annotator, now=timezone.now())
    said = ngettext("%(n)s comparison was given back.", "%(n)s comparisons were given back.", count)
    messages.success(request, said % {"n": count})
    return redirect(f"{reverse('study', args=[slug])}#invitations")


@require_POST
@staff_page
def free_returned(request: HttpRequest, slug: str) -> HttpResponse:
    """Give back what people hold who returned their place on the platform, or timed out there."""
    found, form = get_object_or_404(Study, slug=slug), ReturnedForm(request.POST)
    if form.is_valid():
        count, unknown = free_leases_of(study=found, external_ids=form.cleaned_data["ids"], now=timezone.now())
        said = ngettext("%(n)s comparison was given back.", "%(n)s comparisons were given back.", count)
        messages.success(request, said % {"n": count})
        if unknown:
            messages.warning(request, f"Nobody in this study has the id {', '.join(unknown)}.")
    else:
        messages.error(request, "Nothing was given back: the list of ids is empty.")
    return redirect(f"{reverse('study', args=[slug])}#invitations")


@require_safe
@staff_page
def answers_file(_request: HttpRequest, slug: str) -> HttpResponse:
    """What annotators answered around the comparisons, as CSV under the report's pseudonyms. Tries count from 1."""
    study = get_object_or_404(Study, slug=slug)
    names = pseudonyms(study)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-answers.csv"'
    writer = csv.writer(response)
    writer.writerow(["annotator", "page", "question", "try", "answer", "answered_at"])
    for row in Answer.objects.filter(annotator__study=study).order_by("annotator_id", "pk"):
        values = (names[row.annotator_id], row.page, row.name, row.occurrence + 1, row.value, row.answered_at)
        writer.writerow([cell(value) for value in values])
    return response
