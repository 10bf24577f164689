"""The API's operations on the installation, for admins: its workers, jobs and models, to watch them from a script."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import BaseModel

from annotation.studies.installation import job_list, registry
from annotation.studies.lifecycle.watching import workers
from annotation.web.api.pages import answer, gives, next_page, page_of
from jobs.refusals import Refused

router = Router(tags=["installation"])


class WorkerOut(BaseModel):
    """A worker process that was seen lately. memory_used, memory_total: bytes on its device. note: why it rests."""

    name: str
    queue: str
    host: str
    version: str
    card: str
    model: str
    memory_used: int
    memory_total: int
    job: str
    idle_share: float | None
    seen_at: datetime
    note: str


class WorkersOut(BaseModel):
    """The workers that were seen in the last minute."""

    items: list[WorkerOut]


class JobOut(BaseModel):
    """A job. studies: the slugs of the studies whose job it is."""

    kind: str
    id: int
    state: str
    subject: str
    studies: list[str]
    worker: str
    attempts: int
    error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobsOut(BaseModel):
    """A page of the jobs of a kind in a state."""

    count: int
    next: str | None
    items: list[JobOut]


class RegisteredModelOut(BaseModel):
    """A model and what its last check found. byte_count, weights_sha256, licence: 0 and empty until a check."""

    name: str
    source: str
    pipeline: str
    licence: str
    weights_sha256: str
    byte_count: int
    studies: list[str]
    checked_at: datetime | None
    error: str


class RegisteredModelsOut(BaseModel):
    """A page of the models, by name."""

    count: int
    next: str | None
    items: list[RegisteredModelOut]


@router.get("/installation/workers", response=gives(WorkersOut), operation_id="list_workers", url_name="workers")
def list_workers(request: HttpRequest) -> HttpResponse:
    """List the worker processes that gave a sign of life in the last minute."""
    items = [WorkerOut.model_validate(one, from_attributes=True) for one in workers()]
    return answer(WorkersOut(items=items))


@router.get("/installation/jobs", response=gives(JobsOut), operation_id="list_jobs", url_name="jobs")
def list_jobs(
    request: HttpRequest, kind: str = "images", state: str = "failed", limit: int = 50, offset: int = 0
) -> HttpResponse:
    """List the jobs of one kind in one state, with their errors."""
    if kind not in job_list.BY_NAME:
        raise Refused(f"kind: one of {', '.join(job_list.BY_NAME)}.")
    if state not in job_list.State.values:
        raise Refused(f"state: one of {', '.join(job_list.State.values)}.")
    chosen = job_list.BY_NAME[kind]
    rows = job_list.rows_of(chosen, state)
    page, count = page_of(rows, limit, offset), rows.count()
    items = [_job_out(row) for row in job_list.described((chosen, job) for job in page)]
    return answer(JobsOut(count=count, next=next_page(request, limit, offset, count), items=items))


def _job_out(row: job_list.JobRow) -> JobOut:
    job = row.job
    return JobOut(
        kind=row.kind.name,
        id=job.pk,
        state=job.state,
        subject=row.subject,
        studies=[study.slug for study in row.studies],
        worker=row.worker,
        attempts=job.attempt_count,
        error=row.error,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


@router.get(
    "/installation/models",
    response=gives(RegisteredModelsOut),
    operation_id="list_registered_models",
    url_name="registered-models",
)
def list_registered_models(request: HttpRequest, limit: int = 50, offset: int = 0) -> HttpResponse:
    """List the models of the installation, each with its class, licence, hash and size, and the studies that use it."""
    rows = registry.registered()
    page, count = page_of(rows, limit, offset), rows.count()
    items = [_model_out(one) for one in registry.described(page)]
    return answer(RegisteredModelsOut(count=count, next=next_page(request, limit, offset, count), items=items))


def _model_out(one: registry.RegisteredModel) -> RegisteredModelOut:
    found = one.inspection
    return RegisteredModelOut(
        name=one.model.name,
        source=one.source,
        pipeline=one.pipeline,
        licence=found.licence if found else "",
        weights_sha256=found.weights_sha256 if found else "",
        byte_count=found.byte_count if found else 0,
        studies=[study.slug for study in one.studies],
        checked_at=one.check.finished_at if one.check else None,
        error=one.check.error if one.check else "",
    )
