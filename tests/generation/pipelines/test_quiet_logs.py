"""Loading and sampling write nothing of other libraries: a worker's log has one line for each job, and its images'."""

import logging
from pathlib import Path

import pytest

from generation.models import DiffusionModel
from generation.pipelines.loaded import Loaded
from generation.plans.orders import Order
from generation.sampling.sampling import sample
from jobs.refusals import Refused
from tests.generation.planned_sets import SMALL


@pytest.mark.parametrize("name", ["sdxl", "pixart"])
def test_no_progress_bar_no_advice(
    tiny_models: Path, name: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    model = DiffusionModel(name=name, checkpoint=str(tiny_models / name))
    if name == "sdxl":  # whose LoRA has no keys for the text encoders, as diffusers remarks
        model.lora, model.lora_scale = str(tiny_models / "sdxl-lora"), 0.6
    Loaded.cached = None
    caplog.set_level(logging.INFO)
    assert len(list(sample(Order(model, "a red cube", SMALL), [1], check=lambda: None))) == 1
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_no_error_of_a_library_beside_a_refusal(
    tiny_models: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    lora = str(tiny_models / "sdxl-lora")
    model = DiffusionModel(name="sd", checkpoint=str(tiny_models / "sd"), lora=lora, lora_scale=0.6)
    with pytest.raises(Refused, match=r"^sd: the LoRA .* does not fit the checkpoint"):
        list(sample(Order(model, "a red cube", SMALL), [1], check=lambda: None))
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
