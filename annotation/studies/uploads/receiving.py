"""Receive files in pieces of 8 MB: begin, take a piece, say what is missing, hand over to the import, delete.

A piece is a file of its own until all are there, written whole or not at all, so that an interrupted upload continues
at the first missing piece. Nothing is held in memory.
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Sum

from annotation.models import Study, Upload, UploadJob
from annotation.studies.audit import record
from annotation.studies.imports.images_of_others import refuse_images_of_others
from annotation.studies.nearest_names import did_you_mean, first_names
from annotation.voting.storage.sqlite_queue import in_turn
from generation.imports.archives import refuse_path
from jobs.claims import retry
from jobs.messages import enqueue
from jobs.models import LeasedJob
from jobs.refusals import Refused
from jobs.whole_files import whole_file

PIECE_BYTES = 8 * 2**20
MOST_FILES = 5_000
LONGEST_PATH = 1_000  # bytes, far below the 4,096 of a whole path on the server
LIFETIME = timedelta(days=7)  # of files whose upload or import does not go on
_BLOCK = 2**16
IN_WORK = (LeasedJob.State.QUEUED, LeasedJob.State.RUNNING)


class Readable(Protocol):
    """The source of a piece: a request."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class FileToCome:
    """A file as its sender describes it. path: its name, with folders for images. sha256, modified: may be empty.

    The content is checked against sha256; `modified` tells two versions of a file apart.
    """

    path: str
    bytes: int
    sha256: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A piece: of which file, and which one of it, both counted from 0."""

    file: int
    piece: int


# --- begin and end ------------------------------------------------------------------------------
def begin(*, study: Study, kind: str, files: Sequence[FileToCome], options: dict[str, Any], actor: User) -> Upload:
    """Return a new upload, or the one of the same files that is on its way. Raises Refused beyond the limits."""
    _refuse_files(kind, files)
    if kind == Upload.Kind.IMAGES:
        _refuse_model(study, options.get("model", ""))
        refuse_images_of_others(study, actor)  # the import asks again
    described = [asdict(file) for file in files]
    identity = json.dumps([kind, options, described], sort_keys=True)
    return _begin(study, kind, described, hashlib.sha256(identity.encode()).hexdigest(), options, actor)


@in_turn
def _begin(
    study: Study, kind: str, files: list[dict[str, Any]], digest: str, options: dict[str, Any], actor: User
) -> Upload:
    User.objects.select_for_update().get(pk=actor.pk)  # one at a time, or two at once would exceed the quota
    coming = Upload.objects.filter(study=study, account=actor, files_sha256=digest, is_received=False, is_stored=True)
    if begun := coming.first():
        return begun
    byte_count = sum(file["bytes"] for file in files)
    _refuse_size(actor, byte_count)
    upload = Upload.objects.create(
        study=study,
        account=actor,
        kind=kind,
        folder=secrets.token_hex(16),
        files=files,
        files_sha256=digest,
        byte_count=byte_count,
        options=options,
    )
    record("upload begun", study=study, actor=actor, kind=kind, files=len(files), bytes=byte_count)
    return upload


def _refuse_files(kind: str, files: Sequence[FileToCome]) -> None:
    if not 1 <= len(files) <= MOST_FILES:
        raise Refused(f"files: send 1 to {MOST_FILES} at once; put more of them into a zip file.")
    if kind != Upload.Kind.IMAGES and len(files) > 1:
        raise Refused(f"files: an upload of {kind} is one file; send one after the other.")
    seen: set[str] = set()
    for file in files:
        refuse_path(file.path)
        if len(file.path.encode()) > LONGEST_PATH:
            raise Refused(f"{file.path[:80]}…: a path has at most {LONGEST_PATH:,} bytes.")
        if file.bytes < 1:
            raise Refused(f"{file.path} is empty.")
        if file.path.casefold() in seen:
            raise Refused(f"{file.path} is listed twice.")
        seen.add(file.path.casefold())


def _refuse_model(study: Study, model: str) -> None:
    models = [one.name for one in study.diffusion_models]
    if model and model not in models:
        raise Refused(
            f"model: {study} has no model {model}{did_you_mean(model, models)}; it has {first_names(models)}."
        )


def _refuse_size(account: User, byte_count: int) -> None:
    most, quota = settings.UPLOAD_MOST_BYTES, settings.UPLOAD_QUOTA_BYTES
    if byte_count > most:
        raise Refused(f"files: {_gib(byte_count)} at once is more than the {_gib(most)} of UPLOAD_MOST_BYTES.")
    stored = Upload.objects.filter(account=account, is_stored=True).aggregate(sum=Sum("byte_count"))["sum"] or 0
    if stored + byte_count > quota:
        raise Refused(
            f"files: {account} has {_gib(stored)} waiting to be imported, and {_gib(byte_count)} more would exceed "
            f"the {_gib(quota)} of UPLOAD_QUOTA_BYTES; delete an upload that is not needed."
        )
    root = Path(settings.UPLOADS_ROOT)
    root.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(root).free < byte_count + settings.UPLOAD_FREE_BYTES:
        raise Refused("files: the server's disk has too little room for them; ask an admin to make room.")


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


# --- pieces -------------------------------------------------------------------------------------
def take_piece(*, upload: Upload, place: Place, sha256: str, content: Readable) -> None:
    """Store a piece. Raises Refused for one that is not of the upload, of another size, or with another hash."""
    if upload.is_received or not upload.is_stored:
        raise Refused(f"{upload.name} takes no more pieces: it is complete, or its files were deleted.")
    wanted = _piece_bytes(upload, place)
    target, digest, count = _piece_path(upload, place), hashlib.sha256(), 0
    name = upload.files[place.file]["path"]
    with whole_file(target) as path, path.open("wb") as file:
        while block := content.read(_BLOCK):
            count += len(block)
            if count > wanted:
                break
            digest.update(block)
            file.write(block)
        if count != wanted:
            raise Refused(f"{name}, piece {place.piece}: it has {wanted} bytes, not {count}; send it again.")
        if digest.hexdigest() != sha256.lower():
            raise Refused(f"{name}, piece {place.piece}: its SHA-256 is not the one that was sent; send it again.")


def _piece_bytes(upload: Upload, place: Place) -> int:
    """Return the size of a piece. Raises Refused if the upload has no such piece."""
    if not 0 <= place.file < len(upload.files):
        raise Refused(f"file: the upload has no file {place.file}; files are counted from 0.")
    left = int(upload.files[place.file]["bytes"]) - place.piece * PIECE_BYTES
    if place.piece < 0 or left <= 0:
        raise Refused(
            f"piece: {upload.files[place.file]['path']} has no piece {place.piece}; pieces are counted from 0."
        )
    return min(left, PIECE_BYTES)


def first_missing(upload: Upload) -> Place | None:
    """Return the first piece that is missing; None if all are there."""
    return next(_missing(upload), None) if upload.is_stored and not upload.is_received else None


def _missing(upload: Upload) -> Iterator[Place]:
    for number, file in enumerate(upload.files):
        for piece in range(_piece_count(file)):
            place = Place(number, piece)
            if not _piece_path(upload, place).exists():
                yield place


def received_bytes(upload: Upload) -> int:
    """Return how many bytes came before the first piece that is missing."""
    place = first_missing(upload)
    if place is None:
        return upload.byte_count
    return sum(int(file["bytes"]) for file in upload.files[: place.file]) + place.piece * PIECE_BYTES


@in_turn
def finish(*, upload: Upload, actor: User | None) -> UploadJob:
    """Hand a complete upload over to its import, and return the job; an import that failed is tried again.

    The import acts for the account that sent the files, also if another editor asks for it: their rights decide which
    images the study may share with others, and nobody gains rights by trying again. The history names who asked.
    Raises Refused if a piece is missing, or the files of a failed import are deleted.
    """
    upload = Upload.objects.select_for_update().get(pk=upload.pk)
    if job := UploadJob.objects.filter(upload=upload).first():
        return _tried_again(job, upload, actor)
    if missing := first_missing(upload):
        raise Refused(f"{upload.files[missing.file]['path']}: piece {missing.piece} is missing; send it first.")
    upload.is_received = True
    upload.save(update_fields=["is_received", "changed_at"])
    job = UploadJob.objects.create(upload=upload)
    record("upload complete", study=upload.study, actor=actor, kind=upload.kind, files=len(upload.files))
    enqueue([job])
    return job


def may_be_retried(upload: Upload, job: UploadJob) -> bool:
    """Return whether the import failed and its files are still there."""
    return job.state == LeasedJob.State.FAILED and upload.is_stored


def _tried_again(job: UploadJob, upload: Upload, actor: User | None) -> UploadJob:
    if may_be_retried(upload, job):
        retry(UploadJob.objects.filter(pk=job.pk))
        record("import tried again", study=upload.study, actor=actor, kind=upload.kind)
        enqueue([job])
        job.refresh_from_db()
    elif job.state == LeasedJob.State.FAILED:
        raise Refused(f"{upload.name}: its files are deleted; upload them again.")
    return job


# --- files on the disk --------------------------------------------------------------------------
def folder_of(upload: Upload) -> Path:
    """Return the folder of an upload."""
    return Path(settings.UPLOADS_ROOT) / upload.folder


def assembled(upload: Upload) -> Path:
    """Put the pieces together, and return the folder of the whole files. Raises Refused if a hash differs."""
    whole = folder_of(upload) / "whole"
    for number, file in enumerate(upload.files):
        target = whole.joinpath(*PurePosixPath(file["path"]).parts)
        if not target.exists():
            try:
                _join(upload, number, target)
            except OSError as error:
                raise Refused(f"{file['path']} cannot be stored: {error.strerror or error}.") from error
        shutil.rmtree(_file_folder(upload, number), ignore_errors=True)
    return whole


def _join(upload: Upload, number: int, target: Path) -> None:
    file, digest = upload.files[number], hashlib.sha256()
    with whole_file(target) as path, path.open("wb") as joined:
        for piece in range(_piece_count(file)):
            with _piece_path(upload, Place(number, piece)).open("rb") as source:
                while block := source.read(PIECE_BYTES):
                    digest.update(block)
                    joined.write(block)
        if file["sha256"] and digest.hexdigest() != file["sha256"].lower():
            raise Refused(f"{file['path']}: its SHA-256 is not the one that was sent; the file changed meanwhile.")


def _piece_count(file: dict[str, Any]) -> int:
    return -(-int(file["bytes"]) // PIECE_BYTES)


def _file_folder(upload: Upload, number: int) -> Path:
    return folder_of(upload) / "pieces" / str(number)


def _piece_path(upload: Upload, place: Place) -> Path:
    return _file_folder(upload, place.file) / str(place.piece)


# --- deletion -----------------------------------------------------------------------------------
def delete_upload(*, upload: Upload, actor: User | None = None) -> None:
    """Delete an upload with its files; what was imported stays. Refused while its import is at work."""
    if UploadJob.objects.filter(upload=upload, state__in=IN_WORK).exists():
        raise Refused(f"{upload.name} is being imported; wait until that has ended.")
    delete_files(upload)
    record("upload deleted", study=upload.study, actor=actor, kind=upload.kind)
    upload.delete()


def delete_files(upload: Upload) -> None:
    """Delete the files of an upload, so that they no longer count against the quota."""
    Upload.objects.filter(pk=upload.pk).update(is_stored=False)
    shutil.rmtree(folder_of(upload), ignore_errors=True)


def delete_old_uploads(now: datetime) -> None:
    """Delete the files of uploads that stopped, or failed, LIFETIME ago, and folders that belong to no upload."""
    old = Upload.objects.filter(is_stored=True, changed_at__lt=now - LIFETIME)
    for upload in old.exclude(job__state__in=IN_WORK):
        delete_files(upload)
    root = Path(settings.UPLOADS_ROOT)
    if not root.is_dir():
        return
    kept = set(Upload.objects.filter(is_stored=True).values_list("folder", flat=True))
    for folder in root.iterdir():
        with suppress(OSError):  # another worker deleted it first
            is_old = folder.stat().st_mtime < (now - LIFETIME).timestamp()
            if folder.name not in kept and is_old:
                shutil.rmtree(folder)
