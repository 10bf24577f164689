"""The page that plans a study: a form, the answer in sentences and tables, and its curves as an SVG file."""

from dataclasses import fields
from functools import lru_cache
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_safe

from annotation.models import Annotator
from annotation.reports.pilot.words import hours_in_words
from annotation.reports.plan import caption, exact_sentences, headline, plan_figure, sentences, short_caption, tables
from annotation.studies.planning.costs import SECONDS_PER_VOTE, median_response
from annotation.studies.planning.design import design_of_study
from annotation.studies.planning.question import (
    CHOICES,
    MEANING,
    MOST_PROMPTS,
    Assumptions,
    Chance,
    Design,
    Goal,
    Question,
    ask,
    refuse_impossible,
)
from annotation.studies.planning.sample_size import StudyPlan, affordable_prompts, plan_study
from annotation.studies.sharing import visible_studies
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.results.drawings import drawing, draws_alone, is_for_a_dark_page, svg_response
from jobs.refusals import Refused

SIMULATIONS = 200  # half of the command's, because a person waits for the page
# A point of a curve may draw so many numbers, all at once or annotator by annotator, because the page takes one of the
# voters' threads: half a second in all.
MOST_NUMBERS, MOST_NUMBERS_BY_TURNS = 200_000, 1_500_000
CURVE_SIZE, CURVES_SIZE = (560, 360), (560, 960)  # CSS px, of the first curve alone and of all
QUESTIONS = ("agreement", "baseline", "person", "overlap")  # the others are under "Assumptions"
LABELS = {
    "overlap": "Votes for each comparison",
    "person": "Votes that go to the winner",
    "unevenness": "Unequal clarity of the comparisons",
    "flips": "Winners that fresh seeds would change",
    "allocation": "Given out first",
    "early_stopping": "Early stopping",
    "are_uncertain_pairs_first": "Uncertain pairs of models first",
    "cluster_size": "Size of clusters",
    "cluster_correlation": "Correlation within clusters",
    "tie_share": "Votes that are ties",
    "dropout": "Annotators who leave early",
    "learning": "Learning over a session",
    "endpoint": "Ties",
    "level": "Level of intervals",
    "agreement": "Agreement of the metric",
    "power": "Power wanted",
    "width": "Width of the interval wanted",
}


class PlanForm(forms.Form):
    """Every number of a question; `plan_study` refuses values outside their limits."""

    def __init__(self, *args: Any, design: Design | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for part in (design or Design(), Assumptions(), Goal(), Chance(simulations=SIMULATIONS)):
            for field in fields(part):
                self.fields[field.name] = _field(field.name, getattr(part, field.name))

    def questions(self) -> list[forms.BoundField]:
        """Return the fields that stand first."""
        return [self[name] for name in QUESTIONS]

    def others(self) -> list[forms.BoundField]:
        """Return the other fields."""
        return [one for one in self if one.name not in QUESTIONS]

    def has_other_faults(self) -> bool:
        """Return whether one of the other fields has a fault, so that they must be in sight."""
        return not self.errors.keys() <= {*QUESTIONS}

    def question(self) -> Question:
        """Return the question; an empty field has the value of the default design."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        return ask(Design(), **given)


def _field(name: str, default: Any) -> forms.Field:
    about: dict[str, Any] = {
        "label": LABELS.get(name, name.replace("_", " ").capitalize()),
        "help_text": MEANING[name].replace("_", " "),
        "initial": default,
        "required": bool(default),  # a field whose default is zero or empty may stay empty
    }
    if isinstance(default, bool):
        return forms.BooleanField(**about | {"required": False})
    if isinstance(default, str):
        return forms.ChoiceField(choices=[(value, value.replace("_", " ")) for value in CHOICES[name]], **about)
    if isinstance(default, float):
        return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **about)
    return forms.IntegerField(**about)


@require_safe
@researcher_page
def plan_page(request: HttpRequest) -> HttpResponse:
    """Show the form and, after it is sent, the answer. A question without an answer is refused beside the form."""
    if slug := request.GET.get("study", ""):  # a form filled with the study's design
        design = design_of_study(get_object_or_404(visible_studies(request.user), slug=slug))
        return render(request, "web/researcher/plan.html", {"form": PlanForm(design=design)})
    form = _asked(request) if request.GET else PlanForm()
    context: dict[str, Any] = {"form": form}
    if not request.GET:
        return render(request, "web/researcher/plan.html", context)
    if not form.is_valid():
        return render(request, "web/researcher/plan.html", context, status=400)
    try:
        plan = _plan(form.question())
    except Refused as refused:
        return render(request, "web/researcher/plan.html", context | {"refusal": str(refused)}, status=400)
    curves = f"{reverse('plan-curves')}?{request.GET.urlencode()}"
    context |= {
        "headline": headline(plan),
        "time": _time(plan),
        "curve": drawing(f"{curves}&curve=first", alt="The chance by the number of prompts", size=CURVE_SIZE),
        "short_caption": short_caption(plan),
        "sentences": sentences(plan),
        "exact_sentences": exact_sentences(plan),
        "tables": tables(plan),
        "curves": drawing(curves, alt="The curves of the tables below", size=CURVES_SIZE),
        "caption": caption(plan),
    }
    return render(request, "web/researcher/plan.html", context)


@require_safe
@researcher_page
@draws_alone
def plan_curves(request: HttpRequest) -> HttpResponse:
    """Serve the curves of a question as an SVG file; 404 if the question has no answer."""
    form = _asked(request)
    try:
        if not form.is_valid():
            raise Http404
        plan, has_all = _plan(form.question()), request.GET.get("curve") != "first"
        svg = plan_figure(plan, is_dark=is_for_a_dark_page(request), has_all=has_all)
        return svg_response(svg)
    except Refused as refused:
        raise Http404(str(refused)) from refused


def _time(plan: StudyPlan) -> str:
    """Return how long people vote in the recommended study; empty if there is none."""
    if plan.recommended is None:
        return ""
    measured = median_response(Annotator.objects.all())
    seconds = measured or SECONDS_PER_VOTE
    hours = plan.recommended.point.x * plan.recommended.overlap * seconds / 3600
    basis = "as votes took here so far" if measured else "assumed"
    return f"About {hours_in_words(hours)} of voting in all, at {seconds:.0f} s a vote, {basis}."


def _asked(request: HttpRequest) -> PlanForm:
    """Return the form that was sent. A field that the address does not name has its default: it is an older address."""
    given = request.GET.copy()
    for name, field in PlanForm().fields.items():
        if field.required and name not in given:
            given[name] = field.initial
    return PlanForm(given)


@lru_cache(maxsize=32)
def _plan(question: Question) -> StudyPlan:
    """Compute the plan once for the page and its drawing. Raise Refused if it takes longer than a page may."""
    refuse_impossible(question)
    numbers = MOST_NUMBERS if question.collects_alike else MOST_NUMBERS_BY_TURNS
    most = affordable_prompts(question, most=MOST_PROMPTS, numbers=numbers)
    return plan_study(question, most_prompts=most)


urlpatterns: list[URLPattern] = [
    path("studies/plan/", plan_page, name="plan"),
    path("studies/plan/curves.svg", plan_curves, name="plan-curves"),
]
