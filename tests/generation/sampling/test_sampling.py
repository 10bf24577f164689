"""Sampling with very small checkpoints: reproducibility, the recorded provenance, refusals."""

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from generation.machines import devices
from generation.models import DiffusionModel
from generation.pipelines.arguments import call_arguments
from generation.pipelines.loaded import Loaded
from generation.pipelines.loading import load
from generation.plans.orders import Order
from generation.plans.parameters import SCHEDULERS, SamplingParameters
from generation.sampling import sampling
from generation.sampling.batches import BatchSizes
from generation.sampling.sampling import Sampled
from jobs.refusals import Refused
from tests.generation.planned_sets import SMALL
from tests.untrained import set_config

COMMIT = "c237dc49a33fc61debc9276459120b7eac67e7ef"


@pytest.fixture
def loaded_anew() -> Iterator[None]:
    """No pipeline is cached before or after the test, which may break one."""
    Loaded.cached = None
    yield
    Loaded.cached = None


@pytest.fixture
def sdxl(tiny_models: Path) -> DiffusionModel:
    return DiffusionModel(name="sdxl", checkpoint=str(tiny_models / "sdxl"))


@pytest.fixture
def monet(tiny_models: Path) -> DiffusionModel:
    lora = str(tiny_models / "sdxl-lora")
    return DiffusionModel(name="monet", checkpoint=str(tiny_models / "sdxl"), lora=lora, lora_scale=0.6)


@pytest.fixture
def pixart(tiny_models: Path) -> DiffusionModel:
    return DiffusionModel(name="pixart", checkpoint=str(tiny_models / "pixart"))


@pytest.fixture
def sd(tiny_models: Path) -> DiffusionModel:
    return DiffusionModel(name="sd", checkpoint=str(tiny_models / "sd"))


@pytest.fixture
def broken(tiny_models: Path, tmp_path: Path) -> DiffusionModel:
    """A copy of the tiny SDXL that a test may break."""
    folder = shutil.copytree(tiny_models / "sdxl", tmp_path / "broken")
    return DiffusionModel(name="broken", checkpoint=str(folder))


def sample(
    model: DiffusionModel,
    seeds: Sequence[int] = (1,),
    *,
    prompt: str = "a red cube",
    parameters: SamplingParameters = SMALL,
) -> list[Sampled]:
    return list(sampling.sample(Order(model, prompt, parameters), seeds, check=lambda: None))


def pixels(sampled: Sequence[Sampled]) -> list[bytes]:
    return [one.image.tobytes() for one in sampled]


def distance(one: Image.Image, other: Image.Image) -> int:
    return int(np.abs(np.asarray(one, int) - np.asarray(other, int)).max())


