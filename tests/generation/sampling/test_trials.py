"""Trials of models: one image on a worker before a study is launched."""

import shutil
import socket
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from generation.machines import devices
from generation.machines.claiming import can_run
from generation.machines.workers import leave_sign
from generation.models import DiffusionModel, ModelTrial
from generation.pipelines.loaded import Loaded
from generation.plans.image_sets import plan_image_sets
from generation.plans.orders import Order
from generation.sampling import trial_image
from generation.sampling.inspection import inspection_of, licence_of, planned_check
from generation.sampling.trials import Outcome, outcome_of, planned_trial
from generation.tasks import run_generation_job, run_model_trial
from jobs.claims import requeue
from jobs.refusals import Refused
from tests.generation.planned_sets import SMALL, diffusion_model

pytestmark = pytest.mark.django_db
State = ModelTrial.State


@pytest.fixture(autouse=True)
def loaded_anew() -> Iterator[None]:
    Loaded.cached = None
    yield
    Loaded.cached = None


@pytest.fixture
def model(tiny_models: Path) -> DiffusionModel:
    return diffusion_model("tiny", checkpoint=str(tiny_models / "sdxl"), dtype="auto")


def planned(model: DiffusionModel, **changes: Any) -> ModelTrial:
    return planned_trial(Order(model, "a red cube", replace(SMALL, **changes)))


def tried(trial: ModelTrial) -> Outcome:
    run_model_trial()
    trial.refresh_from_db()
    assert trial.state == State.DONE, trial.error
    outcome = outcome_of(trial)
    assert outcome is not None
    return outcome


def test_a_trial_makes_one_image_and_says_what_it_cost(model: DiffusionModel) -> None:
    trial = planned(model)
    outcome = tried(trial)
    assert (outcome.pipeline, outcome.size, outcome.sampled_size) == ("StableDiffusionXLPipeline", (64, 64), (64, 64))
    assert (outcome.dtype, outcome.vae_dtype, outcome.memory_gib) == ("float32", "float32", None)
    assert outcome.load_seconds > 0 < outcome.image_seconds
    assert b64decode(outcome.picture)[8:12] == b"WEBP"
    words = replace(outcome, load_seconds=3.2, image_seconds=1.5).in_words("tiny", 4000)
    assert words == (
        "tiny was tried on cpu in float32: loaded in 3 s, one image of 64 x 64 px in 1.5 s; "
        "at this rate 4000 images take 100 min, less in batches."
    )


def test_auto_is_resolved_once_and_frozen(model: DiffusionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="tiny: its dtype is auto and no worker has tried it yet"):
        plan_image_sets(diffusion_model=model, prompts=["a"], parameters=SMALL, seeds=[1])
    monkeypatch.setattr(trial_image, "best_dtype", lambda: "bfloat16")
    assert tried(planned(model)).dtype == "bfloat16"
    model.refresh_from_db()
    assert (model.dtype, model.resolved_dtype, model.dtype_in_use) == ("auto", "bfloat16", "bfloat16")
    monkeypatch.setattr(trial_image, "best_dtype", lambda: "float32")
    assert tried(planned(model, width=72)).dtype == "bfloat16"
    [image_set] = plan_image_sets(diffusion_model=model, prompts=["a"], parameters=SMALL, seeds=[1])
    run_generation_job()
    assert image_set.images.get().provenance["dtype"] == "bfloat16"


def test_a_model_is_tried_again_if_anything_changes_or_its_worker_is_gone(model: DiffusionModel) -> None:
    trial = planned(model)
    tried(trial)
    assert planned(model) == trial
    assert planned(model).state == State.DONE
    assert planned(model, num_inference_steps=3) != trial
    leave_sign(name="gpu@elsewhere")
    assert planned(model).state == State.QUEUED
    tried(trial)
    leave_sign(name=f"gpu@{socket.gethostname()}")
    assert planned(model).state == State.DONE


def test_a_trial_that_fails_says_why(model: DiffusionModel) -> None:
    model.options = {"nonsense": 1}
    model.save()
    trial = planned(model)
    run_model_trial()
    trial.refresh_from_db()
    assert trial.state == State.FAILED
    assert trial.error.startswith("tiny: options.nonsense is nothing that StableDiffusionXLPipeline takes")
    assert outcome_of(trial) is None


def test_a_check_names_licence_size_and_hash_and_refuses_other_weights(tiny_models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_models / "sdxl", folder)
    (folder / "README.md").write_text("---\ntags: [a]\nlicense: other\nlicense_name: 'tiny-1.0'\n---\nlicense: no\n")
    model = diffusion_model("tiny", checkpoint=str(folder))

    def checked() -> ModelTrial:
        trial = planned_check(model)
        requeue(ModelTrial.objects.filter(pk=trial.pk))
        run_model_trial()
        trial.refresh_from_db()
        return trial

    found = inspection_of(checked())
    assert found is not None
    assert (found.pipeline, found.licence) == ("StableDiffusionXLPipeline", "tiny-1.0")
    assert found.host == socket.gethostname()
    assert found.byte_count > 1_000_000
    plan_image_sets(diffusion_model=model, prompts=["a"], parameters=SMALL, seeds=[1])
    run_generation_job()
    assert inspection_of(checked()) == found, "the hash that is recorded with each image"
    weights = next(file for file in folder.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes() + b" ")
    failed = checked()
    assert (failed.state, inspection_of(failed)) == (State.FAILED, None)
    assert "are not those that made its latest image" in failed.error
    (folder / "README.md").unlink()
    (folder / "LICENSE").write_text("\n# MIT License\n\nCopyright\n")
    assert licence_of(folder) == "MIT License"
    shutil.rmtree(folder)
    assert "there is no" in checked().error
    assert licence_of(folder) == ""


def test_what_the_card_makes_of_a_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.best_dtype() == "float32"
    assert not devices.can_compute_in("float16")
    monkeypatch.setattr(devices, "device", lambda: "cuda")
    for has_it, best in ((True, "bfloat16"), (False, "float16")):
        monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation, has_it=has_it: has_it)
        assert devices.best_dtype() == best
        assert can_run(DiffusionModel(dtype="bfloat16")) is has_it
        assert can_run(DiffusionModel(dtype="auto", resolved_dtype="float16"))


def test_warnings_say_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    order = Order(DiffusionModel(name="PixArt", dtype="float32"), "a", replace(SMALL, width=768, height=768))
    assert trial_image._warnings(order, (768, 768)) == []
    [binned] = trial_image._warnings(order, (1024, 1024))
    assert binned.startswith("PixArt samples at 1024 x 1024 px, the nearest size that it was trained on")
    monkeypatch.setattr(trial_image, "device", lambda: "cuda")
    monkeypatch.setattr(trial_image, "device_name", lambda: "NVIDIA X")
    [costly] = trial_image._warnings(order, (768, 768))
    assert costly.startswith("PixArt is sampled in float32, which takes about 4 to 15 times as long on NVIDIA X")
