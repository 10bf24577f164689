"""The annotators of a study: what each one does, what they are owed, and the erasure of one of them."""

import csv
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.models import Annotator, Answer, Study
from annotation.reports.data.pseudonyms import names_for_staff, pseudonyms
from annotation.reports.report_jobs.retention import erase_annotator, erasure_effects
from annotation.studies.audit import record
from annotation.studies.current import current_manifest
from annotation.studies.people.annotator_rows import annotator_rows, with_counts
from annotation.studies.people.payment import MOST_PER_HOUR, PAYMENT_FIELDS, payments
from annotation.voting.annotators import free_leases
from annotation.web.access.guard import researcher_page
from generation.tables.formulas import cell
from jobs.refusals import Refused
from jobs.wording import counted

PER_PAGE = 50
USUAL_RATE = 12  # an hour, in the currency of the researcher


class RateForm(forms.Form):
    """The pay per hour of the payment export."""

    rate = forms.FloatField(
        label="Pay per hour",
        min_value=0,
        max_value=MOST_PER_HOUR,
        initial=USUAL_RATE,
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )


@require_safe
@researcher_page
def annotators(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the annotators in the order of their arrival."""
    study = get_object_or_404(Study, slug=slug)
    return render(request, "web/researcher/annotators.html", _context(request, study, RateForm()))


def _context(request: HttpRequest, study: Study, form: RateForm) -> dict[str, Any]:
    manifest = current_manifest(study)
    frame = manifest.frame
    page = Paginator(with_counts(study.annotators.order_by("pk")), PER_PAGE).get_page(request.GET.get("page"))
    shown, now = list(page.object_list), timezone.now()
    names = names_for_staff(study) if shown else {}  # after them, because an annotator may join in between
    return {
        "study": study,
        "tab": "annotators",
        "page": page,
        "rows": annotator_rows(study, manifest, shown, names, now),
        "now": now,
        "rate_form": form,
        "may_have_answers": bool(frame.questions or frame.check or frame.asks_comment),
    }


@require_safe
@researcher_page
def payment_file(request: HttpRequest, slug: str) -> HttpResponse:
    """Serve what each person is owed as CSV, at the rate per hour of the address."""
    study, form = get_object_or_404(Study, slug=slug), RateForm(request.GET)
    if not form.is_valid():
        return render(request, "web/researcher/annotators.html", _context(request, study, form), status=400)
    rate = form.cleaned_data["rate"]
    record("payment downloaded", study=study, actor=cast(User, request.user), fields=PAYMENT_FIELDS)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-payment.csv"'
    writer = csv.writer(response)
    writer.writerow(["annotator", "state", "votes", "minutes", "code", "rate_per_hour", "suggested_pay"])
    for one in payments(study, names_for_staff(study)):
        pay = f"{one.pay(rate):.2f}"
        writer.writerow([cell(one.name), one.state, one.vote_count, f"{one.minutes:.1f}", one.code, f"{rate:g}", pay])
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def erase(request: HttpRequest, slug: str, annotator_id: int) -> HttpResponse:
    """Show what the erasure of an annotator removes; by POST, erase them."""
    annotator = get_object_or_404(Annotator.objects.select_related("study"), pk=annotator_id, study__slug=slug)
    study = annotator.study
    name = names_for_staff(study)[annotator.pk]
    if request.method == "POST" and "confirmed" in request.POST:
        try:
            tombstone = erase_annotator(annotator=annotator, actor=cast(User, request.user))
        except Refused as refusal:
            messages.error(request, str(refusal))
        else:
            votes = counted(tombstone.withdrawn_vote_count, "vote")
            messages.success(request, f"The annotator is erased, with {votes}. Reports are made again without them.")
        return redirect("study-annotators", slug)
    context = {"study": study, "tab": "annotators", "annotator": annotator, "name": name}
    context["effects"] = erasure_effects(annotator)
    return render(request, "web/researcher/erase.html", context)


@require_POST
@researcher_page
def free(request: HttpRequest, slug: str, annotator_id: int) -> HttpResponse:
    """Release the comparisons of an annotator who will not come back, so that others get them at once."""
    annotator = get_object_or_404(Annotator, pk=annotator_id, study__slug=slug)
    count = free_leases(annotator=annotator, now=timezone.now())
    messages.success(request, f"{counted(count, 'comparison')} released.")
    return redirect("study-annotators", slug)


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
        if row.annotator_id not in names:  # they joined after the names were read
            continue
        values = (names[row.annotator_id], row.page, row.name, row.occurrence + 1, row.value, row.answered_at)
        writer.writerow([cell(value) for value in values])
    return response


urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/annotators/", annotators, name="study-annotators"),
    path("studies/<slug:slug>/payment.csv", payment_file, name="payment-file"),
    path("studies/<slug:slug>/answers.csv", answers_file, name="answers-file"),
    path("studies/<slug:slug>/annotators/<int:annotator_id>/free/", free, name="free-annotator"),
    path("studies/<slug:slug>/annotators/<int:annotator_id>/erase/", erase, name="erase-annotator"),
]
