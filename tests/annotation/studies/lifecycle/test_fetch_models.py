"""fetch_models, as a person types it, and what run_study, study_status and the pages say of the files."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from annotation.management.commands import fetch_models, run_study
from annotation.models import Study
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.needed_files import files_in_words, wanted_files
from annotation.studies.lifecycle.progress import progress
from annotation.studies.study_file.writing import write_study_file
from generation.models import FileFetch
from tests.factories import make_manifest
from tests.fake_hub import COMMIT, FakeHub

pytestmark = pytest.mark.django_db
MODEL = {"checkpoint": "owner/model", "revision": COMMIT}


def typed(*words: Any) -> str:
    out = StringIO()
    call_command(*map(str, words), stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def manifest(hub: FakeHub, tmp_path: Path) -> Any:
    """Two models of one checkpoint, and an encoder, all on the hub; nothing of them can be loaded."""
    for name, files in {
        "model": {
            "model_index.json": json.dumps({"_class_name": "X", "unet": ["diffusers", "UNet"]}),
            "unet/config.json": "{}",
            "unet/diffusion_pytorch_model.safetensors": "x" * 3000,
            "unet/diffusion_pytorch_model.fp16.safetensors": "y" * 2000,
            "unet/diffusion_pytorch_model.bin": "z" * 2000,
        },
        "clip": {"config.json": "{}", "preprocessor_config.json": "{}", "model.safetensors": "x" * 1500, "a.bin": "b"},
    }.items():
        hub.folders[f"owner/{name}"] = folder = tmp_path / name
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    return make_manifest(
        source="generated",
        model_a={"name": "Alpha", **MODEL, "variant": "fp16"},
        model_b={"name": "Beta", **MODEL, "variant": "fp16", "prompt_template": "{prompt}, painted"},
        encoder={"kind": "clip", "checkpoint": "owner/clip", "revision": COMMIT},
    )


def test_a_study_and_a_study_file_name_what_is_fetched(hub: FakeHub, manifest: Any, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(write_study_file(manifest))
    said = typed("fetch_models", file)
    assert "owner/model (fp16): 2 kB of 2 kB, 2 kB of 4 kB in all" in said
    assert said.endswith(f"2 repositories, 4 kB: everything that study uses is in {tmp_path / 'cache'}.\n")
    assert {path for path in hub.fetched_files() if path.endswith((".safetensors", ".bin"))} == {
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "model.safetensors",
    }
    asked = len(hub.requests)
    create_study(manifest=manifest)
    assert "2 repositories, 4 kB: everything" in typed("fetch_models", "study")
    assert len(hub.requests) == asked


def test_a_study_of_local_folders_needs_nothing(hub: FakeHub, tmp_path: Path) -> None:
    local = {"checkpoint": str(tmp_path)}
    create_study(
        manifest=make_manifest(
            source="generated",
            model_a={"name": "A", **local},
            model_b={"name": "B", **local},
            encoder={"kind": "clip", "checkpoint": str(tmp_path)},
        )
    )
    assert "study needs nothing of the hub" in typed("fetch_models", "study")


@pytest.mark.parametrize("words", [(), ("study", "--queued")])
def test_one_study_or_all_queued_jobs(words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="Name a study or a study file, or give --queued, one of the two"):
        typed("fetch_models", *words)


def test_refusals_and_a_hub_that_is_away_are_errors_of_one_sentence(
    hub: FakeHub, manifest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    create_study(manifest=manifest)
    hub.fail("/resolve/", 403, headers={"X-Error-Code": "GatedRepo"})
    with pytest.raises(
        CommandError, match=r"Alpha: owner/model is gated \(403\): accept its licence on http.*HF_TOKEN"
    ):
        typed("fetch_models", "study")
    hub.fail("/resolve/", 502, times=100)
    with pytest.raises(CommandError, match=r"it answers 502; what has arrived is kept\. The same command continues"):
        typed("fetch_models", "study")


def test_only_what_the_source_uses_is_wanted(manifest: Any) -> None:
    assert [one.title for one in wanted_files(manifest)] == ["owner/model (fp16)", "owner/clip"]
    images = make_manifest(encoder={"kind": "clip", "checkpoint": "owner/clip", "revision": COMMIT})
    assert [one.title for one in wanted_files(images)] == ["owner/clip"]
    assert wanted_files(make_manifest(source="external")) == []


def test_the_progress_is_shown_while_the_study_is_made(manifest: Any, admin_client: Any) -> None:
    study = create_study(manifest=manifest)
    FileFetch.objects.create(
        host="gpu", repository="owner/model", revision=COMMIT, byte_count=5, byte_total=10**10, seen_at=timezone.now()
    )
    assert files_in_words(study) == ""
    Study.objects.update(state=Study.State.GENERATING)
    study.refresh_from_db()
    sentence = "Fetching 1 kB of 10.0 GB."
    assert files_in_words(study) == sentence
    assert f"study: {sentence}" in typed("study_status", "study")
    assert json.loads(typed("study_status", "study", "--format", "json"))["fetching"] == sentence
    waiting = replace(progress(study), waiting_job_count=1)
    assert run_study._hint(study, waiting, "", timezone.now()) == sentence
    assert sentence in admin_client.get("/studies/study/").content.decode()


def test_the_worker_looks_again_after_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds, pauses = iter([False, True, True, True, False]), []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            raise SystemExit

    monkeypatch.setattr(fetch_models, "fetch_queued", lambda _needs: next(rounds))
    monkeypatch.setattr("time.sleep", pause)
    monkeypatch.setattr(fetch_models, "close_old_connections", lambda: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit):
        typed("fetch_models", "--queued")
    assert pauses == [3.0, 6.0, 12.0, 24.0, 3.0]


def test_the_encoders_of_further_metrics_are_wanted_too(manifest: Any) -> None:
    encoders = [
        {"kind": "clip", "checkpoint": "owner/clip", "revision": COMMIT},
        {"kind": "dinov2", "checkpoint": "owner/dino", "revision": COMMIT},
    ]
    plans = [{"name": "vendi", "needs": "embeddings", "encoder": encoder} for encoder in encoders]
    document = manifest.model_dump(mode="json") | {"metrics": [*plans, {"name": "own:sharp", "needs": "images"}]}
    wanted = wanted_files(type(manifest).model_validate(document))
    assert [one.title for one in wanted] == ["owner/model (fp16)", "owner/clip", "owner/dino"]