@pytest.mark.parametrize("name", ["sdxl", "pixart", "sd"])
def test_an_image_depends_on_its_seed_and_prompt_alone(name: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(name)
    made = sample(model, [1, 2, 3])
    assert [one.seed for one in made] == [1, 2, 3]
    assert {one.image.size for one in made} == {(64, 64)}
    assert len(set(pixels(made))) == 3
    assert pixels(sample(model, [1, 2, 3])) == pixels(made)
    assert pixels(sample(model, [1, 2, 3], prompt="a green ring")) != pixels(made)
    alone = sample(model, [2])[0]
    assert distance(alone.image, made[1].image) <= 1  # the batch's size moves some pixels by a little


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches tried on a device with room for three images, with seven as the first guess."""
    run, tried = sampling._run, []

    def with_room_for_three(loaded: Any, order: Any, seeds: Sequence[int], check: Any) -> Any:
        tried.append(len(seeds))
        if len(seeds) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(loaded, order, seeds, check)

    monkeypatch.setattr(sampling, "_run", with_room_for_three)
    sizes = BatchSizes(7)
    monkeypatch.setattr(sampling, "batch_sizes", lambda: sizes)
    return tried


def test_batches_are_halved_until_they_fit_and_the_size_is_remembered(sdxl: DiffusionModel, tried: list[int]) -> None:
    made = sample(sdxl, range(7))
    assert tried == [7, 4, 2, 2, 2, 1]
    assert [one.provenance["batch_size"] for one in made] == [2, 2, 2, 2, 2, 2, 1]
    assert made[5].provenance | {"batch": [4, 5], "planned_batch_size": 7} == made[5].provenance
    assert [one.seed for one in made] == list(range(7))
    tried.clear()
    sample(sdxl, range(4))
    assert tried == [2, 2]
    tried.clear()
    sample(sdxl, range(4), parameters=replace(SMALL, width=72))
    assert tried == [4, 2, 2]


def test_an_error_other_than_full_memory_is_raised(sdxl: DiffusionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such scheduler")

    monkeypatch.setattr(sampling, "_run", fail)
    with pytest.raises(ValueError, match="no such scheduler"):
        sample(sdxl)


@pytest.mark.parametrize("error", [MemoryError("of a thread that writes images"), ValueError("of its files")])
def test_what_a_check_raises_is_no_fault_of_the_batch(sdxl: DiffusionModel, error: Exception) -> None:
    def stop() -> None:
        raise error

    sdxl.options = {"guidance_rescale": 0.5}
    sizes = sampling.batch_sizes()
    before = dict(sizes._most)
    with pytest.raises(type(error)) as raised:
        list(sampling.sample(Order(sdxl, "a cube", SMALL), [1, 2], check=stop))
    assert raised.value is error
    assert sizes._most == before


def test_not_even_one_image_fits(sdxl: DiffusionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def full(_loaded: Any, _order: Any, seeds: Sequence[int], _check: Any) -> None:
        tried.append(len(seeds))
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(sampling, "_run", full)
    sizes = BatchSizes(4)
    monkeypatch.setattr(sampling, "batch_sizes", lambda: sizes)
    with pytest.raises(Refused, match="sdxl: not even one image of 64 x 64 px fits into the memory of cpu"):
        sample(sdxl, range(4))
    assert tried == [4, 2, 1]


def test_a_lora_changes_images_and_leaves_no_trace(sdxl: DiffusionModel, monet: DiffusionModel) -> None:
    plain = pixels(sample(sdxl, [1, 2]))
    painted = pixels(sample(monet, [1, 2]))
    assert painted != plain
    cached = Loaded.cached
    assert pixels(sample(sdxl, [1, 2])) == plain
    assert pixels(sample(monet, [1, 2])) == painted
    monet.lora_scale = 0.3
    assert pixels(sample(monet, [1, 2])) not in (plain, painted)
    monet.lora_scale = 0.0
    assert pixels(sample(monet, [1, 2])) == plain
    assert Loaded.cached is cached  # one checkpoint, loaded once


def test_one_pipeline_is_cached(sdxl: DiffusionModel, pixart: DiffusionModel) -> None:
    sample(sdxl)
    first = Loaded.cached
    sample(sdxl, [2])
    assert Loaded.cached is first
    sample(pixart)
    assert Loaded.cached is not first
    assert type(Loaded.cached.pipeline).__name__ == "PixArtAlphaPipeline"  # type: ignore[union-attr]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", ["sdxl", "pixart"])
def test_every_scheduler_is_repeatable(name: str, scheduler: Any, request: pytest.FixtureRequest) -> None:
    model, parameters = request.getfixturevalue(name), replace(SMALL, scheduler=scheduler)
    made = sample(model, [1], parameters=parameters)
    assert pixels(sample(model, [1], parameters=parameters)) == pixels(made)


def test_the_checkpoints_own_scheduler_stays_its_own(pixart: DiffusionModel) -> None:
    sample(pixart)
    own = sample(pixart, parameters=replace(SMALL, scheduler="checkpoint"))[0].provenance
    assert own["scheduler_class"] == "DPMSolverMultistepScheduler"
    assert own["scheduler_config"]["solver_order"] == 2


@pytest.mark.parametrize("change", [{"negative_prompt": "blue"}, {"guidance_scale": 1.0}, {"guidance_scale": 3.0}])
@pytest.mark.parametrize("name", ["sdxl", "pixart", "sd"])
def test_parameters_count(name: str, change: dict[str, Any], request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(name)
    assert pixels(sample(model, parameters=replace(SMALL, **change))) != pixels(sample(model))


def test_what_is_recorded_with_an_image(monet: DiffusionModel) -> None:
    made = sample(monet, [5, 6])[1]
    facts = made.provenance
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    expected = {
        "checkpoint": "sdxl",
        "revision": "",
        "pipeline": "StableDiffusionXLPipeline",
        "lora": "sdxl-lora",
        "lora_scale": 0.6,
        "prompt": "a red cube",
        "negative_prompt": "",
        "seed": 6,
        "width": 64,
        "height": 64,
        "num_inference_steps": 2,
        "guidance_scale": 7.5,
        "batch_size": 2,
        "dtype": "float32",
        "device": "cpu",
        "compiled": "no",
        "scheduler": "euler",
        "scheduler_class": "EulerDiscreteScheduler",
        "is_size_binned": False,
        "sampled_size": [64, 64],
        "vae_dtype": "float32",
        "is_offloaded": False,
    }
    assert facts | expected == facts
    assert {len(facts[name]) for name in ("weights_sha256", "lora_sha256")} == {64}
    assert facts["scheduler_config"]["beta_start"] == 0.00085
    assert set(facts["versions"]) == {"python", "torch", "diffusers", "transformers", "peft", "pillow"}
    assert facts["sampled_at"].endswith("+00:00")


def test_a_plain_model_records_no_lora(sdxl: DiffusionModel, monet: DiffusionModel) -> None:
    sample(monet)
    assert "lora" not in sample(sdxl)[0].provenance


def test_lower_precision_starts_from_the_same_noise(sdxl: DiffusionModel) -> None:
    exact = sample(sdxl)[0].image
    sdxl.dtype = "bfloat16"
    rough = sample(sdxl)[0]
    assert rough.provenance["dtype"] == "bfloat16"
    assert 0 < distance(rough.image, exact) < 64


@pytest.mark.skipif(torch.cuda.is_available(), reason="an accelerator computes in float16")
def test_float16_wants_an_accelerator(sdxl: DiffusionModel) -> None:
    sdxl.dtype = "float16"
    with pytest.raises(Refused, match="sdxl: float16 needs an accelerator, and this is a CPU"):
        sample(sdxl)


@pytest.mark.parametrize("name", ["sdxl", "pixart"])
def test_a_check_can_stop_it_at_any_step(name: str, request: pytest.FixtureRequest) -> None:
    calls: list[bool] = []

    def check() -> None:
        with ThreadPoolExecutor(1) as other:
            calls.append(other.submit(devices._flags.acquire, blocking=False).result())
        if len(calls) == 2:
            raise KeyboardInterrupt

    order = Order(request.getfixturevalue(name), "a red cube", replace(SMALL, num_inference_steps=5))
    with pytest.raises(KeyboardInterrupt):
        list(sampling.sample(order, [1], check=check))
    assert calls == [False, False]  # no other thread could change the flags of the device


@pytest.mark.usefixtures("loaded_anew")
def test_pixart_samples_on_its_bins_where_it_was_trained_on_them(pixart: DiffusionModel) -> None:
    loaded = load(pixart)
    order = Order(pixart, "a red cube", SMALL)
    for sample_size in (8, 32, 64, 128):
        loaded.pipeline.transformer.register_to_config(sample_size=sample_size)
        assert loaded.is_binned is (sample_size != 8)
        assert call_arguments(loaded, order, [1], lambda: None)["use_resolution_binning"] is loaded.is_binned


# --- refusals: one sentence that names the model and the file ---------------------------------------------------


def change_index(model: DiffusionModel, **entries: Any) -> None:
    set_config(Path(model.checkpoint) / "model_index.json", **entries)


def test_a_model_without_a_checkpoint() -> None:
    with pytest.raises(Refused, match="imported has no checkpoint"):
        sample(DiffusionModel(name="imported"))


def test_a_class_that_is_not_allowed(broken: DiffusionModel) -> None:
    change_index(broken, _class_name="ShapEPipeline")
    with pytest.raises(
        Refused, match=r"broken: .* is a ShapEPipeline, which is none of the text-to-image pipelines of diffusers"
    ):
        sample(broken)


def test_the_text_to_image_class_behind_another_task(broken: DiffusionModel, sdxl: DiffusionModel) -> None:
    change_index(broken, _class_name="StableDiffusionXLInpaintPipeline")
    made = sample(broken)
    assert made[0].provenance["pipeline"] == "StableDiffusionXLPipeline"
    assert pixels(made) == pixels(sample(sdxl))


def test_pixart_sigma_is_allowed(tiny_models: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_models / "pixart", tmp_path / "sigma")
    sigma = DiffusionModel(name="sigma", checkpoint=str(folder))
    change_index(sigma, _class_name="PixArtSigmaPipeline")
    assert sample(sigma, prompt="a cube " * 30)[0].provenance["pipeline"] == "PixArtSigmaPipeline"


def test_damaged_weights(broken: DiffusionModel) -> None:
    file = Path(broken.checkpoint) / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(Refused, match=r"broken: the checkpoint .*/broken cannot be loaded \("):
        sample(broken)


def test_a_prompt_longer_than_the_tokenizer_takes(sdxl: DiffusionModel, pixart: DiffusionModel) -> None:
    with pytest.raises(Refused, match="sdxl reads at most 256 tokens and this prompt has 302: shorten it"):
        sample(sdxl, prompt="cubes " * 60)
    with pytest.raises(Refused, match="pixart reads at most 120 tokens"):
        sample(pixart, prompt="cubes " * 60)
    with pytest.raises(Refused, match="sdxl reads at most 256 tokens"):
        sample(sdxl, parameters=replace(SMALL, negative_prompt="cubes " * 60))


def test_a_prompt_in_signs_that_the_tokenizer_does_not_know(pixart: DiffusionModel) -> None:
    with pytest.raises(Refused, match=r"pixart knows less than half of the signs of this prompt \(“красный куб”\)"):
        sample(pixart, prompt="красный куб")


@pytest.mark.parametrize("name", ["sdxl", "pixart"])
def test_a_tokenizer_without_its_vocabulary(tiny_models: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(tiny_models / name, tmp_path / name))
    (folder / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(Refused, match=f"{name}: .*(its vocabulary files seem to be missing|cannot be loaded)"):
        sample(DiffusionModel(name=name, checkpoint=str(folder)))


def test_a_lora_that_does_not_fit_leaves_the_pipeline_as_it_was(
    sdxl: DiffusionModel, monet: DiffusionModel, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    plain = pixels(sample(sdxl))
    name = "pytorch_lora_weights.safetensors"
    layers = load_file(Path(monet.lora) / name)
    misfits = {
        "of another size": {key: torch.ones(value.shape[0] + 1, value.shape[1] + 1) for key, value in layers.items()},
        "of another model": {key.replace("unet.", "unet.x."): value for key, value in layers.items()},
        "nothing of the kind": {"a": torch.ones(1)},
    }
    for folder, tensors in misfits.items():
        (tmp_path / folder).mkdir()
        save_file(tensors, tmp_path / folder / name)
        monet.lora = str(tmp_path / folder)
        with pytest.raises(Refused, match=r"monet: the LoRA pytorch_lora_weights.safetensors does not fit"):
            sample(monet)
        assert pixels(sample(sdxl)) == plain


def test_a_pipeline_that_takes_no_lora(pixart: DiffusionModel, monet: DiffusionModel) -> None:
    pixart.lora, pixart.lora_scale = monet.lora, 0.6
    with pytest.raises(Refused, match="pixart: PixArtAlphaPipeline takes no LoRA"):
        sample(pixart)


def test_a_hub_checkpoint_without_a_network(monkeypatch: pytest.MonkeyPatch, sdxl: DiffusionModel) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    sdxl.checkpoint, sdxl.revision = "stabilityai/no-such-model", COMMIT
    with pytest.raises(
        Refused, match=r"sdxl: stabilityai/no-such-model at c237.* is not on this machine yet; fetch_models"
    ):
        sample(sdxl)


def test_a_hub_lora_without_a_network(monkeypatch: pytest.MonkeyPatch, monet: DiffusionModel) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monet.lora, monet.lora_revision = "somebody/no-such-lora", COMMIT
    with pytest.raises(
        Refused, match=r"monet: somebody/no-such-lora at c237.* is not on this machine yet; fetch_models"
    ):
        sample(monet)


@pytest.mark.usefixtures("loaded_anew")
def test_images_that_are_not_a_number(sdxl: DiffusionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(sdxl)
    with torch.no_grad():
        loaded.pipeline.vae.decoder.conv_out.bias.fill_(float("nan"))
    with pytest.raises(Refused, match="not-a-number in float32; the weights of sdxl may be damaged"):
        sample(sdxl, [4])


def test_images_that_a_safety_checker_blacked_out(sdxl: DiffusionModel) -> None:
    class Output:
        images = np.zeros((2, 8, 8, 3))
        nsfw_content_detected = (False, True)

    order = Order(sdxl, "a red cube", replace(SMALL, width=8, height=8))
    with pytest.raises(Refused, match="safety checker blacked out the image of seed 8"):
        sampling._check_output(load(sdxl), Output(), order, [7, 8])
