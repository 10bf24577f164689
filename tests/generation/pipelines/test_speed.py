"""Speed settings: the same images but for a level here and there, with and without a LoRA, and recorded."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from generation.models import DiffusionModel
from generation.pipelines import speed
from generation.pipelines.loaded import Loaded
from generation.plans.image_sets import plan_image_sets
from generation.plans.orders import Order
from generation.sampling import sampling
from generation.sampling.batches import Batch, BatchSizes, planned_batch
from generation.sampling.regeneration import regenerate
from generation.sampling.sampling import Sampled
from generation.sampling.trial_image import try_model
from generation.tasks import run_generation_job
from jobs.refusals import Refused
from tests.generation.planned_sets import SMALL, diffusion_model
from tests.generation.sampling.test_sampling import distance

ALL = {"compile": True, "channels_last": True, "fused_qkv": True}


@pytest.fixture(autouse=True)
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The denoiser is traced, guarded and called as if it were compiled, without a compiler; nothing is cached."""
    Loaded.cached = None
    monkeypatch.setattr(speed, "BACKEND", "eager")
    yield
    Loaded.cached = None
    torch._dynamo.reset()


def model_of(folder: Path, **fields: Any) -> DiffusionModel:
    return DiffusionModel(name="m", checkpoint=str(folder), **fields)


def sdxl(folder: Path, *, has_lora: bool = False, lora_scale: float = 0.6, **fields: Any) -> DiffusionModel:
    lora = {"lora": str(folder / "sdxl-lora"), "lora_scale": lora_scale} if has_lora else {}
    return model_of(folder / "sdxl", **lora, **fields)


def made(model: DiffusionModel, seeds: Sequence[int] = (1, 2), padded_to: int = 0) -> list[Sampled]:
    order = Order(model, "a red cube", SMALL)
    batches = sampling.sample_batches(order, [seeds], check=lambda: None, padded_to=padded_to)
    return [one for batch in batches for one in batch]


