"""The API's operations on studies and pilots: list, create, check, run, share and delete.

`who_may` says who may call each.
"""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Router, Status

from annotation.models import Study
from annotation.models.report_job import WatchedJob
from annotation.reports.formats.document import as_document
from annotation.reports.pilot.words import answer as answer_of
from annotation.reports.pilot.words import assumptions
from annotation.reports.report_jobs.report_jobs import delete_with_reports, requested_result
from annotation.studies import sharing
from annotation.studies.audit import history, record
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.actions import ACTIONS
from annotation.studies.lifecycle.amendments import amend
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.manifest import Manifest
from annotation.studies.pilot.making import make_pilot
from annotation.studies.study_file.reading import warnings_in
from annotation.studies.study_file.registered import parse_by_names, registered_models
from annotation.studies.study_file.writing import write_study_file
from annotation.studies.warnings.image_warnings import image_warnings
from annotation.web.api import study_schemas as schemas
from annotation.web.api.pages import (
    account_of,
    answer,
    detail_out,
    gives,
    next_page,
    page_of,
    state_out,
    study_called,
    study_fields,
)
from annotation.web.api.repeating import repeatable

router = Router(tags=["studies"])


@router.get("/models", response=gives(schemas.ModelsOut), operation_id="list_models", url_name="models")
def list_models(request: HttpRequest) -> HttpResponse:
    """List the models that a study file may name."""
    models = registered_models().items()
    items = [schemas.ModelOut(name=name, endpoint=one["endpoint"], dtype=one["dtype"]) for name, one in models]
    return answer(schemas.ModelsOut(items=items))


@router.get("/studies", response=gives(schemas.StudiesOut), operation_id="list_studies", url_name="studies")
def list_studies(
    request: HttpRequest, limit: int = 50, offset: int = 0, state: str = "", archived: bool = False
) -> HttpResponse:
    """List the studies that are shared with the account, the newest first; `state` and `archived` filter them."""
    rows: QuerySet[Study] = sharing.visible_studies(account_of(request)).filter(archived_at__isnull=not archived)
    rows = rows.filter(state=state) if state else rows
    rows = rows.select_related("pilot_of").prefetch_related("study_models").order_by("-created_at", "-pk")
    page, count = page_of(rows, limit, offset), rows.count()
    roles = sharing.roles_in(account_of(request), page)
    items = [_study_out(one, roles[one.pk]) for one in page]
    return answer(schemas.StudiesOut(count=count, next=next_page(request, limit, offset, count), items=items))


@router.post("/studies", response=gives(schemas.StudyDetailOut, 201), operation_id="create_study", url_name="studies")
@repeatable
def create(request: HttpRequest, body: schemas.StudyFileIn) -> HttpResponse:
    """Create a study as a draft from a study file. Its models are named as GET /models names them."""
    manifest = parse_by_names(body.file, account=account_of(request))
    study = create_study(manifest=manifest, actor=account_of(request))
    return answer(detail_out(request, study, _warnings(manifest, body.file)), status=201)


@router.post("/study-check", response=gives(schemas.CheckOut), operation_id="check_study", url_name="study-check")
def check(request: HttpRequest, body: schemas.StudyFileIn) -> HttpResponse:
    """Validate a study file and create nothing. The answer names each fault with its key and line."""
    manifest = parse_by_names(body.file, account=account_of(request))
    warnings = _warnings(manifest, body.file)
    return answer(schemas.CheckOut(slug=manifest.slug, prompts=len(manifest.prompts), warnings=warnings))


@router.get("/studies/{slug}", response=gives(schemas.StudyDetailOut), operation_id="get_study", url_name="study")
def get_study(request: HttpRequest, slug: str) -> HttpResponse:
    """Return a study with its progress."""
    study = study_called(slug)
    return answer(detail_out(request, study, image_warnings(study)))


@router.delete("/studies/{slug}", response=gives(None, 204), operation_id="delete_study", url_name="study")
def delete(request: HttpRequest, slug: str) -> Status[None]:
    """Delete a study in which nobody took part, with its reports. Its images stay."""
    delete_with_reports(study=study_called(slug), actor=account_of(request))
    return Status(204, None)


