"""The API's operations on what people do in a study: invitations, votes, the report, and personal data."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from django.http import FileResponse, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Router

from annotation.models import Annotator, Study
from annotation.reports.data.metrics import metrics_of
from annotation.reports.exports.votes import write_votes
from annotation.reports.report_jobs.downloads import DOWNLOADS
from annotation.reports.report_jobs.report_cache import current_file, finished_report, request_file
from annotation.reports.report_jobs.report_jobs import request_report
from annotation.reports.report_jobs.retention import erase_personal_data
from annotation.studies.audit import record
from annotation.studies.current import current_manifest
from annotation.studies.invitations import invite_all, invited
from annotation.studies.people.data_record import data_record
from annotation.web.api import study_schemas as schemas
from annotation.web.api.pages import account_of, answer, gives, next_page, page_of, state_out, study_called
from annotation.web.api.repeating import repeatable
from annotation.web.report_files import report_file, written
from jobs.refusals import Refused

router = Router(tags=["people and results"])


@router.get(
    "/studies/{slug}/invitations",
    response=gives(schemas.InvitationsOut),
    operation_id="list_invitations",
    url_name="invitations",
)
def list_invitations(request: HttpRequest, slug: str, limit: int = 50, offset: int = 0) -> HttpResponse:
    """List the personal links, with the open link. Anyone who has a link can vote with it."""
    study = study_called(slug)
    people = invited(study).order_by("pk")
    page, count = page_of(people, limit, offset), people.count()
    record("links downloaded", study=study, actor=account_of(request), fields=["label", "link"])
    return answer(_invitations_out(request, study, page, count, next_page(request, limit, offset, count)))


@router.post(
    "/studies/{slug}/invitations",
    response=gives(schemas.InvitationsOut, 201),
    operation_id="invite",
    url_name="invitations",
)
@repeatable
def invite(request: HttpRequest, slug: str, body: schemas.InvitationsIn) -> HttpResponse:
    """Create personal links, one for each label, or a number of them."""
    study = study_called(slug)
    made = invite_all(study=study, labels=body.labels, count=body.count, actor=account_of(request))
    return answer(_invitations_out(request, study, made, len(made), None), status=201)


def _invitations_out(
    request: HttpRequest, study: Study, people: list[Annotator], count: int, following: str | None
) -> schemas.InvitationsOut:
    def link(name: str, token: str) -> str:
        return request.build_absolute_uri(reverse(name, args=[token]))

    items = [schemas.InvitationOut(label=one.label, link=link("visit", one.token)) for one in people]
    open_link = link("join", study.open_link_token)
    return schemas.InvitationsOut(count=count, next=following, open_link=open_link, items=items)


@router.get("/studies/{slug}/votes", response=gives(None), operation_id="export_votes", url_name="votes")
def export_votes(request: HttpRequest, slug: str, format: Literal["csv", "jsonl", "parquet"] = "csv") -> FileResponse:  # noqa: A002
    """Download every vote, with its annotator's pseudonym and, once the study is closed, the models behind it."""
    study = study_called(slug)
    record("votes downloaded", study=study, actor=account_of(request))
    with TemporaryDirectory() as folder:  # deleted at once; the bytes stay until the file is closed
        path = Path(folder) / "votes"
        write_votes(study, path, manifest=current_manifest(study), export_format=format)
        return FileResponse(path.open("rb"), as_attachment=True, filename=f"{slug}-votes.{format}")


@router.get(
    "/studies/{slug}/metrics",
    response=gives(schemas.MetricsOut),
    operation_id="list_metrics",
    url_name="metrics",
)
def list_metrics(request: HttpRequest, slug: str) -> HttpResponse:
    """List the metrics that have scored image sets of the study. `get_report` takes each of these names as `metric`."""
    study = study_called(slug)
    own = current_manifest(study).encoder.metric
    items = [schemas.MetricOut(name=name, is_own=name == own) for name in metrics_of(study)]
    return answer(schemas.MetricsOut(items=items))


@router.get(
    "/studies/{slug}/report",
    response=gives(schemas.ReportStateOut, 202) | {200: None},
    operation_id="get_report",
    url_name="report",
)
def get_report(request: HttpRequest, slug: str, format: str = "json", metric: str = "") -> HttpResponse | FileResponse:  # noqa: A002
    """Download the report in one of the formats of its page. 202: a worker is making it, so ask again."""
    study = study_called(slug)
    if format not in DOWNLOADS:
        raise Refused(f"format: one of {', '.join(DOWNLOADS)}.")
    chosen, job = DOWNLOADS[format], request_report(study, metric=metric)
    report = finished_report(job)
    if report is None:
        return answer(state_out(job), status=202)
    if chosen.has_results and report.results is None:
        raise Refused(f"{study} is sealed: this file holds results only, and exists once the study is closed.")
    if not chosen.is_long:
        return report_file(request, chosen, slug, written(chosen, slug, report))
    file_job = request_file(job, format)
    path = current_file(file_job)
    return report_file(request, chosen, slug, path.open("rb")) if path else answer(state_out(file_job), status=202)


# --- personal data ------------------------------------------------------------------------------
@router.get(
    "/studies/{slug}/personal-data",
    response=gives(schemas.DataRecordOut),
    operation_id="get_personal_data_record",
    url_name="personal-data",
)
def get_record(request: HttpRequest, slug: str) -> HttpResponse:
    """List the kinds of personal data that the study stores, and for each why, how long, and who may see it.

    The answer names fields, such as an e-mail address, and holds nobody's data."""
    return answer(schemas.DataRecordOut(**data_record(study_called(slug)).as_document()))


@router.delete(
    "/studies/{slug}/personal-data",
    response=gives(schemas.DataRecordOut),
    operation_id="erase_personal_data",
    url_name="personal-data",
)
def erase(request: HttpRequest, slug: str) -> HttpResponse:
    """Erase the personal data of a closed study's annotators, for good. Votes stay, under pseudonyms."""
    study = study_called(slug)
    erase_personal_data(study=study, actor=account_of(request))
    return answer(schemas.DataRecordOut(**data_record(study).as_document()))
