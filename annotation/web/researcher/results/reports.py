"""The report on the web, for researchers: the page, its figures as files, and a download in each format."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import OuterRef, Subquery
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe

from annotation.models import ReplayBundle, ReportFileJob, ReportJob, Study
from annotation.models.report_job import WatchedJob
from annotation.reports.data.metrics import chosen_metric, metrics_of
from annotation.reports.data.pairs import pair_of
from annotation.reports.explorer.orders import ORDERS
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.html import examples, page_context, points
from annotation.reports.formats.pdf import found_browser
from annotation.reports.printing.blocks import Figure
from annotation.reports.report_jobs.downloads import DOWNLOADS, PDF
from annotation.reports.report_jobs.report_cache import (
    OF_STUDY,
    CachedReport,
    Download,
    current_file,
    finished_report,
    request_file,
    stored_figure,
)
from annotation.reports.report_jobs.report_jobs import request_report
from annotation.reports.report_jobs.watched_jobs import retry
from annotation.reports.sections.contents import is_figure
from annotation.studies.current import current_manifest
from annotation.web.access.guard import researcher_page
from annotation.web.report_files import report_file, written
from annotation.web.researcher.results.comparison_view import thumbnails
from annotation.web.researcher.results.drawings import drawing, draws_alone, is_for_a_dark_page, svg_response
from annotation.web.researcher.results.report_body import report_body
from jobs.refusals import Refused

WHAT = (
    "This page will say how often the metric and people name the same winner, and how sure that is. It will also have "
    "the baselines, the quality of the votes, and the files for a paper."
)
MOST_POINTS = 150  # comparisons that the marks of figures link to
EXAMPLE_IMAGES = 20  # of each set of a disagreement that the report shows


@require_safe
@researcher_page
def report_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the report, or its progress. If it is refused, show the reason and the metrics to choose from."""
    newest = ReplayBundle.objects.filter(study=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    study = get_object_or_404(Study.objects.annotate(newest_bundle=Subquery(newest)), slug=slug)
    try:
        pair = _pair(request, study)
        job = request_report(study, metric=request.GET.get("metric", ""), pair=pair)
    except Refused as refused:
        context = {"study": study, "sentence": str(refused), "metrics": metrics_of(study)}
        context |= {"tab": "report", "page": "report", "heading": "Report", "what": WHAT}
        return render(request, "reports/refused.html", context, status=409)
    report = finished_report(job)
    if report is None:
        return _wait(request, job, study)

    downloads = _downloads(report)
    context = {"study": study, "tab": "report", "report": report, "job": job, "query": _query(request)}
    context["pairs"] = _pairs(request, study, report)
    newest_bundle = getattr(study, "newest_bundle", None)  # mypy does not see it through get_object_or_404
    context["body"] = report_body(
        (job.sha256, study.pk, context["query"], newest_bundle, tuple(downloads)),
        lambda: context | {"downloads": downloads} | _body_context(request, study, report),
    )
    return render(request, "reports/page.html", context)


def _body_context(request: HttpRequest, study: Study, report: AgreementReport) -> dict[str, Any]:
    """Return what the page shows of the report itself, and of the images of its study, which no longer change."""

    def address(figure: Figure) -> SafeString:
        source = reverse("report-figure", args=[study.slug, figure.name]) + _query(request)
        return drawing(source, alt=f"{figure.title}: {figure.words}")

    metric = request.GET.get("metric", "")
    bundles = study.replay_bundles.filter(metric=report.study.metric)
    return page_context(report, drawing=address) | {
        "bundle": None if report.study.pair else bundles.last(),
        "explorer": {"orders": ORDERS, "metric": metric} if report.results else None,
        "examples": _with_images(study, examples(report)),
        "points": _points(study, report, metric),
    }


def _downloads(report: AgreementReport) -> dict[str, Download]:
    """Return the files that the page offers: PDF if there is a browser that prints it, results once there are any."""
    has_browser = found_browser() is not None
    return {
        name: one
        for name, one in DOWNLOADS.items()
        if (report.results or not one.has_results)
        and not (report.study.pair and name in OF_STUDY)
        and (has_browser or one.content_type != PDF)
    }


def _points(study: Study, report: AgreementReport, metric: str) -> list[dict[str, Any]]:
    """Return the comparisons that figures link to, with the address of one image of each set, if there are any."""
    found = points(report, most=MOST_POINTS)
    shown, query = thumbnails(study, [one["number"] for one in found], most=1), {"metric": metric} if metric else {}
    for one in found:
        sets = shown.get(one["number"], {})
        one["address"] = reverse("explored-comparison", args=[study.slug, one["number"]])
        one["address"] += f"?{urlencode(query)}" if query else ""
        one |= {side: next(iter(addresses), "") for side, addresses in sets.items()}
    return found


def _with_images(study: Study, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the comparisons that the report shows with the images of both sets, if there are any."""
    numbers = [one["number"] for one in found]
    shown, models = thumbnails(study, numbers, most=EXAMPLE_IMAGES), current_manifest(study).models
    rows = study.comparisons.filter(position__in=[number - 1 for number in numbers])
    names = {row.position + 1: (models[row.model_a].name, models[row.model_b].name) for row in rows}
    for one in found:
        sides = zip("AB", names[one["number"]], shown.get(one["number"], {}).values(), strict=False)
        one["sets"] = [{"side": side, "model": model, "addresses": addresses} for side, model, addresses in sides]
    return found


@require_safe
@researcher_page
@draws_alone  # type: ignore[arg-type]
def report_figure(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Serve a figure as an SVG file; 404 if the study is sealed or has nothing to draw."""
    found = _report_or_404(request, slug)
    if not is_figure(name, found.report):
        raise Http404
    return svg_response(stored_figure(found.sha256, found.report, name, is_dark=is_for_a_dark_page(request)))


@require_safe
@researcher_page
def report_download(request: HttpRequest, slug: str, report_format: str) -> HttpResponse | FileResponse:
    """Serve the report as a file, its figures, its literature or its replay bundle; or show its progress."""
    if report_format not in DOWNLOADS:
        raise Http404
    chosen, report = DOWNLOADS[report_format], _report_or_404(request, slug).report
    if chosen.has_results and report.results is None:
        raise Http404
    if not chosen.is_long:
        return report_file(request, chosen, slug, written(chosen, slug, report))
    job = request_file(_job_or_404(request, slug), report_format)
    path = current_file(job)
    return (
        report_file(request, chosen, slug, path.open("rb"))
        if path
        else _wait(request, job, job.report_job.study, report_format)
    )


def _wait(request: HttpRequest, job: WatchedJob, study: Study, download: str = "") -> HttpResponse:
    """Return the page with the progress of a report or of a file, or with the reason of its failure."""
    ends = {"address": "", "progress": "-progress", "again": "-again"}
    context = {
        "study": study,
        "tab": "report",
        "job": job,
        "download": download,
        "label": f"The file “{DOWNLOADS[download].label}”" if download else "The report",
        "report": _address(request, study.slug),
        **{key: _address(request, study.slug, download, end) for key, end in ends.items()},
    }
    return render(request, "reports/report_progress.html", context, status=202 if job.is_waiting else 500)


def _job_or_404(request: HttpRequest, slug: str) -> ReportJob:
    """Return the job of the study's report; raise Http404 if the report was never requested."""
    study = get_object_or_404(Study, slug=slug)
    try:
        metric = chosen_metric(study, manifest=current_manifest(study), metric=request.GET.get("metric", ""))
        pair = _pair(request, study)
    except Refused as refused:
        raise Http404(str(refused)) from refused
    return get_object_or_404(ReportJob.objects.select_related("study"), study=study, metric=metric, pair=pair)


def _report_or_404(request: HttpRequest, slug: str) -> CachedReport:
    """Return the report for its figures and files; raise Http404 if there is none (the page shows the reason).

    A report is requested only if there is none yet, because a page has ten figures and a request costs queries.
    """
    study = get_object_or_404(Study, slug=slug)
    try:
        job = _job_or_404(request, slug)
        report = finished_report(job)
    except Http404:
        report = None
    try:
        if report is None:
            job = request_report(study, metric=request.GET.get("metric", ""), pair=_pair(request, study))
            report = finished_report(job)
    except Refused as refused:
        raise Http404(str(refused)) from refused
    if report is None:
        raise Http404("the report is being made")
    return CachedReport(job.sha256, report)


@require_safe
@researcher_page
def progress(request: HttpRequest, slug: str, report_format: str = "") -> JsonResponse:
    """Answer the page that waits for the report, or for a file of it."""
    job = _waited_job_or_404(request, slug, report_format)
    return JsonResponse({"state": job.state, "percent": job.percent, "step": job.step})


@require_POST
@researcher_page
def make_again(request: HttpRequest, slug: str, report_format: str = "") -> HttpResponse:
    """Make the report again, after a failure or after more votes; or a file of it, after a failure."""
    retry(_waited_job_or_404(request, slug, report_format))
    return redirect(_address(request, slug, report_format))


def _waited_job_or_404(request: HttpRequest, slug: str, report_format: str) -> WatchedJob:
    job = _job_or_404(request, slug)
    return get_object_or_404(ReportFileJob, report_job=job, name=report_format) if report_format else job


def _address(request: HttpRequest, slug: str, report_format: str = "", end: str = "") -> str:
    """Return the address of the report, or of a file of it, with the metric that was asked for."""
    name, args = ("report-file", [slug, report_format]) if report_format else ("report", [slug])
    return reverse(f"{name}{end}", args=args) + _query(request)


def _query(request: HttpRequest, **changes: str) -> str:
    """Return what was asked for as the query of an address, with changes; empty values are left out."""
    asked = {name: request.GET.get(name, "") for name in ("metric", "pair")} | changes
    given = {name: value for name, value in asked.items() if value}
    return f"?{urlencode(given)}" if given else ""


def _pair(request: HttpRequest, study: Study) -> str:
    """Return the pair of models that was asked for. Raises Refused if the study does not compare them."""
    asked = request.GET.get("pair", "")
    return pair_of(current_manifest(study), asked.split(",")) if asked else ""


def _pairs(request: HttpRequest, study: Study, report: AgreementReport) -> list[tuple[str, str]]:
    """Return the label and the address of each pair's report; of a pair's own report, those of the whole study's."""
    if report.study.pair:
        return [("All models", reverse("report", args=[study.slug]) + _query(request, pair=""))]
    ranking = report.results.ranking if report.results else None
    if ranking is None:
        return []
    manifest, names = current_manifest(study), {model.key: model.name for model in ranking.models}
    return [
        (
            f"{names[pair.a]} against {names[pair.b]}",
            reverse("report", args=[study.slug]) + _query(request, pair=pair_of(manifest, (pair.a, pair.b))),
        )
        for pair in ranking.pairs
    ]


urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/report/", report_page, name="report"),
    path("studies/<slug:slug>/report/progress", progress, name="report-progress"),
    path("studies/<slug:slug>/report/again", make_again, name="report-again"),
    path("studies/<slug:slug>/report/<slug:name>.svg", report_figure, name="report-figure"),
    path("studies/<slug:slug>/report/download/<slug:report_format>", report_download, name="report-file"),
    path("studies/<slug:slug>/report/download/<slug:report_format>/progress", progress, name="report-file-progress"),
    path("studies/<slug:slug>/report/download/<slug:report_format>/again", make_again, name="report-file-again"),
]
