"""Decoding: image by image, in a dtype of its own, and no denoised image is lost to a full memory."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from generation.models import DiffusionModel
from generation.pipelines import loading
from generation.pipelines.arguments import call_arguments
from generation.pipelines.loaded import Loaded
from generation.pipelines.loading import load, ready
from generation.pipelines.schedulers import new_scheduler
from generation.plans.orders import Order
from generation.sampling import sampling
from generation.sampling.batches import BatchSizes
from generation.sampling.sampling import Sampled
from jobs.refusals import Refused
from tests.generation.planned_sets import SMALL
from tests.untrained import set_config

NAMES = ("sdxl", pytest.param("sd", marks=pytest.mark.slow), pytest.param("pixart", marks=pytest.mark.slow))


@pytest.fixture(autouse=True)
def loaded_anew() -> Iterator[None]:
    Loaded.cached = None
    yield
    Loaded.cached = None


@pytest.fixture
def upcast(tiny_models: Path, tmp_path: Path) -> DiffusionModel:
    """A tiny SDXL in bfloat16 whose decoder is to work in float32, as the full-size one's."""
    folder = shutil.copytree(tiny_models / "sdxl", tmp_path / "upcast")
    set_config(folder / "vae" / "config.json", force_upcast=True)
    return DiffusionModel(name="upcast", checkpoint=str(folder), dtype="bfloat16")


def tiny(tiny_models: Path, name: str, **fields: Any) -> DiffusionModel:
    return DiffusionModel(name=name, checkpoint=str(tiny_models / name), **fields)


def sample(model: DiffusionModel, count: int = 3) -> list[Sampled]:
    return list(sampling.sample(Order(model, "a red cube", SMALL), range(count), check=lambda: None))


def pixels(sampled: list[Sampled]) -> list[bytes]:
    return [one.image.tobytes() for one in sampled]


def full(times: int, work: Callable[..., Any], seen: list[int]) -> Callable[..., Any]:
    """A function that does its work after the memory was full `times` times; `seen` counts the calls."""

    def decode(*args: Any, **named: Any) -> Any:
        seen.append(len(args[0]) if isinstance(args[0], torch.Tensor) else 1)
        if len(seen) <= times:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return work(*args, **named)

    return decode


@pytest.mark.parametrize("name", NAMES)
def test_images_are_those_that_the_pipeline_makes_by_itself(tiny_models: Path, name: str) -> None:
    model = tiny(tiny_models, name)
    loaded = ready(Order(model, "a red cube", SMALL), (), lambda: None)
    loaded.pipeline.scheduler = new_scheduler(loaded.own_scheduler, "euler", {})
    arguments = call_arguments(loaded, Order(model, "a red cube", SMALL), range(3), lambda: None)
    whole = (loaded.pipeline(**arguments).images * 255).round().astype(np.uint8)
    made = np.stack([np.asarray(one.image) for one in sample(model)])
    assert np.abs(made.astype(int) - whole.astype(int)).max() <= 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("times", [1, 2])
