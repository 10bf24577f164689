"""Every class of text-to-image pipeline: what each can do, and one sentence for what it cannot."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytest_django.fixtures import Settings

from generation.models import DiffusionModel
from generation.pipelines.arguments import call_arguments
from generation.pipelines.families import text_to_image_classes, unfit
from generation.pipelines.loaded import Loaded
from generation.pipelines.loading import load
from generation.pipelines.schedulers import new_scheduler
from generation.plans.orders import Order
from generation.plans.parameters import SamplingParameters
from generation.sampling import sampling
from generation.sampling.sampling import Sampled
from jobs.refusals import Refused
from tests.generation.planned_sets import SMALL
from tests.untrained import set_config

OWN = replace(SMALL, scheduler="checkpoint")
PLAIN = replace(OWN, guidance_scale=1.0)
PARAMETERS = {"qwen-image": PLAIN}  # of those that cannot do OWN
FEW, REST = ("flux", "z-image"), ("sd3", "qwen-image", "sana", "kandinsky3")


@pytest.fixture(autouse=True)
def loaded_anew(settings: Settings, tmp_path: Path) -> Iterator[None]:
    settings.PROMPT_CACHE_ROOT = tmp_path / "prompts"
    Loaded.cached = None
    yield
    Loaded.cached = None


@pytest.fixture(params=[*FEW, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)])
def model(tiny_families: Path, request: pytest.FixtureRequest) -> DiffusionModel:
    return DiffusionModel(name=request.param, checkpoint=str(tiny_families / request.param))


def tiny(folder: Path, name: str, **fields: Any) -> DiffusionModel:
    return DiffusionModel(name=name, checkpoint=str(folder / name), **fields)


def sample(model: DiffusionModel, parameters: SamplingParameters | None = None, seeds: Any = (1, 2)) -> list[Sampled]:
    order = Order(model, "a red cube", parameters or PARAMETERS.get(model.name, OWN))
    return list(sampling.sample(order, seeds, check=lambda: None))


def pixels(sampled: list[Sampled]) -> list[bytes]:
    return [one.image.tobytes() for one in sampled]


def test_each_class_samples_as_its_own_call_does(model: DiffusionModel, settings: Settings) -> None:
    made = sample(model)
    assert len(set(pixels(made))) == 2
    assert pixels(sample(model)) == pixels(made)
    assert made[0].provenance["pipeline"] == type(load(model).pipeline).__name__
    loaded, parameters = load(model), PARAMETERS.get(model.name, OWN)
    loaded.pipeline.scheduler = new_scheduler(loaded.own_scheduler, "checkpoint", {})
    is_guided = "guidance_scale" in call_arguments(loaded, Order(model, "a", parameters), [1], lambda: None)
    by_itself = loaded.pipeline(
        prompt="a red cube",
        **({"negative_prompt": ""} if model.name in ("sd3", "z-image", "sana", "kandinsky3") else {}),
        **({"guidance_scale": parameters.guidance_scale} if is_guided else {}),
        **({"use_resolution_binning": False} if model.name == "sana" else {}),
        num_inference_steps=2,
        width=64,
        height=64,
        num_images_per_prompt=2,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in (1, 2)],
        output_type="np",
    ).images
    ours = np.stack([np.asarray(one.image) for one in made]).astype(int)
    assert np.abs(ours - (by_itself * 255).round()).max() <= 1
    settings.KEEP_TEXT_ENCODERS_GIB = 0
    Loaded.cached = None
    assert pixels(sample(model)) == pixels(made)
    # What Kandinsky 3 encodes cannot be foretold (its call cuts the context by itself), so it keeps its text encoder.
    assert bool(load(model).text_encoders()) == (model.name == "kandinsky3")


def test_diffusers_table_is_sorted_into_three() -> None:
    sentences = {name: unfit(kind) for name, kind in text_to_image_classes().items()}
    control = {name for name, sentence in sentences.items() if "control image" in sentence}
    combined = {name for name, sentence in sentences.items() if "put together" in sentence}
    assert (len(control), len(combined)) == (12, 4)
    others = {name: sentence for name, sentence in sentences.items() if sentence and name not in control | combined}
    assert all("Helios" in name for name in others), others  # which makes videos
    usable = {name for name, sentence in sentences.items() if not sentence}
    assert {"StableDiffusion3Pipeline", "FluxPipeline", "QwenImagePipeline", "ZImagePipeline", "SanaPipeline"} <= usable


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("FluxControlNetPipeline", "is a FluxControlNetPipeline, which needs a control image"),
        ("KandinskyV22CombinedPipeline", "which is put together from other pipelines"),
        ("HeliosPipeline", "which takes no num_images_per_prompt"),
    ],
)
def test_classes_that_are_refused_by_name(tiny_models: Path, tmp_path: Path, name: str, sentence: str) -> None:
    folder = shutil.copytree(tiny_models / "sd", tmp_path / "sd")
    set_config(folder / "model_index.json", _class_name=name)
    with pytest.raises(Refused, match=sentence):
        load(tiny(tmp_path, "sd"))


@pytest.mark.parametrize("name", ["flux", pytest.param("qwen-image", marks=pytest.mark.slow)])
def test_no_negative_prompt_without_true_guidance(tiny_families: Path, name: str) -> None:
    model = tiny(tiny_families, name)
    with pytest.raises(Refused, match=rf"{name}: \w+ takes no negative prompt; give options.true_cfg_scale above 1"):
        sample(model, replace(PLAIN, negative_prompt="blue"))
    model.options = {"true_cfg_scale": 4.0}
    one, other = sample(model, replace(PLAIN, negative_prompt="blue")), sample(model, PLAIN)
    assert pixels(one) != pixels(other)


def test_flux_takes_its_guidance_as_an_input(tiny_families: Path) -> None:
    model = tiny(tiny_families, "flux")
    assert pixels(sample(model, OWN)) != pixels(sample(model, PLAIN))


@pytest.mark.slow
def test_a_distilled_checkpoint_takes_no_guidance(tiny_families: Path) -> None:
    with pytest.raises(Refused, match=r"qwen-image: this checkpoint takes no guidance_scale .* guidance_scale = 1"):
        sample(tiny(tiny_families, "qwen-image"), OWN)
    model = tiny(tiny_families, "qwen-image", options={"true_cfg_scale": 4.0})
    assert pixels(sample(model, OWN)) != pixels(sample(tiny(tiny_families, "qwen-image")))


def test_a_flow_matching_model_keeps_its_scheduler(tiny_families: Path) -> None:
    with pytest.raises(Refused, match=r"flux: FluxPipeline works with the checkpoint's own scheduler only.*euler"):
        sample(tiny(tiny_families, "flux"), SMALL)
    model = tiny(tiny_families, "flux", options={"scheduler": "checkpoint", "shift": 5.0})
    made = sample(model, SMALL)
    assert made[0].provenance["scheduler_config"]["shift"] == 5.0
    assert made[0].provenance["scheduler"] == "checkpoint"
    assert pixels(made) != pixels(sample(tiny(tiny_families, "flux"), OWN))


def test_options_reach_the_call_and_the_scheduler(tiny_models: Path) -> None:
    plain = sample(tiny(tiny_models, "sdxl"), SMALL)
    options = {"guidance_rescale": 0.7, "original_size": [32, 32], "timestep_spacing": "trailing", "scheduler": "tcd"}
    for name, value in options.items():
        changed = sample(tiny(tiny_models, "sdxl", options={name: value}), SMALL)
        assert pixels(changed) != pixels(plain), name
        assert changed[0].provenance["options"] == {name: value}
    assert changed[0].provenance["scheduler_class"] == "TCDScheduler"


@pytest.mark.parametrize("name", ["prompt_embeds", "guidance_scale", "generator", "latents", "image", "widht"])
def test_options_that_are_none(tiny_models: Path, name: str) -> None:
    with pytest.raises(
        Refused, match=rf"sdxl: options.{name} is nothing that StableDiffusionXLPipeline takes; allowed are "
    ):
        sample(tiny(tiny_models, "sdxl", options={name: 1}), SMALL)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"guidance_rescale": "x"}, "options.guidance_rescale is 'x'; StableDiffusionXLPipeline takes a number"),
        ({"guidance_rescale": True}, "takes a number"),
        ({"clip_skip": 10**9}, "StableDiffusionXLPipeline fails with these options .* correct"),
        ({"original_size": [1, 2, 3]}, "fails with these options"),
        ({"beta_start": "x"}, "fails with these options"),
        ({"num_train_timesteps": -5}, "fails with these options"),
        ({"beta_schedule": "nope"}, r"fails with these options \(nope is not implemented"),
    ],
)
def test_values_that_the_class_cannot_use(tiny_models: Path, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(Refused, match=f"^sdxl: .*{sentence}"):
        sample(tiny(tiny_models, "sdxl", options=options), SMALL)


def test_a_size_that_the_class_cannot_make(tiny_families: Path) -> None:
    with pytest.raises(Refused, match="made images of 64 x 64 px instead of 72 x 64"):
        sample(tiny(tiny_families, "flux"), replace(OWN, width=72))
