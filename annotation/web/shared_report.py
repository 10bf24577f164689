"""The report of a closed study for a visitor with a link: the page and its figures, nothing else."""

from csp.constants import NONE, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from annotation.models import Study
from annotation.reports.figures.draw import draw
from annotation.reports.figures.svg import as_file
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.html import page_context
from annotation.reports.printing.blocks import Figure
from annotation.reports.report_jobs.report_jobs import finished_report, request_report
from annotation.reports.sections.contents import figures_of
from annotation.studies.sharing import study_of_report_link
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.results.drawings import drawing, is_for_a_dark_page
from jobs.refusals import Refused


@require_safe
@researcher_page
def shared_report(request: HttpRequest, token: str) -> HttpResponse:
    """Show the report, or a sentence that says when it will be here. 404 for a link that is revoked or unknown."""
    report, sentence = _report(token)
    if report is None:
        return render(request, "web/shared_report_later.html", {"sentence": sentence}, status=202)

    def address(figure: Figure) -> SafeString:
        return drawing(reverse("shared-figure", args=[token, figure.name]), alt=f"{figure.title}: {figure.words}")

    return render(request, "web/shared_report.html", page_context(report, drawing=address))


# A drawing styles itself and loads nothing. (csp_replace's types know no view with arguments.)
@require_safe
@researcher_page
@csp_replace({"default-src": [NONE], "style-src": [UNSAFE_INLINE]})  # type: ignore[arg-type]
def shared_figure(request: HttpRequest, token: str, name: str) -> HttpResponse:
    """Serve a figure of the report as an SVG file."""
    report, _ = _report(token)
    if report is None or name not in {figure.name for figure in figures_of(report)}:
        raise Http404
    return HttpResponse(as_file(draw(report, name), is_dark=is_for_a_dark_page(request)), content_type="image/svg+xml")


def _report(token: str) -> tuple[AgreementReport | None, str]:
    """Return the report behind a link, or None and the reason. Raises Http404 if the link leads nowhere."""
    study = study_of_report_link(token)
    if study is None:
        raise Http404
    if study.state != Study.State.CLOSED:
        return None, "The report will be here once the study is closed: until then its results are sealed."
    try:
        return finished_report(request_report(study)), "The report is being made. Open this page again in a minute."
    except Refused:
        return None, "This study has no report yet. Ask the person who sent you the link."


urlpatterns: list[URLPattern] = [
    path("shared/<str:token>/", shared_report, name="shared-report"),
    path("shared/<str:token>/<slug:name>.svg", shared_figure, name="shared-figure"),
]
