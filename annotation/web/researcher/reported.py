"""Comparisons whose images annotators reported: the reports, the images, and the researcher's decision."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from annotation.models import Comparison, ImageReport, Study
from annotation.reports.data.pseudonyms import names_for_staff
from annotation.voting.image_reports import REPORTERS_THAT_PARK, give_out_again, set_aside
from annotation.web.access.guard import researcher_page
from generation.pictures import renditions
from jobs.refusals import Refused

DECISIONS: dict[str, tuple[Callable[..., None], str]] = {
    "give-out": (give_out_again, "Comparison {n} is assigned again."),
    "set-aside": (set_aside, "Comparison {n} is set aside: it is not assigned any more, and its votes stay."),
}


@dataclass(frozen=True, slots=True)
class Reported:
    """A comparison with its reports, the oldest first, and the names of the study's annotators by id."""

    comparison: Comparison
    reports: list[ImageReport]
    names: dict[int, str]

    @property
    def is_waiting(self) -> bool:
        """Return whether a report waits for a decision."""
        return any(report.settled_at is None for report in self.reports)

    @property
    def named(self) -> list[tuple[ImageReport, int, str]]:
        """Return each report with the number of its image and the name of its annotator."""
        numbers = {image: number for number, image in enumerate(self.images, start=1)}
        rows = [(report, self.names[report.assignment.annotator_id]) for report in self.reports]
        return [(report, numbers[report.image_id], name) for report, name in rows]

    @property
    def images(self) -> dict[int, ImageReport]:
        """Return one report for each image, by the image's id.

        They are shown with numbers: of imported sets the seeds may differ by model.
        """
        return {report.image_id: report for report in self.reports}

    @property
    def situation(self) -> str:
        """Return the state of the comparison as a sentence."""
        if self.comparison.study.is_over:
            return "Voting is over: it is not assigned any more."
        if self.comparison.parked_at is None:
            return f"Assigned until {REPORTERS_THAT_PARK} have reported it." if self.is_waiting else "Assigned."
        return "Set aside: not assigned until you decide." if self.is_waiting else "Set aside: not assigned."


def waiting_count(study: Study) -> int:
    """Return the number of comparisons that reports have set aside and that wait for a decision."""
    reports = ImageReport.of_study(study.pk).filter(settled_at=None)
    return _of_sets(study, reports.values("image__image_set")).filter(parked_at__isnull=False).distinct().count()


def _of_sets(study: Study, image_sets: Any) -> QuerySet[Comparison]:
    """Return the comparisons of these image sets. (A check may have shown an image in another comparison.)"""
    return study.comparisons.filter(Q(image_set_a__in=image_sets) | Q(image_set_b__in=image_sets))


def reported_comparisons(study: Study) -> list[Reported]:
    """Return every comparison that was reported or set aside; those that wait for the researcher come first."""
    rows = ImageReport.of_study(study.pk).order_by("reported_at", "pk")
    reports = defaultdict(list)
    for report in rows.select_related("assignment", "image"):
        reports[report.image.image_set_id].append(report)
    comparisons = _of_sets(study, list(reports)) | study.comparisons.filter(parked_at__isnull=False)
    names = names_for_staff(study)
    rows_of_page = [
        Reported(comparison, _in_time(reports[comparison.image_set_a_id] + reports[comparison.image_set_b_id]), names)
        for comparison in comparisons.select_related("prompt", "study")
    ]
    return sorted(rows_of_page, key=lambda one: (not one.is_waiting, one.comparison.parked_at is None))


def _in_time(reports: list[ImageReport]) -> list[ImageReport]:
    """Return the reports of both sets, the oldest first. The sets one after the other would tell the models apart."""
    return sorted(reports, key=lambda one: (one.reported_at, one.pk))


@require_safe
@researcher_page
def reported(request: HttpRequest, slug: str) -> HttpResponse:
    """Show every reported comparison of a study."""
    study = get_object_or_404(Study, slug=slug)
    context = {"study": study, "reported": reported_comparisons(study), "reporters_that_park": REPORTERS_THAT_PARK}
    context["tab"] = "images"
    return render(request, "web/researcher/reported.html", context)


@require_safe
@researcher_page
def reported_image(_request: HttpRequest, slug: str, report_id: int) -> HttpResponse:
    """Serve a reported image in the large rendition; 404 if its file is missing or damaged."""
    report = get_object_or_404(ImageReport, pk=report_id, assignment__comparison__study__slug=slug)
    try:
        return HttpResponse(renditions.read(report.image, "zoom"), content_type="image/webp")
    except Refused as refusal:
        raise Http404(str(refusal)) from None


@require_POST
@researcher_page
def decide(request: HttpRequest, slug: str, position: int, decision: str) -> HttpResponse:
    """Assign a reported comparison again, or set it aside."""
    if decision not in DECISIONS:
        raise Http404
    comparison = get_object_or_404(Comparison.objects.select_related("prompt"), study__slug=slug, position=position)
    carry_out, done = DECISIONS[decision]
    try:
        carry_out(comparison=comparison, actor=cast(User, request.user), now=timezone.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, done.format(n=position + 1))
    return redirect("reported", slug)


urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/reported/", reported, name="reported"),
    path("studies/<slug:slug>/reported/<int:report_id>.webp", reported_image, name="reported-image"),
    path("studies/<slug:slug>/reported/<int:position>/<slug:decision>/", decide, name="reported-decision"),
]
