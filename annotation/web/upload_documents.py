"""Uploads as JSON, for the API and the page: which pieces are missing, which arrived, and what was imported."""

from datetime import datetime
from typing import Any, Literal

from django.contrib.auth.models import User
from django.http import Http404
from pydantic import BaseModel, ConfigDict, Field

from annotation.models import Study, Upload, UploadJob
from annotation.studies.lifecycle.workers import served
from annotation.studies.uploads import receiving
from annotation.studies.uploads.receiving import (
    LONGEST_PATH,
    MOST_FILES,
    FileToCome,
    begin,
    first_missing,
    may_be_retried,
    received_bytes,
)
from jobs.wording import command

MOST_BYTES = 2**53  # what JSON numbers of a browser hold


class _Sent(BaseModel):
    """A document that is sent. A field that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class FileIn(_Sent):
    """A file that will come. `modified`, in any form, tells two versions of a file apart if an upload continues."""

    path: str = Field(min_length=1, max_length=LONGEST_PATH, description="Its name; of images model/prompt/seed.png.")
    bytes: int = Field(ge=0, le=MOST_BYTES)
    sha256: str = Field("", pattern="^([0-9a-fA-F]{64})?$", description="Of the whole file; may be empty.")
    modified: str = Field("", max_length=40)


class UploadIn(_Sent):
    """The files to come, and how they are imported. The same description, sent again, continues the upload."""

    kind: Literal["images", "votes", "scores"]
    files: list[FileIn] = Field(min_length=1, max_length=MOST_FILES)
    model: str = Field("", max_length=200, description="Images of this model only; its folder may be left out.")
    metric: str = Field("", max_length=255, description="The name under which scores are stored.")
    higher_is_more_consistent: bool | None = Field(None, description="Needed for a metric that is new to the study.")
    leave_out_blank_names: bool = Field(False, description="Leave out votes without an annotator's name.")
    prefix: str = Field("", max_length=100, description="Put before each annotator's name in a file of votes.")
    same_people: bool = Field(False, description="A name that an earlier file has too is the same person.")


class MissingOut(BaseModel):
    """The first piece that is missing: of which file, and which piece of it, both counted from 0."""

    file: int
    piece: int


class UploadOut(BaseModel):
    """An upload. `state`: receiving, queued, running, done or failed; `error` says why it failed.

    may_be_retried: whether asking for its import tries a failed one again, since its files are still there.
    """

    id: int
    kind: str
    name: str
    state: str
    bytes: int
    received_bytes: int
    piece_bytes: int
    missing: MissingOut | None
    percent: int
    step: str
    summary: str
    faults: list[str]
    error: str
    may_be_retried: bool = False
    created_at: datetime


def begun(study: Study, account: User, body: UploadIn) -> UploadOut:
    """Begin an upload, or continue the one with the same description."""
    options = body.model_dump(exclude={"kind", "files"})
    files = [FileToCome(**file.model_dump()) for file in body.files]
    return upload_out(begin(study=study, kind=body.kind, files=files, options=options, actor=account))


def upload_of(slug: str, upload_id: int) -> Upload:
    """Return an upload of the study. Raises Http404 if the study has none of that id."""
    uploads = Upload.objects.select_related("job", "study").filter(study__slug=slug)
    upload = uploads.filter(pk=upload_id).first() if upload_id < 2**63 else None
    if upload is None:
        raise Http404("The study has no such upload.")
    return upload


def upload_out(upload: Upload) -> UploadOut:
    """Return an upload as the API and the page show it."""
    job = getattr(upload, "job", None)
    missing = first_missing(upload) if job is None else None
    return UploadOut(
        id=upload.pk,
        kind=upload.kind,
        name=upload.name,
        bytes=upload.byte_count,
        piece_bytes=receiving.PIECE_BYTES,
        received_bytes=received_bytes(upload) if job is None else upload.byte_count,
        missing=MissingOut(file=missing.file, piece=missing.piece) if missing else None,
        created_at=upload.created_at,
        **_of_job(upload, job),
    )


def _of_job(upload: Upload, job: UploadJob | None) -> dict[str, Any]:
    if job is None:
        error = (
            "" if upload.is_stored else "It was not continued for a week, so its files were deleted. Upload them again."
        )
        state = "receiving" if upload.is_stored else "failed"
        return {"state": state, "percent": 0, "step": "", "summary": "", "faults": [], "error": error}
    return {
        "state": "failed" if job.state == UploadJob.State.CANCELLED else job.state,
        "percent": job.percent,
        "step": _without_worker(job) or job.step or (job.error if job.is_waiting else ""),  # what it waits for
        "summary": job.outcome.get("summary", ""),
        "faults": job.outcome.get("faults", []),
        "error": job.error if job.state == UploadJob.State.FAILED else "",
        "may_be_retried": may_be_retried(upload, job),
    }


def _without_worker(job: UploadJob) -> str:
    """Return what to do if the job waits and no worker runs that imports files; else empty."""
    if job.error or job.state != UploadJob.State.QUEUED or "control" in served():
        return ""
    start = command("worker", "--queues", "control")
    return f"No worker is running that imports files. Ask an admin to start one: {start}"
