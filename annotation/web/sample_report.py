"""The sample report: that of the demonstration's simulated study, for visitors who have no study yet."""

from functools import lru_cache

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from annotation.reports.figures.draw import draw
from annotation.reports.figures.svg import as_file
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.document import from_json
from annotation.reports.formats.html import page_context
from annotation.reports.printing.blocks import Figure, FigureName
from annotation.reports.sections.contents import is_figure
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.results.drawings import drawing, draws_alone, is_for_a_dark_page, svg_response
from annotation.web.researcher.results.report_body import report_body

# Made by `manage.py demo --no-serve --images 8` as var/demo/report.json. Every version opens reports of earlier ones.
FILE = "docs/samples/demo-report.json"


@require_safe
@researcher_page
def sample_report(request: HttpRequest) -> HttpResponse:
    """Show the report of the demonstration, which says that its votes are simulated."""
    body = report_body(FILE, lambda: page_context(_report(), drawing=_address))
    return render(request, "web/sample_report.html", {"report": _report(), "body": body})


def _address(figure: Figure) -> SafeString:
    return drawing(reverse("sample-figure", args=[figure.name]), alt=f"{figure.title}: {figure.words}")


@require_safe
@researcher_page
@draws_alone  # type: ignore[arg-type]
def sample_figure(request: HttpRequest, name: str) -> HttpResponse:
    """Serve a figure of the sample report as an SVG file."""
    if not is_figure(name, _report()):
        raise Http404
    return svg_response(_drawn(name, is_dark=is_for_a_dark_page(request)))


@lru_cache(maxsize=1)
def _report() -> AgreementReport:
    return from_json((settings.BASE_DIR / FILE).read_text(encoding="utf-8"))


@lru_cache(maxsize=64)  # twice the figures of a report: anybody may ask for them, and drawing one is slow
def _drawn(name: FigureName, *, is_dark: bool) -> str:
    return as_file(draw(_report(), name), is_dark=is_dark)


urlpatterns: list[URLPattern] = [
    path("sample-report/", sample_report, name="sample-report"),
    path("sample-report/<slug:name>.svg", sample_figure, name="sample-figure"),
]
