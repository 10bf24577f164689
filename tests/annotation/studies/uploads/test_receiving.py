"""Uploads in pieces: resumed, checked, limited, and deleted when they do not go on."""

import hashlib
import io
import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from annotation.models import Study, Upload, UploadJob
from annotation.studies.uploads import receiving
from annotation.studies.uploads.receiving import (
    FileToCome,
    Place,
    assembled,
    begin,
    delete_old_uploads,
    delete_upload,
    finish,
    first_missing,
    folder_of,
    received_bytes,
    take_piece,
)
from jobs.refusals import Refused
from tests.factories import make_researcher, make_study

pytestmark = pytest.mark.django_db
CONTENT = b"0123456789"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "PIECE_BYTES", 4)


@pytest.fixture
def researcher() -> User:
    return make_researcher()


@pytest.fixture
def study(researcher: User) -> Study:
    return make_study(state="draft")


def begun(study: Study, actor: User, *files: FileToCome, kind: str = "images") -> Upload:
    chosen = files or (FileToCome("images.zip", len(CONTENT)),)
    return begin(study=study, kind=kind, files=chosen, options={}, actor=actor)


def send(upload: Upload, piece: int, content: bytes | None = None, file: int = 0, sha256: str = "") -> None:
    sent = CONTENT[4 * piece : 4 * piece + 4] if content is None else content
    digest = sha256 or hashlib.sha256(sent).hexdigest()
    take_piece(upload=upload, place=Place(file, piece), sha256=digest, content=io.BytesIO(sent))


def send_all(upload: Upload) -> None:
    for piece in range(3):
        send(upload, piece)


def test_an_upload_goes_on_at_the_first_piece_that_is_missing(study: Study, researcher: User) -> None:
    upload = begun(study, researcher)
    assert first_missing(upload) == Place(0, 0)
    send(upload, 0)
    send(upload, 2)
    again = begun(study, researcher)
    assert (again.pk, first_missing(again), received_bytes(again)) == (upload.pk, Place(0, 1), 4)
    with pytest.raises(Refused, match=r"images\.zip: piece 1 is missing"):
        finish(upload=upload, actor=researcher)
    send(upload, 1)
    send(upload, 1)  # sent again is harmless
    assert (first_missing(upload), received_bytes(upload)) == (None, 10)
    job = finish(upload=upload, actor=researcher)
    assert finish(upload=upload, actor=researcher) == job
    assert assembled(upload).joinpath("images.zip").read_bytes() == CONTENT
    assert assembled(upload).joinpath("images.zip").read_bytes() == CONTENT, "a second run finds it"
    assert begun(study, researcher).pk != upload.pk, "the same files again are another upload"


def test_a_file_that_changed_is_another_upload(study: Study, researcher: User) -> None:
    first = begun(study, researcher, FileToCome("a.zip", 10, modified="1"))
    assert begun(study, researcher, FileToCome("a.zip", 10, modified="2")).pk != first.pk
    same = {name: getattr(first, name) for name in ("study", "account", "files_sha256", "byte_count")}
    with pytest.raises(IntegrityError), transaction.atomic():
        Upload.objects.create(folder="another", **same)


@pytest.mark.parametrize(
    ("piece", "content", "sha256", "sentence"),
    [
        (0, b"012", "", "has 4 bytes, not 3"),
        (0, b"01234567", "", "has 4 bytes, not"),
        (0, None, "0" * 64, "its SHA-256 is not the one"),
        (3, None, "", "has no piece 3"),
        (-1, None, "", "has no piece -1"),
    ],
)
def test_a_piece_that_is_not_what_was_announced_is_not_stored(
    study: Study, researcher: User, piece: int, content: bytes | None, sha256: str, sentence: str
) -> None:
    upload = begun(study, researcher)
    with pytest.raises(Refused, match=sentence):
        send(upload, piece, content, sha256=sha256)
    with pytest.raises(Refused, match="has no file 1"):
        send(upload, 0, file=1)
    assert [file for file in folder_of(upload).rglob("*") if file.is_file()] == []


