"""Try a model: load it, make one image, and return what that cost. Loads torch."""

import time
from base64 import b64encode
from collections.abc import Callable

import torch

from generation.machines.devices import best_dtype, device, device_name
from generation.models import DiffusionModel
from generation.pictures.thumbnails import encode
from generation.pipelines.loading import ready
from generation.pipelines.speed import speed_remarks
from generation.plans.orders import Order
from generation.sampling import sampling
from generation.sampling.trials import Outcome

SEED = 1
GIB = 2**30


def try_model(order: Order, *, check: Callable[[], None] = lambda: None) -> Outcome:
    """Load the order's model, make one image, and return what it cost, with a small picture of it.

    A dtype `auto` is resolved in `order.diffusion_model`, which is not saved here. Raises Refused, in one sentence, if
    the model cannot be used on this worker.
    """
    model = order.diffusion_model
    if model.dtype_in_use == DiffusionModel.Dtype.AUTO:
        model.resolved_dtype = best_dtype()
    if device() != "cpu":
        torch.cuda.reset_peak_memory_stats()
    began = time.monotonic()
    loaded = ready(order, (), check)
    loaded_at = time.monotonic()
    if loaded.is_compiled:
        list(sampling.sample(order, [SEED], check=check))  # compiles, which the images of a study do once
    compiled_at = time.monotonic()
    [sampled] = sampling.sample(order, [SEED], check=check)
    facts = sampled.provenance
    return Outcome(
        pipeline=facts["pipeline"],
        dtype=facts["dtype"],
        vae_dtype=facts["vae_dtype"],
        device_name=facts["device_name"],
        load_seconds=round(loaded_at - began, 2),
        compile_seconds=round(compiled_at - loaded_at, 1),
        image_seconds=round(time.monotonic() - compiled_at, 3),
        picture=b64encode(encode(sampled.image, "grid2x")).decode(),
        memory_gib=round(torch.cuda.max_memory_allocated() / GIB, 2) if device() != "cpu" else None,
        size=sampled.image.size,
        sampled_size=loaded.sampled_size or sampled.image.size,
        warnings=(
            *_warnings(order, loaded.sampled_size or sampled.image.size),
            *speed_remarks(loaded, order.diffusion_model),
        ),
    )


def _warnings(order: Order, sampled_size: tuple[int, int]) -> list[str]:
    """Return what makes the images slower than they need be."""
    name, parameters = order.diffusion_model.name, order.parameters
    sentences = []
    if order.diffusion_model.dtype_in_use == "float32" and device() != "cpu":
        sentences.append(
            f"{name} is sampled in float32, which takes about 4 to 15 times as long on {device_name()} as "
            f'{best_dtype()} and twice the memory: write dtype = "auto" for it.'
        )
    if sampled_size != (parameters.width, parameters.height):
        sentences.append(
            f"{name} samples at {sampled_size[0]} x {sampled_size[1]} px, the nearest size that it was trained on, and "
            f"its images are resized to {parameters.width} x {parameters.height} px: they take as long as the larger."
        )
    return sentences
