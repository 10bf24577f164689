"""Checkpoints in the layouts of the hub, loaded and sampled: shards, the fp16 variant alone, the hub's cache."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generation.hub.fetching import fetch, plan_fetch
from generation.hub.wanted import wanted_of
from generation.models import DiffusionModel
from generation.pipelines.loaded import Loaded
from generation.plans.orders import Order
from generation.sampling.sampling import Sampled, sample
from tests.checkpoint_layouts import add_strays, add_variant, shard, weights_of
from tests.fake_hub import COMMIT, FakeHub
from tests.generation.planned_sets import SMALL


@pytest.fixture(autouse=True)
def loaded_anew() -> Iterator[None]:
    """No pipeline is cached before or after a test."""
    Loaded.cached = None
    yield
    Loaded.cached = None


def made(checkpoint: Path | str, **fields: Any) -> Sampled:
    model = DiffusionModel(name="m", checkpoint=str(checkpoint), **fields)
    return next(sample(Order(model, "a red cube", SMALL), [1], check=lambda: None))


@pytest.mark.parametrize("name", ["sdxl", "pixart"])
def test_shards_make_the_same_image(tiny_models: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(tiny_models / name, tmp_path / name))
    for file in weights_of(folder):
        if file.parent.name != "vae":
            shard(file)
    whole, sharded = made(tiny_models / name), made(folder)
    # Weights that lie elsewhere in memory are added up in another order.
    assert np.abs(np.asarray(sharded.image, int) - np.asarray(whole.image, int)).max() <= 1
    assert sharded.provenance["weights_sha256"] != whole.provenance["weights_sha256"]  # they are other files


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_fp16_variant_alone(tiny_models: Path, tmp_path: Path, dtype: str) -> None:
    folder = Path(shutil.copytree(tiny_models / "sdxl", tmp_path / "sdxl"))
    add_variant(folder, alone=True)
    shard(folder / "unet" / "diffusion_pytorch_model.fp16.safetensors", variant="fp16")
    alone = made(folder, dtype=dtype)
    assert (alone.provenance["variant"], alone.provenance["dtype"]) == ("fp16", dtype)
    named = made(folder, dtype=dtype, variant="fp16")
    assert named.provenance["weights_sha256"] == alone.provenance["weights_sha256"]


def test_a_commit_in_the_hubs_cache_makes_the_image_of_its_folder(
    hub: FakeHub, tiny_models: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_models / "sdxl", tmp_path / "sdxl"))
    add_variant(folder)
    add_strays(folder)
    hub.folders["owner/sdxl"] = folder
    [wanted] = wanted_of(DiffusionModel(name="m", checkpoint="owner/sdxl", revision=COMMIT))
    fetch(plan_fetch(wanted), report=lambda _here, _total: None)
    local, cached = made(folder), made("owner/sdxl", revision=COMMIT)
    assert np.abs(np.asarray(cached.image, int) - np.asarray(local.image, int)).max() <= 1
    for key in ("weights_sha256", "configuration_sha256", "variant"):
        assert cached.provenance[key] == local.provenance[key]