def farthest(some: Sequence[Sampled], others: Sequence[Sampled]) -> int:
    return max(distance(one.image, other.image) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize("fast", [{"channels_last": True}, {"fused_qkv": True}, ALL], ids=["channels", "qkv", "all"])
def test_a_lora_is_whole_with_every_setting(tiny_models: Path, fast: dict[str, bool]) -> None:
    plain, styled = made(sdxl(tiny_models)), made(sdxl(tiny_models, has_lora=True))
    assert farthest(plain, styled) > 50
    # In this order, so that the settings of the base would stay with the LoRA if anything did.
    for has_lora, expected in ((False, plain), (True, styled), (False, plain)):
        assert farthest(made(sdxl(tiny_models, has_lora=has_lora, **fast)), expected) <= 1


def test_a_compiled_lora_has_its_own_scale(tiny_models: Path) -> None:
    styled = made(sdxl(tiny_models, has_lora=True, compile=True))
    stronger = made(sdxl(tiny_models, has_lora=True, lora_scale=1.5))
    assert farthest(stronger, styled) > 20
    assert farthest(made(sdxl(tiny_models, has_lora=True, lora_scale=1.5, compile=True)), stronger) <= 1


def test_what_was_used_is_recorded_and_what_was_not_says_why(tiny_models: Path) -> None:
    [plain] = made(sdxl(tiny_models), [1])
    assert plain.provenance["compiled"] == "no"
    assert not {"channels_last", "fused_qkv"} & plain.provenance.keys()
    [fast] = made(sdxl(tiny_models, **ALL), [1])
    used = {"compiled": "repeated blocks by eager", "channels_last": "denoiser, decoder", "fused_qkv": "denoiser"}
    assert fast.provenance | used == fast.provenance
    assert "FusedAttnProcessor2_0" in fast.provenance["attention"]
    [styled] = made(sdxl(tiny_models, has_lora=True, **ALL), [1])
    assert styled.provenance["fused_qkv"].startswith("no: a LoRA is attached")
    assert "FusedAttnProcessor2_0" not in styled.provenance["attention"]
    [whole] = made(model_of(tiny_models / "pixart", compile=True), [1])
    assert whole.provenance["compiled"] == "whole denoiser by eager"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flux", "sd3"])
def test_other_classes_make_the_same_images(tiny_families: Path, name: str) -> None:
    options = {"options": {"scheduler": "checkpoint"}}
    plain, fast = (made(model_of(tiny_families / name, **options, **given), [1]) for given in ({}, ALL))
    assert farthest(fast, plain) <= 1
    assert fast[0].provenance["compiled"] != "no"


def test_a_last_batch_is_padded_and_what_pads_it_is_thrown_away(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, sizes = sampling._run, []

    def spied(loaded: Any, order: Any, seeds: Sequence[int], check: Any) -> Any:
        sizes.append(list(seeds))
        return run(loaded, order, seeds, check)

    monkeypatch.setattr(sampling, "_run", spied)
    compiled = made(sdxl(tiny_models, compile=True), [7], padded_to=3)
    assert ([one.seed for one in compiled], sizes.pop()) == ([7], [7, 7, 7])
    assert compiled[0].provenance | {"batch": [7], "batch_size": 1, "padded_batch_size": 3} == compiled[0].provenance
    eager = made(sdxl(tiny_models), [7], padded_to=3)
    assert (sizes.pop(), "padded_batch_size" in eager[0].provenance) == ([7], False)
    assert farthest(compiled, eager) <= 1


@pytest.mark.django_db
def test_a_compiled_set_is_sampled_in_batches_of_one_size_and_made_again_alike(tiny_models: Path) -> None:
    model = diffusion_model("fast", checkpoint=str(tiny_models / "sdxl"), compile=True)
    [image_set] = plan_image_sets(diffusion_model=model, prompts=["a red cube"], parameters=SMALL, seeds=range(6))
    run_generation_job()
    images = {image.seed: image for image in image_set.images.all()}
    assert sorted(images) == list(range(6))
    sizes = {seed: image.provenance.get("padded_batch_size") for seed, image in images.items()}
    assert sizes == {0: None, 1: None, 2: None, 3: None, 4: 4, 5: 4}
    again = regenerate(images[5])
    assert (again.is_identical, again.changes) == (True, ())


def test_a_full_memory_halves_what_is_padded_too(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    run, sizes = sampling._run, BatchSizes(8)

    def with_room_for_two(loaded: Any, order: Any, seeds: Sequence[int], check: Any) -> Any:
        tried.append(len(seeds))
        if len(seeds) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(loaded, order, seeds, check)

    monkeypatch.setattr(sampling, "_run", with_room_for_two)
    monkeypatch.setattr(sampling, "batch_sizes", lambda: sizes)
    images = made(sdxl(tiny_models, compile=True), [1, 2, 3], padded_to=8)
    assert ([one.seed for one in images], tried) == ([1, 2, 3], [8, 4, 2, 2])


def test_halves_of_a_padded_batch() -> None:
    assert planned_batch([5], 4).halves() == [Batch([5], 1, 2)]
    assert planned_batch([5], 4).halves()[0].halves() == [Batch([5], 1, 1)]


def test_without_a_compiler_images_are_made_eagerly_and_say_so(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("No working C++ compiler found in torch._inductor.config.cpp.cxx")

    monkeypatch.setattr(speed, "BACKEND", broken)
    plain = made(sdxl(tiny_models))
    outcome = try_model(Order(sdxl(tiny_models, compile=True), "a red cube", SMALL))
    reason = "torch.compile found no C++ compiler on the worker's host; install g++"
    assert outcome.warnings == (f"m is sampled without compile: {reason}.",)
    fast = made(sdxl(tiny_models, compile=True), padded_to=4)
    assert [one.image.tobytes() for one in fast] == [one.image.tobytes() for one in plain]
    assert fast[0].provenance["compiled"] == f"no: {reason}"
    assert "padded_batch_size" not in fast[0].provenance


def test_why_nothing_was_compiled() -> None:
    lacking = RuntimeError("Failed to find C compiler. Please specify via CC environment variable")
    assert speed._why_not_compiled(lacking).startswith("torch.compile found no C++ compiler")
    other = RuntimeError("backend='inductor' raised:\n  Unsupported: a graph")
    assert speed._why_not_compiled(other) == "torch.compile failed (backend='inductor' raised: Unsupported: a graph)"


def test_a_fault_of_the_card_or_of_the_model_is_none_of_the_compiler(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = sdxl(tiny_models, compile=True)
    made(model, [1])

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(message)

    for message, is_still_compiled in (("CUDA error: an illegal memory access", True), ("a shape differs", False)):
        monkeypatch.setattr(Loaded.cached.denoiser, "forward", fail)  # type: ignore[union-attr]
        with pytest.raises((RuntimeError, Refused), match=message):
            made(model, [1])
        assert Loaded.cached is not None
        assert Loaded.cached.is_compiled is is_still_compiled


@pytest.mark.slow
@pytest.mark.parametrize("has_lora", [False, True])
def test_compiled_by_inductor(tiny_models: Path, monkeypatch: pytest.MonkeyPatch, has_lora: bool) -> None:
    monkeypatch.setattr(speed, "BACKEND", "inductor")
    plain = made(sdxl(tiny_models, has_lora=has_lora))
    fast = made(sdxl(tiny_models, has_lora=has_lora, **ALL))
    assert fast[0].provenance["compiled"] == "repeated blocks by inductor"
    assert farthest(fast, plain) <= 2
