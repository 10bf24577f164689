"""Checkpoints of full size with random weights, loaded and sampled on a CPU at a tiny size; they run for minutes."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_django.fixtures import Settings
from safetensors.torch import save_file

from generation.models import DiffusionModel
from generation.pipelines.loaded import Loaded
from generation.pipelines.loading import load
from generation.plans.orders import Order
from generation.sampling.sampling import Sampled, sample
from scoring.encoder_spec import EncoderSpec
from scoring.encoders import loading
from tests.full_size import CLIP_G, CLIP_L, GIB, build_clip, build_pixart, build_sdxl, free_memory
from tests.generation.pipelines.test_loras import learned, processor_weights
from tests.generation.planned_sets import SMALL, picture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
STYLE = "a cube in the style of TOK"


def needs(folder: Path, *, memory: int, disk: int) -> None:
    """Skip the test if there is less than so many GiB of free memory and disk."""
    if free_memory() < memory * GIB or shutil.disk_usage(folder).free < disk * GIB:
        pytest.skip(f"needs {memory} GiB free memory and {disk} GiB free disk")


def forget() -> None:
    """Free the memory of the last pipeline."""
    Loaded.cached = None


@pytest.fixture(autouse=True, scope="module")
def loaded_anew() -> Iterator[None]:
    forget()
    yield
    forget()
    loading.load.cache_clear()


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DiffusionModel]:
    """SDXL with the fp16 variant alone, its UNet in shards, used in bfloat16."""
    folder = tmp_path_factory.mktemp("full-size")
    needs(folder, memory=12, disk=9)
    counts = build_sdxl(folder / "sdxl")
    # The published numbers of weights: the sizes are those of the real checkpoint.
    assert counts == {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    }
    assert len(list((folder / "sdxl" / "unet").glob("*.fp16-0000?-of-0000?.safetensors"))) == 3
    yield DiffusionModel(name="sdxl", checkpoint=str(folder / "sdxl"), dtype="bfloat16")
    Loaded.cached = None
    shutil.rmtree(folder)


def made(model: DiffusionModel, prompt: str = STYLE) -> list[Sampled]:
    began = time.monotonic()
    images = list(sample(Order(model, prompt, SMALL), [1, 2], check=lambda: None))
    print(f"{model.name}: two images of 64 px in {time.monotonic() - began:.0f} s, loading included")
    return images


def distance(one: Sampled, other: Sampled) -> float:
    return float(np.abs(one.pixels - other.pixels).mean() * 255)


@pytest.fixture(scope="module")
def plain(sdxl: DiffusionModel) -> list[Sampled]:
    return made(sdxl)


def test_sdxl_of_full_size(sdxl: DiffusionModel, plain: list[Sampled]) -> None:
    first, second = plain
    facts = {"variant": "fp16", "dtype": "bfloat16", "vae_dtype": "float32", "pipeline": "StableDiffusionXLPipeline"}
    assert first.provenance | facts == first.provenance
    assert first.image.size == (64, 64)
    assert distance(first, second) > 1
    assert distance(first, made(sdxl, "a green ring")[0]) > 0


def test_the_papers_kind_of_lora_on_sdxl_of_full_size(
    sdxl: DiffusionModel, plain: list[Sampled], tmp_path: Path
) -> None:
    save_file(processor_weights(load(sdxl).pipeline.unet), tmp_path / "lora.safetensors")
    tokens = {
        name: learned(name, width=sizes["hidden_size"])[name]
        for name, sizes in (("text_encoders_0", CLIP_L), ("text_encoders_1", CLIP_G))
    }
    save_file(tokens, tmp_path / "embeddings.pti")
    (tmp_path / "special_params.json").write_text(json.dumps({"TOK": "<s0><s1>"}))
    lora: dict[str, Any] = {"lora": str(tmp_path), "lora_scale": 0.6}
    monet = DiffusionModel(name="monet", checkpoint=sdxl.checkpoint, dtype=sdxl.dtype, **lora)
    styled, without = made(monet), made(monet, STYLE.replace("TOK", "cat"))
    assert styled[0].provenance["lora_token_map"] == {"TOK": "<s0><s1>"}
    assert distance(styled[0], plain[0]) > 1
    assert distance(styled[0], without[0]) > 0
    (tmp_path / "special_params.json").unlink()
    (tmp_path / "embeddings.pti").unlink()
    unlearned = DiffusionModel(name="no token", checkpoint=sdxl.checkpoint, dtype=sdxl.dtype, **lora)
    load(sdxl)  # detaches it
    as_text = made(unlearned)
    assert distance(styled[0], as_text[0]) > 0  # TOK itself changes the image
    assert distance(made(unlearned, STYLE.replace("TOK", "cat"))[0], without[0]) == 0
    assert distance(made(sdxl)[0], plain[0]) == 0  # given back whole


def test_pixart_of_full_size(tmp_path: Path, settings: Settings) -> None:
    needs(tmp_path, memory=5, disk=4)
    forget()
    settings.KEEP_TEXT_ENCODERS_GIB, settings.PROMPT_CACHE_ROOT = 0.1, tmp_path / "prompts"
    counts = build_pixart(tmp_path / "pixart", sample_size=16)  # at 128 it would be sampled at 1024 px
    assert 600e6 < counts["transformer"] < 620e6
    model = DiffusionModel(name="pixart", checkpoint=str(tmp_path / "pixart"), dtype="bfloat16")
    first, second = made(model)
    assert first.provenance | {"variant": "", "pipeline": "PixArtAlphaPipeline"} == first.provenance
    assert Loaded.cached is not None
    assert not Loaded.cached.has_encoders  # they are large: the prompt was encoded first
    assert distance(first, second) > 1
    assert distance(first, made(model, "a green ring")[0]) > 0


def test_clip_of_full_size(tmp_path: Path) -> None:
    needs(tmp_path, memory=2, disk=1)
    assert build_clip(tmp_path) == 151_277_313
    encoder = loading.load(EncoderSpec(kind="clip", checkpoint=str(tmp_path)))
    embeddings = encoder.embed([picture(seed, (96, 64)) for seed in range(3)])
    assert embeddings.shape == (3, 512)
    assert np.isfinite(embeddings).all()
    assert len({row.tobytes() for row in embeddings}) == 3
