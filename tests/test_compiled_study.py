"""A study whose models are compiled, made by a real worker: with and without a LoRA its images are the eager ones."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from PIL import Image

from generation.models import DiffusionModel
from generation.pipelines.loaded import Loaded
from generation.plans.orders import Order
from generation.plans.parameters import SamplingParameters
from generation.sampling.sampling import sample
from tests.services.servers import kill_9
from tests.test_crash import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
WEIGHTS = settings.BASE_DIR / "miniatures" / "weights"
SEEDS = list(range(1, 7))  # a whole batch of a CPU, and one that is filled up
PARAMETERS = SamplingParameters(width=96, height=96, num_inference_steps=4, scheduler="checkpoint")
PROMPTS = ("a red star", "a blue ring")
STYLE = "{prompt} in the style of TOK"
STUDY = f"""
name = "Compiled"
slug = "compiled"
[models.a]
name = "Plain"
checkpoint = "{WEIGHTS}/mini-sdxl"
compile = true
channels_last = true
fused_qkv = true
[models.b]
name = "Styled"
checkpoint = "{WEIGHTS}/mini-sdxl"
lora = "{WEIGHTS}/mini-sdxl-lora"
lora_scale = 1.0
prompt_template = "{STYLE}"
compile = true
channels_last = true
[prompts]
list = {json.dumps(PROMPTS)}
[images]
per_set = 6
seeds = {SEEDS}
[sampling]
width = 96
height = 96
num_inference_steps = 4
scheduler = "checkpoint"
[encoder]
kind = "clip"
checkpoint = "{WEIGHTS}/mini-clip"
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path, {})
    machine.manage("migrate", "--verbosity", "0")
    (tmp_path / "study.toml").write_text(STUDY)
    machine.manage("create_study", tmp_path / "study.toml")
    yield machine
    for process in machine.running:
        if process.poll() is None:
            kill_9(process)


@pytest.fixture
def eager() -> Iterator[dict[tuple[str, int], Any]]:
    """The eager pixels of every image of the study, by the prompt as it is sampled and the seed."""
    Loaded.cached = None
    base = str(WEIGHTS / "mini-sdxl")
    plain = DiffusionModel(name="Plain", checkpoint=base)
    styled = DiffusionModel(name="Styled", checkpoint=base, lora=str(WEIGHTS / "mini-sdxl-lora"), lora_scale=1.0)
    orders = [
        Order(model, template.format(prompt=prompt), PARAMETERS)
        for model, template in ((plain, "{prompt}"), (styled, STYLE))
        for prompt in PROMPTS
    ]
    yield {
        (order.prompt, image.seed): np.asarray(image.image, np.int16)
        for order in orders
        for image in sample(order, SEEDS, check=lambda: None)
    }
    Loaded.cached = None


def test_a_worker_compiles_and_makes_the_same_images(machine: Machine, eager: dict[tuple[str, int], Any]) -> None:
    machine.start_worker()
    machine.manage("run_study", "compiled")
    assert machine.query("SELECT state FROM annotation_study") == [("ready",)]
    facts = [json.loads(text) for (text,) in machine.query("SELECT provenance FROM generation_generatedimage")]
    paths = [path for (path,) in machine.query("SELECT path FROM generation_generatedimage")]
    assert len(facts) == len(eager)
    for path, fact in zip(paths, facts, strict=True):
        image = Image.open(machine.var / "media" / path)
        assert np.abs(np.asarray(image, np.int16) - eager[fact["prompt"], fact["seed"]]).max() <= 2
        assert fact["compiled"] == "repeated blocks by inductor"
        assert fact.get("fused_qkv") == (None if fact.get("lora") else "denoiser")
        assert fact.get("padded_batch_size") == (4 if fact["seed"] > 4 else None)