@router.get("/studies/{slug}/file", response=gives(None), operation_id="get_study_file", url_name="study-file")
def get_file(request: HttpRequest, slug: str) -> HttpResponse:
    """Return the study as a study file (TOML), with its completion codes."""
    study = study_called(slug)
    record("study file downloaded", study=study, actor=account_of(request))
    text = write_study_file(current_manifest(study))
    return HttpResponse(text, content_type="application/toml; charset=utf-8")


@router.post(
    "/studies/{slug}/file", response=gives(schemas.StudyDetailOut), operation_id="amend_study", url_name="study-file"
)
def amend_file(request: HttpRequest, slug: str, body: schemas.AmendmentIn) -> HttpResponse:
    """Change the study by a new study file. After the draft only some keys may change, and a reason is needed."""
    study = study_called(slug)
    manifest = parse_by_names(body.file, account=account_of(request), earlier=current_manifest(study))
    amend(study=study, manifest=manifest, reason=body.reason, actor=account_of(request))
    study.refresh_from_db()
    return answer(detail_out(request, study, _warnings(manifest, body.file)))


@router.post(
    "/studies/{slug}/actions/{action}",
    response=gives(schemas.StudyDetailOut),
    operation_id="act_on_study",
    url_name="action",
)
def act(request: HttpRequest, slug: str, action: str) -> HttpResponse:
    """Launch, open, pause or close the study, or retry its failed jobs. Closing is final, and unseals the results."""
    study = study_called(slug)
    if action not in ACTIONS:
        raise Http404(f"There is no action {action}; there are {', '.join(ACTIONS)}.")
    ACTIONS[action].carry_out(study=study, actor=account_of(request))
    study.refresh_from_db()
    return answer(detail_out(request, study, image_warnings(study)))


@router.post(
    "/studies/{slug}/archive",
    response=gives(schemas.StudyDetailOut),
    operation_id="archive_study",
    url_name="archive",
)
def archive(request: HttpRequest, slug: str) -> HttpResponse:
    """Leave the study out of lists. Nothing else changes."""
    return _archived(request, slug, is_archived=True)


@router.delete(
    "/studies/{slug}/archive",
    response=gives(schemas.StudyDetailOut),
    operation_id="unarchive_study",
    url_name="archive",
)
def unarchive(request: HttpRequest, slug: str) -> HttpResponse:
    """List the study again."""
    return _archived(request, slug, is_archived=False)


def _archived(request: HttpRequest, slug: str, *, is_archived: bool) -> HttpResponse:
    study = study_called(slug)
    sharing.archive(study=study, is_archived=is_archived, actor=account_of(request))
    return answer(detail_out(request, study, image_warnings(study)))


@router.get(
    "/studies/{slug}/history",
    response=gives(schemas.HistoryOut),
    operation_id="get_history",
    url_name="history",
)
def get_history(request: HttpRequest, slug: str, limit: int = 50, offset: int = 0) -> HttpResponse:
    """List who did what and when, the latest first."""
    acts = history(study_called(slug))
    fields = ("happened_at", "actor", "verb", "detail")
    items = [schemas.ActOut(**{name: getattr(one, name) for name in fields}) for one in page_of(acts, limit, offset)]
    following = next_page(request, limit, offset, len(acts))
    return answer(schemas.HistoryOut(count=len(acts), next=following, items=items))


@router.get(
    "/studies/{slug}/shares",
    response=gives(schemas.SharesOut),
    operation_id="list_shares",
    url_name="shares",
)
def list_shares(request: HttpRequest, slug: str) -> HttpResponse:
    """List the accounts that have a role in the study."""
    return answer(_shares_out(study_called(slug)))


