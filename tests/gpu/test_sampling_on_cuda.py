"""Sampling on an accelerator: the same code, the same noise, another device."""

from pathlib import Path

import numpy as np
import pytest
import torch

from generation.machines import devices
from generation.models import DiffusionModel
from generation.pipelines import encoding, loading
from generation.pipelines.loaded import Loaded
from generation.plans.orders import Order
from generation.plans.parameters import SamplingParameters
from generation.sampling import sampling
from generation.sampling.sampling import Sampled

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator here"),
]


def sample(model: DiffusionModel) -> list[Sampled]:
    parameters = SamplingParameters(width=64, height=64, num_inference_steps=4)
    return list(sampling.sample(Order(model, "a red cube", parameters), range(24), check=lambda: None))


def sample_on_cpu(model: DiffusionModel, monkeypatch: pytest.MonkeyPatch) -> list[Sampled]:
    Loaded.cached = None
    sampling.batch_sizes.cache_clear()
    with monkeypatch.context() as patch:
        for module in (devices, loading, encoding, sampling):
            patch.setattr(module, "device", lambda: "cpu")
        made = sample(model)
    Loaded.cached = None
    sampling.batch_sizes.cache_clear()
    return made


@pytest.mark.parametrize("name", ["sdxl", "pixart"])
def test_bfloat16_on_cuda_starts_from_the_noise_of_the_cpu(
    tiny_models: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = DiffusionModel(name=name, checkpoint=str(tiny_models / name))
    expected = sample_on_cpu(model, monkeypatch)
    model.dtype = "bfloat16"
    made, again = sample(model), sample(model)
    assert {one.provenance["device"] for one in made} == {"cuda"}
    assert [one.provenance["batch_size"] for one in made] == [20] * 20 + [4] * 4
    for one, other, reference in zip(made, again, expected, strict=True):
        assert one.image.tobytes() == other.image.tobytes()
        difference = np.asarray(one.image, float) - np.asarray(reference.image, float)
        # Other noise would be as far away as another seed: tens of levels in the mean, not a few.
        assert np.abs(difference).mean() < 4