def test_a_full_memory_in_the_decoder_costs_no_image(
    tiny_models: Path, name: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(tiny_models, name)
    expected = pixels(sample(model))
    loaded, steps = load(model), []
    decoded: list[int] = []
    loaded.denoiser.register_forward_hook(lambda *_: steps.append(1))
    monkeypatch.setattr(loaded.decoder, "decode", full(times, loaded.decoder.decode, decoded))
    made = sample(model)
    assert pixels(made) == expected
    assert decoded == [1] * (3 + times)
    assert len(steps) == SMALL.num_inference_steps  # denoised once
    assert [one.provenance["batch_size"] for one in made] == [3, 3, 3]


class Part:
    """A part of a pipeline on a card, which has no room for it when it comes back the first time."""

    device, parameters = torch.device("cuda"), ()
    moves: list[str]

    def __init__(self) -> None:
        self.moves = []

    def to(self, place: object) -> None:
        self.moves.append(str(place))
        if self.moves == ["cpu", "cuda"]:
            raise torch.OutOfMemoryError("CUDA out of memory")


def test_parts_that_cannot_be_moved_back_are_placed_again_before_the_next_batch(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(tiny_models, "sdxl")
    expected = sample(model, 2)
    loaded, part, sizes, placed = load(model), Part(), BatchSizes(4), list[bool]()
    own, place = type(loaded.pipeline).components, loading._place

    def noted(one: Loaded) -> None:
        placed.append(one.is_placed)
        place(one)

    monkeypatch.setattr(type(loaded.pipeline), "components", property(lambda one: {**own.fget(one), "part": part}))
    monkeypatch.setattr(sampling, "batch_sizes", lambda: sizes)
    monkeypatch.setattr(loading, "_place", noted)
    monkeypatch.setattr(loaded.decoder, "decode", full(2, loaded.decoder.decode, []))
    made = sample(model, 2)
    assert part.moves == ["cpu", "cuda"]
    assert placed == [False]
    for one, before in zip(made, expected, strict=True):  # in a batch of another size
        assert np.abs(np.asarray(one.image).astype(int) - np.asarray(before.image).astype(int)).max() <= 1
    assert [one.provenance["batch_size"] for one in made] == [1, 1]


def test_a_decoder_that_never_fits_is_one_sentence(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(tiny_models, "sdxl")
    decoder = load(model).decoder
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "decode", full(99, decoder.decode, []))
        with pytest.raises(Refused, match="sdxl: an image was denoised, but the memory of cpu is too small to decode"):
            sample(model)
    assert "decode" not in vars(decoder)
    assert len(sample(model)) == 3


def test_another_error_in_the_decoder_is_one_sentence(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(tiny_models, "sdxl")
    decoder = load(model).decoder
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "decode", lambda *_args, **_named: 1 / 0)
        with pytest.raises(Refused, match=r"^sdxl: .* fails with these sampling parameters \(division by zero\)"):
            sample(model)
    assert "decode" not in vars(decoder)


def test_the_decoder_of_sdxl_works_in_float32(upcast: DiffusionModel) -> None:
    made = sample(upcast)
    loaded = load(upcast)
    assert (loaded.denoiser.dtype, loaded.decoder.dtype) == (torch.bfloat16, torch.float32)
    assert made[0].provenance["vae_dtype"] == "float32"
    upcast.vae_dtype = "bfloat16"
    rough = sample(upcast)
    assert rough[0].provenance["vae_dtype"] == "bfloat16"
    assert pixels(rough) != pixels(made)


def test_a_decoder_left_in_another_dtype_is_mended(upcast: DiffusionModel) -> None:
    upcast.vae_dtype = "bfloat16"
    expected = pixels(sample(upcast))
    load(upcast).decoder.to(torch.float32)  # as a call of diffusers leaves it that fails half-way
    assert pixels(sample(upcast)) == expected
    assert load(upcast).decoder.dtype == torch.bfloat16


def test_a_full_memory_in_the_denoiser_halves_the_batch(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(tiny_models, "sdxl")
    sizes = BatchSizes(4)
    monkeypatch.setattr(sampling, "batch_sizes", lambda: sizes)
    loaded = ready(Order(model, "a red cube", SMALL), (), lambda: None)
    forward = loaded.denoiser.forward

    def crowded(latents: torch.Tensor, *args: Any, **named: Any) -> Any:
        if len(latents) > 4:  # two images with guidance
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(latents, *args, **named)

    monkeypatch.setattr(loaded.denoiser, "forward", crowded)
    made = sample(model, 4)
    assert [(one.seed, one.provenance["batch_size"]) for one in made] == [(0, 2), (1, 2), (2, 2), (3, 2)]


@pytest.mark.parametrize("times", [1, 2])
def test_a_full_memory_at_loading(tiny_models: Path, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(tiny_models, "sdxl")
    attempts: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(loading, "_place", full(times, loading._place, attempts))
        if times == 1:
            assert len(sample(model)) == 3
        else:
            with pytest.raises(torch.OutOfMemoryError):  # of which `device_faults` makes a sentence
                sample(model)
            assert Loaded.cached is None
    assert len(attempts) == 2
    assert len(sample(model)) == 3