@router.post("/studies/{slug}/shares", response=gives(schemas.SharesOut), operation_id="share_study", url_name="shares")
def share(request: HttpRequest, slug: str, body: schemas.RoleIn) -> HttpResponse:
    """Give an account a role in the study, or take it away. Sending it again changes nothing."""
    study = study_called(slug)
    sharing.set_role(study=study, name=body.account, role=body.role, actor=account_of(request))
    return answer(_shares_out(study))


@router.get(
    "/studies/{slug}/report-links",
    response=gives(schemas.ReportLinksOut),
    operation_id="list_report_links",
    url_name="links",
)
def list_links(request: HttpRequest, slug: str) -> HttpResponse:
    """List the links to the report that are in force."""
    links = study_called(slug).report_links.filter(revoked_at=None)
    return answer(schemas.ReportLinksOut(items=[_link_out(request, one) for one in links]))


@router.post(
    "/studies/{slug}/report-links",
    response=gives(schemas.ReportLinkOut, 201),
    operation_id="create_report_link",
    url_name="links",
)
@repeatable
def create_link(request: HttpRequest, slug: str) -> HttpResponse:
    """Create a link with which anyone may read the report once the study is closed."""
    link = sharing.create_report_link(study=study_called(slug), actor=account_of(request))
    return answer(_link_out(request, link), status=201)


@router.delete(
    "/studies/{slug}/report-links/{link_id}",
    response=gives(None, 204),
    operation_id="revoke_report_link",
    url_name="link",
)
def revoke_link(request: HttpRequest, slug: str, link_id: int) -> Status[None]:
    """Revoke a link: it leads nowhere from then on."""
    sharing.revoke_report_link(study=study_called(slug), link_id=link_id, actor=account_of(request))
    return Status(204, None)


def _study_out(study: Study, role: sharing.Role | None) -> schemas.StudyOut:
    return schemas.StudyOut(**study_fields(study, role))


def _shares_out(study: Study) -> schemas.SharesOut:
    shares = study.shares.select_related("account")
    return schemas.SharesOut(items=[schemas.ShareOut(account=str(one.account), role=one.role) for one in shares])


def _link_out(request: HttpRequest, link: Any) -> schemas.ReportLinkOut:
    address = request.build_absolute_uri(reverse("shared-report", args=[link.token]))
    return schemas.ReportLinkOut(id=link.pk, address=address, created_at=link.created_at)


def _warnings(manifest: Manifest, text: str) -> list[str]:
    return list(map(str, warnings_in(text, None, manifest)))


# --- pilots -------------------------------------------------------------------------------------
@router.post(
    "/studies/{slug}/pilots",
    response=gives(schemas.StudyDetailOut, 201),
    operation_id="make_pilot",
    url_name="pilots",
    tags=["pilots"],
)
@repeatable
def make(request: HttpRequest, slug: str, body: schemas.PilotIn) -> HttpResponse:
    """Create a pilot of a draft or ready study: a new draft with some of its prompts, drawn at random.

    The study no longer has these prompts."""
    study = study_called(slug)
    pilot = make_pilot(study=study, prompts=body.prompts, overlap=body.overlap, actor=account_of(request))
    return answer(detail_out(request, pilot, image_warnings(pilot)), status=201)


@router.get(
    "/studies/{slug}/pilot",
    response=gives(schemas.ReportStateOut, 202) | gives(schemas.PilotResultOut),
    operation_id="get_pilot_result",
    url_name="pilot",
    tags=["pilots"],
)
def get_result(
    request: HttpRequest, slug: str, agreement: float | None = None, baseline: float | None = None
) -> HttpResponse:
    """Return a pilot's result: its pace and, once it is closed, its reliability and the sample size needed.

    The sample size assumes how often people agree with the metric (`agreement`), and how often they agree with the
    guess that the same model always wins (`baseline`); without them the study's usual values are assumed.
    """
    result = requested_result(study_called(slug), agreement=agreement, baseline=baseline)
    if isinstance(result, WatchedJob):
        return answer(state_out(result), status=202)
    sentences = [answer_of(result), *(assumptions(result) if result.plans else ())]
    return answer(schemas.PilotResultOut(sentences=sentences, result=as_document(result)))
