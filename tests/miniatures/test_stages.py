"""Every stage of the training, two steps each on few pictures: what comes out is what the platform loads."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from safetensors import safe_open
from torch import Tensor

from generation.models import DiffusionModel
from generation.plans.orders import Order
from generation.plans.parameters import SamplingParameters
from generation.sampling.sampling import sample
from miniatures import autoencoding, contrasting, denoising, stages, text_pretraining
from miniatures.architectures import LATENT_CHANNELS, LATENT_SIDE, SCHEDULE
from miniatures.corpus import Corpus, load_corpus
from miniatures.judging import Reader
from miniatures.stages import NEEDS, Stages

FEW = 12


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the finished models."""

    def few(folder: Path, *, count: int, **more: Any) -> Corpus:
        return load_corpus(folder, count=FEW, **more)

    folder = tmp_path_factory.mktemp("miniatures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "STEPS", dict.fromkeys(stages.STEPS, 2))
        patch.setattr(stages, "load_corpus", few)
        for module in (autoencoding, contrasting, denoising, text_pretraining):
            patch.setattr(module, "BATCH", 6)
        training = Stages(folder / "work", folder / "weights")
        for stage in NEEDS:
            training.make(stage)
    return folder / "weights"


def test_each_folder_says_what_its_training_took(trained: Path) -> None:
    stages = {folder.name: json.loads((folder / "training.json").read_text()) for folder in trained.iterdir()}
    assert {name: tuple(efforts) for name, efforts in stages.items()} == {
        "mini-clip": ("clip",),
        "mini-sdxl": ("vae", "sdxl"),
        "mini-pixart": ("vae", "t5", "pixart"),
        "mini-sdxl-lora": ("lora",),
    }
    assert all(effort["steps"] == 2 for efforts in stages.values() for effort in efforts.values())


@pytest.mark.parametrize(("name", "lora"), [("mini-sdxl", ""), ("mini-sdxl", "mini-sdxl-lora"), ("mini-pixart", "")])
def test_the_platform_samples_from_it(trained: Path, name: str, lora: str) -> None:
    lora_fields = {"lora": str(trained / lora), "lora_scale": 1.0} if lora else {}
    model = DiffusionModel(name=name, checkpoint=str(trained / name), **lora_fields)
    parameters = SamplingParameters(width=96, height=96, scheduler="checkpoint", num_inference_steps=2)
    (sampled,) = sample(Order(model, "a red star on a white background", parameters), [1], check=lambda: None)
    assert sampled.image.size == (96, 96)


def test_the_lora_is_of_the_text_encoders_too(trained: Path) -> None:
    with safe_open(trained / "mini-sdxl-lora" / "pytorch_lora_weights.safetensors", framework="pt") as weights:
        assert {name.partition(".")[0] for name in weights.keys()} == {"unet", "text_encoder", "text_encoder_2"}  # noqa: SIM118


def test_mini_clip_reads_words(trained: Path) -> None:
    assert Reader(trained / "mini-clip").of_texts(["a red star", "a blue ring"]).shape == (2, 64)


def test_whoever_knows_the_velocity_has_no_error_and_whoever_does_not_has_one() -> None:
    latents = torch.randn((8, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE), generator=torch.Generator().manual_seed(1))
    scheduler = DDPMScheduler(**SCHEDULE)

    def knowing(noisy: Tensor, steps: Tensor, captions: Tensor) -> Tensor:
        kept = scheduler.alphas_cumprod[steps].view(-1, 1, 1, 1)
        clean = latents[captions - 1]
        noise = (noisy - kept.sqrt() * clean) / (1 - kept).sqrt()
        velocity: Tensor = kept.sqrt() * noise - (1 - kept).sqrt() * clean
        return velocity

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(denoising, "_EMPTY_SHARE", 0.0)
        assert denoising.velocity_loss(knowing, latents, seed=1)(0).item() == pytest.approx(0, abs=1e-6)
        assert denoising.velocity_loss(lambda noisy, *_: 0 * noisy, latents, seed=1)(0).item() > 0.1
