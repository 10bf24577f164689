"""A full memory at any part of any class: the images come, in smaller batches, and nothing is left behind."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytest_django.fixtures import Settings

from generation.models import DiffusionModel
from generation.pipelines import loading
from generation.pipelines.loaded import Loaded
from generation.pipelines.loading import load
from generation.sampling import sampling
from generation.sampling.batches import BatchSizes
from generation.sampling.sampling import Sampled
from tests.generation.pipelines.test_families import FEW, REST, sample

OF_TINY_MODELS = ("sdxl with a LoRA", "sdxl", "sd", "pixart")
ALL = [
    *OF_TINY_MODELS[:1],
    *(pytest.param(name, marks=pytest.mark.slow) for name in (*OF_TINY_MODELS[1:], *FEW, *REST)),
]
SEEDS = (1, 2, 3)


@pytest.fixture(params=ALL)
def model(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[DiffusionModel]:
    settings.PROMPT_CACHE_ROOT = tmp_path / "prompts"
    Loaded.cached = None
    name = request.param.partition(" ")[0]
    folder = request.getfixturevalue("tiny_models" if request.param in OF_TINY_MODELS else "tiny_families")
    lora = {"lora": str(folder / "sdxl-lora"), "lora_scale": 0.6} if "LoRA" in request.param else {}
    yield DiffusionModel(name=name, checkpoint=str(folder / name), **lora)
    Loaded.cached = None


@pytest.fixture(autouse=True)
def sizes(monkeypatch: pytest.MonkeyPatch) -> BatchSizes:
    kept = BatchSizes(4)
    monkeypatch.setattr(sampling, "batch_sizes", lambda: kept)
    return kept


class Full:
    """Raises as a full memory does, the first `times` times that it is called."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, *_arguments: Any, **_named: Any) -> None:
        if self.left:
            self.left -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.77 GiB")


def after(full: Full, own: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does its own work unless the memory is full."""

    def call(*arguments: Any, **named: Any) -> Any:
        full()
        return own(*arguments, **named)

    return call


def close(made: list[Sampled], expected: list[Sampled]) -> bool:
    pairs = zip(made, expected, strict=True)
    return all(np.abs(np.asarray(a.image).astype(int) - np.asarray(b.image).astype(int)).max() <= 1 for a, b in pairs)


@pytest.mark.parametrize("part", ["denoiser", "decoder", "text encoder"])
def test_in_a_part(model: DiffusionModel, sizes: BatchSizes, part: str) -> None:
    expected = sample(model, seeds=SEEDS)
    loaded = load(model)
    loaded.encoded.clear()
    parts = {"denoiser": loaded.denoiser, "text encoder": next(iter(loaded.text_encoders().values()))}
    # Decoding is tried three times; then the batch is halved, as for the other parts.
    full = Full(1)
    if part == "decoder":
        loaded.decoder.decode = after(full, loaded.decoder.decode)
    else:
        parts[part].register_forward_pre_hook(full)
    made = sample(model, seeds=SEEDS)
    assert full.left == 0
    assert [one.seed for one in made] == list(SEEDS)
    assert [one.provenance["batch_size"] for one in made] == ([3, 3, 3] if part == "decoder" else [2, 2, 1])
    assert close(made, expected)
    again = load(model)
    assert again is loaded
    assert again.decoder.dtype == again.vae_dtype
    assert (again.lora is not None) == bool(model.lora)
    assert all(one.provenance.get("lora_sha256") == expected[0].provenance.get("lora_sha256") for one in made)
    if part != "decoder":  # remembered
        assert [one.provenance["batch_size"] for one in sample(model, seeds=SEEDS)] == [2, 2, 1]


@pytest.mark.parametrize("step", ["_load", "attach_lora", "_place", "set_speed"])
def test_while_loading(model: DiffusionModel, sizes: BatchSizes, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = sample(model, seeds=SEEDS)
    Loaded.cached = None
    own, full = getattr(loading, step), Full(1)
    with monkeypatch.context() as patch:
        patch.setattr(loading, step, after(full, own))
        made = sample(model, seeds=SEEDS)
    assert full.left == 0
    assert [one.image.tobytes() for one in made] == [one.image.tobytes() for one in expected]
    Loaded.cached = None
    full = Full(2)
    with monkeypatch.context() as patch:
        patch.setattr(loading, step, after(full, own))
        with pytest.raises(torch.OutOfMemoryError):  # of which `device_faults` makes a sentence
            sample(model, seeds=SEEDS)
    assert Loaded.cached is None
    assert [one.image.tobytes() for one in sample(model, seeds=SEEDS)] == [one.image.tobytes() for one in expected]
