"""Shared parts of the researcher's operations: the request's account, the study, answers of a document or a page."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from pydantic import BaseModel

from annotation.models import Study
from annotation.models.report_job import WatchedJob
from annotation.studies import sharing
from annotation.studies.lifecycle.actions import actions_for
from annotation.studies.lifecycle.progress import progress
from annotation.web.api.study_schemas import ProblemOut, ReportStateOut, StudyDetailOut
from jobs.refusals import Refused

REFUSALS: dict[int, Any] = dict.fromkeys((400, 401, 403, 404, 409, 422, 429), ProblemOut)
MOST_ROWS = 200
LARGEST_OFFSET = 10_000_000
Row = TypeVar("Row")


def gives(document: type[BaseModel] | None, status: int = 200) -> dict[int, Any]:
    """Return the answers of an operation for the OpenAPI document: this one, and every refusal."""
    return {status: document, **REFUSALS}


def answer(document: BaseModel, *, status: int = 200) -> HttpResponse:
    """Return the document as JSON. Answers about studies are kept by no cache."""
    content_type = "application/json; charset=utf-8"
    response = HttpResponse(document.model_dump_json(), status=status, content_type=content_type)
    response["Cache-Control"] = "no-store"
    return response


def page_of(rows: "QuerySet[Any, Row] | Sequence[Row]", limit: int, offset: int) -> list[Row]:
    """Return the rows of a page. Raises Refused for a limit or an offset that no page has."""
    if not 1 <= limit <= MOST_ROWS:
        raise Refused(f"limit: a page has 1 to {MOST_ROWS} rows.")
    if not 0 <= offset <= LARGEST_OFFSET:
        raise Refused(f"offset: from 0 to {LARGEST_OFFSET}.")
    return list(rows[offset : offset + limit])


def next_page(request: HttpRequest, limit: int, offset: int, count: int) -> str | None:
    """Return the address of the next page; None after the last one."""
    if offset + limit >= count:
        return None
    query = request.GET.dict() | {"limit": str(limit), "offset": str(offset + limit)}
    return request.build_absolute_uri(f"{request.path}?{urlencode(query)}")


def account_of(request: HttpRequest) -> User:
    """Return the account of the token."""
    return cast(User, request.user)


def study_called(slug: str) -> Study:
    """Return the study of an address; the guard has checked the account's role in it."""
    study = Study.objects.filter(slug=slug).first()
    if study is None:
        raise Http404
    return study


def detail_out(request: HttpRequest, study: Study, warnings: list[str]) -> BaseModel:
    """Return a study with its progress, as the account of the token may see it."""
    counts = progress(study)
    document = {name: getattr(counts, name) for name in type(counts).__slots__}
    role = sharing.role_in(account_of(request), study.slug)
    return StudyDetailOut(
        **study_fields(study, role),
        progress=document,
        actions=[action.name for action in actions_for(study)],
        warnings=warnings,
    )


def study_fields(study: Study, role: sharing.Role | None) -> dict[str, Any]:
    """Return the fields of a study's answer, with the account's role in it."""
    names = (
        "slug",
        "name",
        "state",
        "source",
        "manifest_sha256",
        "created_at",
        "opened_at",
        "closed_at",
        "archived_at",
        "erases_at",
        "erased_at",
    )
    models = [model.name for model in study.diffusion_models]
    others = {"models": models, "role": str(role or ""), "pilot_of": study.pilot_of.slug if study.pilot_of else ""}
    return {name: getattr(study, name) for name in names} | others


def state_out(job: WatchedJob) -> ReportStateOut:
    """Return how far a job is. Raises Refused if it failed for good."""
    if not job.is_waiting:
        raise Refused(f"It could not be made: {job.error}")
    return ReportStateOut(state=job.state, percent=job.percent, step=job.step)