def test_the_hash_of_the_whole_file_is_checked(study: Study, researcher: User) -> None:
    upload = begun(study, researcher, FileToCome("a.zip", 10, sha256="f" * 64))
    send_all(upload)
    with pytest.raises(Refused, match=r"a\.zip: its SHA-256 is not the one"):
        assembled(upload)
    right = begun(study, researcher, FileToCome("a.zip", 10, sha256=hashlib.sha256(CONTENT).hexdigest()))
    send_all(right)
    assert assembled(right).joinpath("a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("files", "kind", "sentence"),
    [
        ([], "images", "files: send 1 to"),
        ([FileToCome("../a.zip", 1)], "images", "must not leave"),
        ([FileToCome("/etc/a.zip", 1)], "images", "must not be absolute"),
        ([FileToCome("a.zip", 0)], "images", r"a\.zip is empty"),
        ([FileToCome("a.png", 1), FileToCome("A.png", 1)], "images", r"A\.png is listed twice"),
        ([FileToCome("a.csv", 1), FileToCome("b.csv", 1)], "votes", "an upload of votes is one file"),
        ([FileToCome("/".join("x" * 200 for _ in range(6)), 1)], "images", "at most 1,000 bytes"),
        ([FileToCome("/".join("湖" * 80 for _ in range(5)), 1)], "images", "at most 1,000 bytes"),
    ],
)
def test_what_cannot_be_imported_is_refused_before_it_comes(
    study: Study, researcher: User, files: list[FileToCome], kind: str, sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        begin(study=study, kind=kind, files=files, options={}, actor=researcher)
    assert not Upload.objects.exists()


def test_a_model_that_the_study_lacks_is_refused_before_its_images_come(study: Study, researcher: User) -> None:
    wanted = r"model: .* has no model alpha \(did you mean “Alpha”\?\); it has Alpha, Beta\."
    with pytest.raises(Refused, match=wanted):
        begin(study=study, kind="images", files=[FileToCome("a.zip", 1)], options={"model": "alpha"}, actor=researcher)


def test_limits_and_the_quota_of_an_account(study: Study, researcher: User, settings: Settings) -> None:
    settings.UPLOAD_MOST_BYTES, settings.UPLOAD_QUOTA_BYTES = 10, 15
    with pytest.raises(Refused, match="UPLOAD_MOST_BYTES"):
        begun(study, researcher, FileToCome("a.zip", 11))
    first = begun(study, researcher)
    with pytest.raises(Refused, match="UPLOAD_QUOTA_BYTES"):
        begun(study, researcher, FileToCome("b.zip", 6))
    begun(study, User.objects.create_user("colleague", is_staff=True), FileToCome("b.zip", 6))
    delete_upload(upload=first, actor=researcher)
    assert begun(study, researcher, FileToCome("b.zip", 6)).byte_count == 6
    settings.UPLOAD_FREE_BYTES = 2**62
    with pytest.raises(Refused, match="disk has too little room"):
        begun(study, researcher, FileToCome("c.zip", 1))


def test_what_does_not_go_on_is_deleted_after_a_week(study: Study, researcher: User) -> None:
    old, new, at_work = (begun(study, researcher, FileToCome(f"{name}.zip", 10)) for name in "abc")
    for upload in (old, new, at_work):
        send_all(upload)
    finish(upload=at_work, actor=researcher)
    orphan = folder_of(old).with_name("orphan")
    orphan.mkdir()
    long_ago = timezone.now() - timedelta(days=8)
    os.utime(orphan, (long_ago.timestamp(), long_ago.timestamp()))
    Upload.objects.filter(pk__in=[old.pk, at_work.pk]).update(changed_at=long_ago)
    delete_old_uploads(timezone.now())
    delete_old_uploads(timezone.now())
    assert [one.is_dir() for one in (folder_of(old), folder_of(new), folder_of(at_work), orphan)] == [
        False,
        True,
        True,
        False,
    ]
    old.refresh_from_db()
    assert not old.is_stored
    with pytest.raises(Refused, match="is being imported"):
        delete_upload(upload=at_work, actor=researcher)
    UploadJob.objects.update(state="failed", error="It failed.")
    delete_upload(upload=at_work, actor=researcher)
    assert not folder_of(at_work).exists()


def test_a_piece_is_never_half_there(study: Study, researcher: User) -> None:
    upload = begun(study, researcher)

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError

    with pytest.raises((ConnectionResetError, Refused)):
        take_piece(upload=upload, place=Place(0, 0), sha256="0" * 64, content=Broken())
    assert first_missing(upload) == Place(0, 0)
    assert [file for file in Path(folder_of(upload)).rglob("*") if file.is_file()] == []
