"""Prompts are encoded once: ahead and on disk where the text encoders are large, in memory where they stay."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_django.fixtures import Settings

from generation.models import DiffusionModel
from generation.pipelines import encoding, prompt_cache
from generation.pipelines.loaded import Loaded
from generation.pipelines.loading import load
from generation.plans.orders import Order
from generation.plans.parameters import SamplingParameters
from generation.sampling import sampling
from generation.sampling.sampling import Sampled
from tests.generation.planned_sets import SMALL

PROMPTS = ("a red cube", "a green ring", "a blue cone")


@pytest.fixture(autouse=True)
def cache(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """The folder of the encoded prompts; text encoders of any size are dropped."""
    settings.PROMPT_CACHE_ROOT = tmp_path / "prompts"
    settings.KEEP_TEXT_ENCODERS_GIB = 0
    Loaded.cached = None
    yield tmp_path / "prompts"
    Loaded.cached = None


@pytest.fixture(
    params=["pixart", pytest.param("sdxl", marks=pytest.mark.slow), pytest.param("sd", marks=pytest.mark.slow)]
)
def model(tiny_models: Path, request: pytest.FixtureRequest) -> DiffusionModel:
    return DiffusionModel(name=request.param, checkpoint=str(tiny_models / request.param))


@pytest.fixture
def sdxl(tiny_models: Path) -> DiffusionModel:
    return DiffusionModel(name="sdxl", checkpoint=str(tiny_models / "sdxl"))


def orders(model: DiffusionModel) -> list[Order]:
    return [Order(model, prompt, SMALL) for prompt in PROMPTS]


def sample(model: DiffusionModel, prompt: str = PROMPTS[0], parameters: SamplingParameters = SMALL) -> list[Sampled]:
    order = Order(model, prompt, parameters)
    return list(sampling.sample(order, [1, 2], check=lambda: None, upcoming=lambda: orders(model)))


def pixels(sampled: list[Sampled]) -> list[bytes]:
    return [one.image.tobytes() for one in sampled]


def test_dropped_text_encoders_change_no_image(model: DiffusionModel, settings: Settings, cache: Path) -> None:
    made = [pixels(sample(model, prompt)) for prompt in PROMPTS]
    cached = Loaded.cached
    assert cached is not None
    assert not cached.text_encoders()
    assert len(list(cache.glob("*.safetensors"))) == len(PROMPTS)
    Loaded.cached = None
    settings.KEEP_TEXT_ENCODERS_GIB = 1
    assert [pixels(sample(model, prompt)) for prompt in PROMPTS] == made
    assert load(model).text_encoders()


def test_all_prompts_are_encoded_before_the_first_is_sampled(model: DiffusionModel) -> None:
    sample(model)
    cached = Loaded.cached
    for prompt in PROMPTS:
        sample(model, prompt)
    assert Loaded.cached is cached


def test_a_prompt_that_nobody_foretold_loads_the_encoders_again(sdxl: DiffusionModel) -> None:
    sample(sdxl)
    first = Loaded.cached
    later = sample(sdxl, "a white ball")
    assert Loaded.cached is not first
    Loaded.cached = None
    assert pixels(sample(sdxl, "a white ball")) == pixels(later)


def test_guidance_and_negative_prompt_are_part_of_what_is_encoded(sdxl: DiffusionModel, cache: Path) -> None:
    for parameters in (
        SMALL,
        SamplingParameters(64, 64, 2, guidance_scale=1.0),
        SamplingParameters(64, 64, 2, negative_prompt="b"),
    ):
        sample(sdxl, parameters=parameters)
    assert len(list(cache.glob("*.safetensors"))) == len(PROMPTS) + 2


def test_a_lora_and_another_dtype_are_encoded_anew(tiny_models: Path, sdxl: DiffusionModel, cache: Path) -> None:
    plain = pixels(sample(sdxl))
    sdxl.lora, sdxl.lora_scale = str(tiny_models / "sdxl-lora"), 0.6
    assert pixels(sample(sdxl)) != plain
    sdxl.lora, sdxl.lora_scale, sdxl.dtype = "", None, "bfloat16"
    sample(sdxl)
    assert len(list(cache.glob("*.safetensors"))) == 3 * len(PROMPTS)


def test_a_class_whose_encoding_cannot_be_foretold_keeps_its_encoders(
    sdxl: DiffusionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = pixels(sample(sdxl))
    Loaded.cached = None
    monkeypatch.setattr(encoding, "expected_calls", lambda *_: [])
    assert pixels(sample(sdxl, "a white ball")) != expected
    assert load(sdxl).text_encoders()


def test_a_damaged_file_is_encoded_again(sdxl: DiffusionModel, cache: Path) -> None:
    made = pixels(sample(sdxl))
    for file in cache.glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:100])
    Loaded.cached = None
    assert pixels(sample(sdxl)) == made


def test_stored_outputs_come_back_as_they_were(cache: Path) -> None:
    outputs: Any = (torch.rand(1, 3, dtype=torch.bfloat16), None, [torch.rand(2), torch.rand(3)], [])
    prompt_cache.write("key", outputs)
    read: Any = prompt_cache.read("key")
    assert torch.equal(read[0], outputs[0])
    assert (read[1], read[3]) == (None, [])
    assert all(torch.equal(one, other) for one, other in zip(read[2], outputs[2], strict=True))
    assert prompt_cache.read("other") is None


def test_the_least_recently_used_go_first(settings: Settings, cache: Path) -> None:
    size = prompt_cache.write("0", (torch.zeros(1000),))
    settings.PROMPT_CACHE_BYTES = 3 * size
    for number in range(1, 3):
        prompt_cache.write(str(number), (torch.zeros(1000),))
    for number in range(3):
        os.utime(cache / f"{number}.safetensors", (number, number))
    assert prompt_cache.read("0") is not None  # used last now
    prompt_cache.write("3", (torch.zeros(1000),))
    assert sorted(file.stem for file in cache.iterdir()) == ["0", "2", "3"]
