"""The report of a closed study for a visitor with a link: the page and its figures, nothing else."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from annotation.models import Study
from annotation.reports.formats.html import page_context
from annotation.reports.printing.blocks import Figure
from annotation.reports.report_jobs.report_cache import CachedReport, finished_report, stored_figure
from annotation.reports.report_jobs.report_jobs import request_report
from annotation.reports.sections.contents import is_figure
from annotation.studies.sharing import study_of_report_link
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.results.drawings import drawing, draws_alone, is_for_a_dark_page, svg_response
from annotation.web.researcher.results.report_body import report_body
from jobs.refusals import Refused


@require_safe
@researcher_page
def shared_report(request: HttpRequest, token: str) -> HttpResponse:
    """Show the report, or a sentence that says when it will be here. 404 for a link that is revoked or unknown."""
    found, sentence = _report(token)
    if found is None:
        return render(request, "web/shared_report_later.html", {"sentence": sentence}, status=202)

    def address(figure: Figure) -> SafeString:
        return drawing(reverse("shared-figure", args=[token, figure.name]), alt=f"{figure.title}: {figure.words}")

    body = report_body((found.sha256, token), lambda: page_context(found.report, drawing=address))
    return render(request, "web/shared_report.html", {"report": found.report, "body": body})


@require_safe
@researcher_page
@draws_alone  # type: ignore[arg-type]
def shared_figure(request: HttpRequest, token: str, name: str) -> HttpResponse:
    """Serve a figure of the report as an SVG file."""
    found, _ = _report(token)
    if found is None or not is_figure(name, found.report):
        raise Http404
    return svg_response(stored_figure(found.sha256, found.report, name, is_dark=is_for_a_dark_page(request)))


def _report(token: str) -> tuple[CachedReport | None, str]:
    """Return the report behind a link, or None and the reason. Raises Http404 if the link leads nowhere."""
    study = study_of_report_link(token)
    if study is None:
        raise Http404
    if study.state != Study.State.CLOSED:
        return None, "The report will be here once the study is closed: until then its results are sealed."
    try:
        job = request_report(study)
        report = finished_report(job)
        found = CachedReport(job.sha256, report) if report else None
        return found, "The report is being made. Open this page again in a minute."
    except Refused:
        return None, "This study has no report yet. Ask the person who sent you the link."


urlpatterns: list[URLPattern] = [
    path("shared/<str:token>/", shared_report, name="shared-report"),
    path("shared/<str:token>/<slug:name>.svg", shared_figure, name="shared-figure"),
]
