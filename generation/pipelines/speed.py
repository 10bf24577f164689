"""Make a pipeline faster without another output: a compiled denoiser, channels last, fused projections. Loads torch.

Some pixels move by about 1 of 255. A setting that cannot be used here is left out, and the facts that are recorded with
each image say why: the images are then made as if it had not been asked for.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from django.conf import settings

from generation.machines.devices import Fault, fault_of
from generation.models import DiffusionModel
from generation.pipelines.encoding import EncodersDropped
from generation.pipelines.faults import brief
from generation.pipelines.loaded import Loaded
from jobs.refusals import Refused

logger = logging.getLogger(__name__)

# Compiled for each size of image and batch that this process samples; beyond the limit torch goes on uncompiled.
MOST_SHAPES = 64
BACKEND = "inductor"
FUSED_LORA = "a LoRA is attached, whose self-attention the fused weights would lose"


class NotCompiled(Exception):  # noqa: N818 - it names what happened
    """The denoiser cannot be compiled here; from now on it is called without."""


def wanted_speed(model: DiffusionModel) -> tuple[str, ...]:
    """Return the settings for which a pipeline is loaded anew. Nothing is fused beside a LoRA, which would be lost."""
    is_wanted = {
        "channels_last": model.channels_last,
        "fused_qkv": model.fused_qkv and not model.lora,
        "compile": model.compile,
    }
    return tuple(name for name, is_given in is_wanted.items() if is_given)


def set_speed(loaded: Loaded, model: DiffusionModel) -> None:
    """Apply the model's settings to its pipeline, which is on the device, once."""
    changes = {"channels_last": _channels_last, "fused_qkv": _fuse, "compile": _compile}
    for name in wanted_speed(model):
        if name not in loaded.speed:
            loaded.speed[name] = changes[name](loaded)


def speed_facts(loaded: Loaded, model: DiffusionModel) -> dict[str, str]:
    """Return what is recorded: for each setting that was asked for, what it changed, or `no` and why."""
    facts = {"compiled" if name == "compile" else name: what for name, what in loaded.speed.items()}
    lost = {"fused_qkv": f"no: {FUSED_LORA}"} if model.fused_qkv and model.lora else {}
    return {"compiled": "no", **facts, **lost}


def speed_remarks(loaded: Loaded, model: DiffusionModel) -> list[str]:
    """Return a sentence for each setting that was asked for and is not used."""
    facts = speed_facts(loaded, model)
    return [
        f"{model.name} is sampled without {name}: {facts[fact].removeprefix('no: ')}."
        for name, fact in (("compile", "compiled"), ("channels_last",) * 2, ("fused_qkv",) * 2)
        if getattr(model, name) and facts.get(fact, "").startswith("no: ")
    ]


@contextmanager
def eager_after_a_fault(loaded: Loaded) -> Iterator[None]:
    """Raise NotCompiled if a call fails in the block while the denoiser is compiled, which it then no longer is.

    A fault of something else comes again in the next call.
    """
    try:
        yield
    except (Refused, EncodersDropped):
        raise
    except Exception as error:
        if not loaded.is_compiled or fault_of(error) is not Fault.OTHER:
            raise
        for part in loaded.denoiser.modules():
            part._compiled_call_impl = None
        loaded.speed["compile"] = f"no: {_why_not_compiled(error)}"
        logger.warning("%s is called without torch.compile: %s", loaded.kind.__name__, loaded.speed["compile"])
        raise NotCompiled from error


def _why_not_compiled(error: Exception) -> str:
    text = str(error)
    if "C++ compiler" in text or "C compiler" in text:
        return "torch.compile found no C++ compiler on the worker's host; install g++"
    return f"torch.compile failed ({brief(error)})"


def _compile(loaded: Loaded) -> str:
    """Compile the blocks that the denoiser repeats, else the whole of it; it happens in the first call."""
    if loaded.is_offloaded:
        return "no: MODEL_OFFLOAD moves the weights between the calls"
    # A compiled file is loaded from there, so it must not be a folder in memory from which nothing may be executed.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(settings.COMPILED_ROOT))
    dynamo: Any = torch._dynamo
    dynamo.config.recompile_limit = max(MOST_SHAPES, dynamo.config.recompile_limit)
    denoiser = loaded.denoiser
    if getattr(denoiser, "_repeated_blocks", None):
        denoiser.compile_repeated_blocks(backend=BACKEND, dynamic=False)
        return f"repeated blocks by {BACKEND}"
    denoiser.compile(backend=BACKEND, dynamic=False)
    return f"whole denoiser by {BACKEND}"


def _channels_last(loaded: Loaded) -> str:
    """Store the weights of convolutions in the order in which a card multiplies them fastest."""
    parts = {"denoiser": loaded.denoiser, "decoder": loaded.decoder}
    fit = [name for name, part in parts.items() if part is not None and _has_flat_convolutions(part)]
    for name in fit:
        parts[name].to(memory_format=torch.channels_last)
    return ", ".join(fit) or "no: the model has no two-dimensional convolutions alone"


def _has_flat_convolutions(part: torch.nn.Module) -> bool:
    ranks = {weights.ndim for weights in part.parameters()}
    return 4 in ranks and 5 not in ranks  # torch refuses the order for weights of videos


def _fuse(loaded: Loaded) -> str:
    """Multiply query, key and value by one matrix."""
    denoiser = loaded.denoiser
    if not hasattr(denoiser, "fuse_qkv_projections"):
        return f"no: {type(denoiser).__name__} cannot fuse its projections"
    try:
        denoiser.fuse_qkv_projections()
    except (ValueError, AttributeError, NotImplementedError) as error:
        return f"no: {type(denoiser).__name__} cannot fuse its projections ({brief(error)})"
    return "denoiser"
