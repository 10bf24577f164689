"""The report on the web, for staff: the page, its figures as files of their own, and a download in each format."""

from typing import Any
from urllib.parse import urlencode

from csp.constants import NONE, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from annotation.models import Study
from annotation.reports.agreement_report import AgreementReport
from annotation.reports.caching import cached_report
from annotation.reports.figures import draw
from annotation.reports.gathering import gather, metrics_of
from annotation.reports.html import figures_of, page_context
from annotation.reports.presentation import Figure
from annotation.reports.rendering import FORMATS
from annotation.reports.svg import as_file
from annotation.studies.current import current_manifest
from annotation.web.staff import staff_page
from generation.refusals import Refused


@require_safe
@staff_page
def report_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The report of a study; where it cannot be made, why, and the metrics to choose from."""
    study = get_object_or_404(Study, slug=slug)
    try:
        report = _report_of(study, request)
    except Refused as refused:
        context = {"study": study, "sentence": str(refused), "metrics": metrics_of(study), "page": "report"}
        return render(request, "reports/refused.html", context, status=409)

    def address(figure: Figure) -> SafeString:
        source = reverse("report-figure", args=[slug, figure.name]) + _query(request)
        return format_html('<img src="{}" alt="{}">', source, f"{figure.title}: {figure.words}")

    context = page_context(report, drawing=address)
    return render(request, "reports/page.html", context | {"formats": FORMATS, "query": _query(request)})


# A drawing styles itself and loads nothing. (csp_replace's types know no view with arguments.)
@require_safe
@staff_page
@csp_replace({"default-src": [NONE], "style-src": [UNSAFE_INLINE]})  # type: ignore[arg-type]
def report_figure(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """A figure as an SVG file; not found while the study is sealed or has nothing to draw."""
    report = _report_or_404(request, slug)
    if name not in {figure.name for figure in figures_of(report)}:
        raise Http404
    return HttpResponse(as_file(draw(report, name)), content_type="image/svg+xml")


@require_safe
@staff_page
def report_file(request: HttpRequest, slug: str, report_format: str) -> HttpResponse:
    """The report as a download."""
    if report_format not in FORMATS:
        raise Http404
    chosen = FORMATS[report_format]
    response = HttpResponse(chosen.render(_report_or_404(request, slug)), content_type=chosen.content_type)
    response["Content-Disposition"] = f'attachment; filename="{slug}-report.{chosen.suffix}"'
    return response


def _report_of(study: Study, request: HttpRequest) -> AgreementReport:
    metric = request.GET.get("metric", "")
    return cached_report(gather(study, manifest=current_manifest(study), metric=metric))


def _report_or_404(request: HttpRequest, slug: str) -> AgreementReport:
    """For what hangs on the page: the page itself says what is refused."""
    try:
        return _report_of(get_object_or_404(Study, slug=slug), request)
    except Refused as refused:
        raise Http404(str(refused)) from refused


def _query(request: HttpRequest) -> str:
    metric: Any = request.GET.get("metric")
    return f"?{urlencode({'metric': metric})}" if metric else ""


urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/report/", report_page, name="report"),
    path("studies/<slug:slug>/report/<slug:name>.svg", report_figure, name="report-figure"),
    path("studies/<slug:slug>/report/download/<slug:report_format>", report_file, name="report-file"),
]
