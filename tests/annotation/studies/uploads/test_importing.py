"""The import of uploads: images, votes and scores, by a job that may stop and go on."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from PIL import Image

from annotation import tasks
from annotation.models import AuditEntry, Study, StudyEvent, StudyShare, Upload, UploadJob, Vote
from annotation.studies.uploads import importing
from annotation.studies.uploads.receiving import FileToCome, Place, begin, finish, folder_of, take_piece
from annotation.web.upload_documents import upload_out
from generation.models import GeneratedImage, ImageSet
from jobs.models import LeasedJob
from jobs.refusals import Refused
from scoring.models import SetScore
from tests.factories import make_researcher, make_study, member

pytestmark = pytest.mark.django_db
PROMPTS = ("prompt 1", "prompt 2")


@pytest.fixture
def researcher() -> User:
    return make_researcher()


def picture(colour: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (colour, 90, 200 - colour)).save(buffer, "PNG")
    return buffer.getvalue()


def images(models: tuple[str, ...] = ("Alpha", "Beta"), prompts: tuple[str, ...] = PROMPTS) -> dict[str, bytes]:
    paths = [f"{model}/{prompt}/{seed}.png" for model in models for prompt in prompts for seed in range(2)]
    return {path: picture(place * 9) for place, path in enumerate(paths)}


def zipped(files: dict[str, bytes]) -> dict[str, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return {"images.zip": buffer.getvalue()}


def uploaded(study: Study, actor: User, kind: str, files: dict[str, bytes], **options: Any) -> Upload:
    described = [FileToCome(path, len(content)) for path, content in files.items()]
    upload = begin(study=study, kind=kind, files=described, options=options, actor=actor)
    for number, content in enumerate(files.values()):
        digest = hashlib.sha256(content).hexdigest()
        take_piece(upload=upload, place=Place(number, 0), sha256=digest, content=io.BytesIO(content))
    finish(upload=upload, actor=actor)
    return upload


def imported(upload: Upload) -> UploadJob:
    """Run the task twice, as every task may be."""
    tasks.import_upload()
    tasks.import_upload()
    return UploadJob.objects.get(upload=upload)


@pytest.mark.parametrize("form", [zipped, dict, lambda files: {f"mine/{path}": one for path, one in files.items()}])
def test_own_images_from_a_zip_or_from_single_files(
    researcher: User, form: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    study = make_study(state="draft", comparisons=2)
    upload = uploaded(study, researcher, "images", form(images()))
    job = imported(upload)
    assert (job.state, job.error, job.percent) == ("done", "", 100)
    assert job.outcome["summary"] == "4 sets with 8 images imported."
    assert job.outcome["faults"] == []
    assert ImageSet.objects.filter(diffusion_model__name="Alpha", prompt__text="prompt 1").count() == 1
    assert not folder_of(upload).exists()
    upload.refresh_from_db()
    assert not upload.is_stored, "it counts no more against the quota"
    again = imported(uploaded(study, researcher, "images", form(images())))
    assert again.outcome["summary"] == "0 sets with 0 images imported, 4 unchanged."


def test_sets_of_other_models_and_prompts_are_left_out_by_name(researcher: User) -> None:
    study = make_study(state="draft", comparisons=2)
    files = images(models=("Alpha", "Gamma"), prompts=("prompt 1", "promt 2"))
    files["Alpha/prompt 2/0.png"] = b"no image"
    job = imported(uploaded(study, researcher, "images", zipped(files)))
    assert job.outcome["sets"] == 1
    faults = "\n".join(job.outcome["faults"])
    assert "Gamma" in faults
    assert "it has Alpha" in faults
    assert "did you mean" in faults.lower()
    assert "0.png" in faults
    assert set(GeneratedImage.objects.values_list("image_set__diffusion_model__name", flat=True)) == {"Alpha"}


def test_the_images_of_one_model_may_lack_its_folder(researcher: User) -> None:
    study = make_study(state="draft", comparisons=2)
    files = {path.removeprefix("Alpha/"): one for path, one in images(models=("Alpha",)).items()}
    assert imported(uploaded(study, researcher, "images", zipped(files), model="Alpha")).outcome["sets"] == 2


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/b.zip"])
def test_a_trap_in_a_zip_fails_the_job_with_its_name(researcher: User, name: str) -> None:
    study = make_study(state="draft", comparisons=2)
    upload = uploaded(study, researcher, "images", zipped(images() | {name: b"x"}))
    job = imported(upload)
    assert job.state == LeasedJob.State.FAILED
    assert "images.zip" in job.error
    assert name in job.error
    assert not GeneratedImage.objects.exists()
    assert upload.is_stored


def test_an_import_that_failed_for_good_is_tried_again_with_the_files_that_came(researcher: User) -> None:
    study = make_study(state="draft", comparisons=2)
    upload = uploaded(study, researcher, "images", zipped(images()))
    waiting = upload_out(Upload.objects.get(pk=upload.pk))
    assert waiting.step.startswith("No worker is running that imports files. Ask an admin to start one: ")
    UploadJob.objects.update(state="failed", attempt_count=3, error="Given up after 3 attempts: it stopped answering.")
    assert upload_out(Upload.objects.get(pk=upload.pk)).may_be_retried
    job = finish(upload=upload, actor=researcher)
    assert (job.state, job.attempt_count, job.error) == ("queued", 0, "")
    assert AuditEntry.objects.filter(verb="import tried again").count() == 1
    assert imported(upload).outcome["summary"] == "4 sets with 8 images imported."
    assert finish(upload=upload, actor=researcher).state == "done", "what is imported is not imported again"
    UploadJob.objects.update(state="failed", error="It failed.")
    with pytest.raises(Refused, match="its files are deleted; upload them again"):
        finish(upload=upload, actor=researcher)


def test_an_import_that_another_editor_tries_again_has_the_rights_of_the_account_that_sent_it(
    researcher: User,
) -> None:
    hidden, study = make_study(slug="hidden", state="draft"), make_study(slug="mine", state="draft", comparisons=2)
    colleague, access = member(study, "editor"), StudyShare.objects.get(study=hidden, account=researcher)
    with pytest.raises(Refused, match="another study, which is not shared with this account, has images of that name"):
        uploaded(study, colleague, "images", zipped(images()))
    upload = uploaded(study, researcher, "images", zipped(images()))
    UploadJob.objects.update(state="failed", error="It stopped answering.")
    finish(upload=upload, actor=colleague)
    assert AuditEntry.objects.get(verb="import tried again").actor_name == "editor"
    access.delete()
    assert "not shared with this account" in imported(upload).error, "the sender lost access meanwhile"
    access.save()
    finish(upload=upload, actor=colleague)
    assert imported(upload).outcome["summary"] == "4 sets with 8 images imported."


def test_a_failed_import_is_tried_again_by_a_command(researcher: User) -> None:
    study, other = make_study(state="draft", comparisons=2), make_study(slug="other", state="draft")
    upload = uploaded(study, researcher, "images", zipped(images()))
    with pytest.raises(CommandError, match=r"images\.zip is queued: only an import that failed is tried again"):
        call_command("retry_import", study.slug, str(upload.pk))
    UploadJob.objects.update(state="failed", attempt_count=3, error="It stopped answering.")
    assert printed("retry_import", study.slug) == (
        f"{upload.pk}: images from images.zip, failed: It stopped answering.\n"
    )
    assert json.loads(printed("retry_import", study.slug, "--format", "json"))["uploads"][0]["may_be_retried"]
    document = json.loads(printed("retry_import", study.slug, str(upload.pk), "--format", "json"))
    assert (document["id"], document["state"]) == (upload.pk, "queued")
    assert imported(upload).outcome["sets"] == 4
    assert AuditEntry.objects.get(verb="import tried again").actor_name == ""
    UploadJob.objects.update(state="failed", error="It failed.")
    with pytest.raises(CommandError, match="its files are deleted; upload them again"):
        call_command("retry_import", study.slug, str(upload.pk))
    with pytest.raises(CommandError, match=f"has no upload {upload.pk}; .*retry_import other lists them"):
        call_command("retry_import", other.slug, str(upload.pk))
    assert printed("retry_import", other.slug) == "Other has no uploads.\n"


def printed(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_a_fault_of_a_manifest_names_no_folder_of_the_server(researcher: User) -> None:
    study, files = make_study(state="draft", comparisons=2), {"manifest.csv": b"path,model\n", **images()}
    job = imported(uploaded(study, researcher, "images", zipped(files)))
    assert job.error.startswith("manifest.csv line 1 must name the columns path,model,prompt,seed")


def test_what_a_refused_zip_holds_unpacked_is_deleted_because_no_quota_counts_it(researcher: User) -> None:
    upload = uploaded(make_study(state="draft"), researcher, "images", zipped({"a.png": b"x", "b.png": b"y"}))
    assert imported(upload).state == LeasedJob.State.FAILED
    assert [path.name for path in folder_of(upload).iterdir()] == ["pieces", "whole"]


def test_an_import_waits_for_room_on_the_disk_and_then_goes_on(researcher: User, settings: Any) -> None:
    upload = uploaded(make_study(state="draft", comparisons=2), researcher, "images", zipped(images()))
    free, settings.UPLOAD_FREE_BYTES = settings.UPLOAD_FREE_BYTES, 2**60
    job = imported(upload)
    assert (job.state, job.attempt_count) == ("queued", 0)
    assert "is full" in upload_out(Upload.objects.get(pk=upload.pk)).step
    settings.UPLOAD_FREE_BYTES = free
    UploadJob.objects.update(not_before=None)
    assert imported(upload).outcome["summary"] == "4 sets with 8 images imported."


def test_an_image_bomb_is_left_out_by_name(researcher: User, settings: Any) -> None:
    settings.IMAGE_MOST_PIXELS = 200
    study = make_study(state="draft", comparisons=2)
    job = imported(uploaded(study, researcher, "images", zipped(images())))
    assert job.outcome["sets"] == 0
    assert len(job.outcome["faults"]) == 8
    assert "0.png" in job.outcome["faults"][0]


def test_a_study_that_is_ready_takes_no_images(researcher: User) -> None:
    job = imported(uploaded(make_study(state="open", comparisons=2), researcher, "images", zipped(images())))
    assert "takes no images now" in job.error


def test_a_long_import_leaves_its_turn_and_goes_on(researcher: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "TURN_SECONDS", -1.0)
    upload = uploaded(make_study(state="draft", comparisons=2), researcher, "images", zipped(images()))
    turns = []
    for _ in range(4):
        tasks.import_upload()
        job = UploadJob.objects.get(upload=upload)
        turns.append((job.state, job.position, job.percent, job.step))
    assert turns[0] == ("queued", 1, 25, "1 of 4 sets")
    assert [turn[1] for turn in turns] == [1, 2, 3, 4]
    assert (job.state, job.error, job.outcome["images"]) == ("done", "", 8)
    assert job.attempt_count <= 1, "leaving a turn is no attempt"


def test_votes_and_scores_from_files(researcher: User) -> None:
    study = make_study(source="external", comparisons=2, has_scores=False)
    votes = b"annotator,prompt,choice\nAda,prompt 1,Alpha\nAda,prompt 2,Beta\n"
    job = imported(uploaded(study, researcher, "votes", {"votes.csv": votes}))
    assert job.outcome["summary"] == "2 votes of 1 new annotator imported, 0 stored already."
    assert Vote.objects.count() == 2
    scores = b"prompt,score_a,score_b\nprompt 1,0.5,0.4\n"
    options = {"metric": "mine", "higher_is_more_consistent": True}
    job = imported(uploaded(study, researcher, "scores", {"scores.csv": scores}, **options))
    assert (job.error, job.outcome["summary"][:26]) == ("", "mine: 1 comparison scored,")
    assert SetScore.objects.filter(metric="mine").count() == 2
    assert set(StudyEvent.objects.filter(study=study).values_list("actor__username", flat=True)) >= {"researcher"}


def test_a_fault_of_a_table_names_its_line(researcher: User) -> None:
    study = make_study(source="external", comparisons=2, has_scores=False)
    votes = b"annotator,prompt,choice\nAda,prompt 9,Alpha\n"
    job = imported(uploaded(study, researcher, "votes", {"votes.csv": votes}))
    assert job.state == "failed"
    assert "prompt 9" in job.error
    assert "votes.csv" in job.error
    assert str(Path(folder_of(job.upload))) not in job.error, "no path of the server"


def test_files_that_are_gone_fail_with_a_sentence(researcher: User) -> None:
    upload = uploaded(make_study(state="draft", comparisons=2), researcher, "images", zipped(images()))
    Upload.objects.update(is_stored=False)
    assert "upload them again" in imported(upload).error
