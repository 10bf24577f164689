"""The page of a study's pilots: make one, and follow them; of a pilot itself, what it says about its study."""

from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods

from annotation.models import ReportFileJob, ReportJob, Study
from annotation.models.report_job import WatchedJob
from annotation.reports.pilot.result import PilotResult
from annotation.reports.pilot.words import answer, assumptions, facts, plan_sentence
from annotation.reports.report_jobs.report_jobs import requested_result
from annotation.reports.report_jobs.watched_jobs import retry
from annotation.studies.current import current_manifest
from annotation.studies.pilot.drawing import LEAST_PROMPTS, MOST_OVERLAP, usual_prompts
from annotation.studies.pilot.making import make_pilot, may_have_pilot
from annotation.studies.sharing import visible_studies
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.refused_fields import add_refusal
from jobs.refusals import Refused

PROMPTS = "Drawn at random. They leave the study for good, so that nobody in it has seen them."
OVERLAP = "As in the study, so that the pilot says how well so many votes find the winner."
AGREEMENT = "How often you expect the metric to name people's winner. An assumption: a pilot is too small to tell."
BASELINE = "How often you expect that always naming one model is right."
SHARE = forms.NumberInput(attrs={"step": "0.01"})


class PilotForm(forms.Form):
    """The size of a new pilot."""

    prompts = forms.IntegerField(label="Prompts of the pilot", min_value=LEAST_PROMPTS, help_text=PROMPTS)
    overlap = forms.IntegerField(
        label="Votes for each comparison", min_value=1, max_value=MOST_OVERLAP, help_text=OVERLAP
    )


class AssumedForm(forms.Form):
    """The assumptions of the sample size about the metric."""

    agreement = forms.FloatField(
        label="Agreement of the metric", min_value=0.5, max_value=1, help_text=AGREEMENT, widget=SHARE
    )
    baseline = forms.FloatField(
        label="Always naming one model", min_value=0.5, max_value=1, help_text=BASELINE, widget=SHARE
    )


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def pilot_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a study's pilots and the form that makes one, or of a pilot its result. By POST, make a pilot."""
    study = get_object_or_404(Study.objects.select_related("pilot_of"), slug=slug)
    if study.pilot_of is not None:
        return _again(request, study) if request.method == "POST" else _result_page(request, study)
    if request.method == "POST":
        return _made(request, study)
    return _pilots_page(request, study, _new_form(study))


def _new_form(study: Study) -> PilotForm:
    manifest = current_manifest(study)
    return PilotForm(initial={"prompts": usual_prompts(manifest), "overlap": manifest.annotation.overlap})


def _pilots_page(request: HttpRequest, study: Study, form: PilotForm, status: int = 200) -> HttpResponse:
    own = visible_studies(cast(User, request.user))
    context = {
        "study": study,
        "tab": "pilot",
        "form": form if may_have_pilot(study) else None,
        "pilots": own.filter(pilot_of=study).order_by("-pk"),
        "prompt_count": (prompt_count := len(current_manifest(study).prompts)),
        "is_too_small": prompt_count < 2 * LEAST_PROMPTS,
    }
    return render(request, "web/researcher/pilots.html", context, status=status)


def _made(request: HttpRequest, study: Study) -> HttpResponse:
    form = PilotForm(request.POST)
    if form.is_valid():
        try:
            pilot = make_pilot(study=study, actor=cast(User, request.user), **form.cleaned_data)
        except Refused as refusal:
            add_refusal(form, str(refusal))
        else:
            messages.success(
                request, f"The pilot is made, and its prompts have left {study}. Launch it, as any other study."
            )
            return redirect("study", pilot.slug)
    return _pilots_page(request, study, form, status=400)


def _result_page(request: HttpRequest, pilot: Study) -> HttpResponse:
    form = AssumedForm(request.GET) if request.GET else None
    given = form.cleaned_data if form and form.is_valid() else {}
    context: dict[str, Any] = {"study": pilot, "tab": "pilot", "main": pilot.pilot_of}
    try:
        result = requested_result(pilot, **given)
    except Refused as refusal:
        context |= {"refusal": str(refusal), "form": form}
        return render(request, "web/researcher/pilot_result.html", context, status=409)
    if isinstance(result, WatchedJob):
        return _wait(request, result, pilot)
    context |= {
        "answer": answer(result),
        "facts": list(facts(result)),
        "plans": [(plan, plan_sentence(plan)) for plan in result.plans],
        "assumptions": assumptions(result) if result.plans else (),
        "form": form or AssumedForm(initial={"agreement": result.agreement, "baseline": result.baseline}),
        "planning": _planning_address(pilot, result),
    }
    status = 400 if form and form.errors else 200
    return render(request, "web/researcher/pilot_result.html", context, status=status)


def _wait(request: HttpRequest, job: ReportJob | ReportFileJob, pilot: Study) -> HttpResponse:
    """Return the page that waits for the report or for the plans made from it, and shows the result then."""
    file = job.name if isinstance(job, ReportFileJob) else ""
    context = {
        "job": job,
        "study": pilot,
        "tab": "pilot",
        "label": "The sample size" if file else "The report of the pilot",
        "address": request.get_full_path(),
        "progress": reverse(
            "report-file-progress" if file else "report-progress", args=[pilot.slug, *([file] if file else [])]
        ),
        "again": request.get_full_path(),
    }
    status = 202 if job.is_waiting else 500
    return render(request, "reports/report_progress.html", context, status=status)


def _again(request: HttpRequest, pilot: Study) -> HttpResponse:
    """Make again what the page waits for, if it failed."""
    form = AssumedForm(request.GET)
    try:
        result = requested_result(pilot, **(form.cleaned_data if form.is_valid() else {}))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        if isinstance(result, WatchedJob) and not result.is_waiting:
            retry(result)
    return redirect(request.get_full_path())


def _planning_address(pilot: Study, result: PilotResult) -> str:
    """Return the address of the planning page with the values of the safe plan; empty without one."""
    safe = next((plan for plan in result.plans if plan.person is not None), None)
    if safe is None:
        return ""
    values = {"agreement": result.agreement, "baseline": result.baseline, "person": f"{safe.person:.3f}"}
    values |= {"overlap": safe.overlap, "prompts": safe.comparisons or len(current_manifest(pilot).prompts)}
    return f"{reverse('plan')}?{urlencode(values)}"


urlpatterns: list[URLPattern] = [path("studies/<slug:slug>/pilot/", pilot_page, name="study-pilot")]
