"""Load a diffusion pipeline and cache it. A process caches one pipeline and samples for one job at a time."""

import json
import logging
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import diffusers
import torch
import transformers
from django.conf import settings
from huggingface_hub.utils.tqdm import disable_progress_bars

from generation.hub.wanted import checkpoint_at_hand
from generation.machines.devices import can_compute_in, device, device_name, empty_memory, is_out_of_memory
from generation.models import DiffusionModel
from generation.pipelines.arguments import check_order, check_prompts
from generation.pipelines.components import check_configurations, freeze, load_transformers
from generation.pipelines.encoding import encode_ahead, is_encoded
from generation.pipelines.families import allowed_class, loading_arguments
from generation.pipelines.faults import brief
from generation.pipelines.loaded import Loaded
from generation.pipelines.loras import attach_lora, wanted_lora
from generation.pipelines.prompt_checks import check_vocabulary
from generation.pipelines.speed import set_speed, wanted_speed
from generation.plans.orders import Order
from generation.weights import checkpoints
from generation.weights.checkpoint_files import CheckpointFiles
from generation.weights.file_hashes import sha256_of
from jobs.refusals import Refused

T = TypeVar("T")
GIB = 2**30
TALKATIVE = ("diffusers", "transformers", "peft", "accelerate", "huggingface_hub", "bitsandbytes")


def quieten() -> None:
    """Show no progress bars, no warnings and no advice of the libraries: a worker writes one line for each job.

    Their errors are raised as exceptions. What they advise (other arguments, other versions, a LoRA without keys for a
    text encoder) is decided in this package.
    """
    diffusers.utils.logging.disable_progress_bar()
    transformers.logging.disable_progress_bar()
    disable_progress_bars()
    diffusers.utils.logging.set_verbosity(logging.CRITICAL)
    transformers.logging.set_verbosity(logging.CRITICAL)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
        for category in (FutureWarning, DeprecationWarning, UserWarning):
            warnings.filterwarnings("ignore", category=category, module=rf"{name}(\..*)?$")


quieten()


def ready(order: Order, upcoming: Iterable[Order], check: Callable[[], None]) -> Loaded:
    """Return the order's pipeline on the device, with the LoRA attached, ready to sample the order.

    If its text encoders are large, the prompts of this order and of `upcoming` are encoded first, and the encoders are
    dropped. `check` is called between prompts. Raises Refused, naming model and file, if anything cannot be used.
    """
    loaded = load(order.diffusion_model)
    check_order(loaded, order)
    check_prompts(loaded, order)
    if not loaded.has_encoders and not is_encoded(loaded, order):
        loaded = load(order.diffusion_model, is_anew=True)
    if loaded.has_encoders and not loaded.keeps_encoders:
        _fitted(lambda: _place_encoders(loaded))
        encode_ahead(loaded, [order, *upcoming], check)
        _drop_encoders(loaded)
    _finish(loaded, order.diffusion_model)
    return loaded


def ready_with_encoders(order: Order) -> Loaded:
    """Return the order's pipeline on the device, which keeps its text encoders whatever their size."""
    loaded = load(order.diffusion_model, is_anew=True)
    loaded.keeps_encoders = True
    _finish(loaded, order.diffusion_model)
    return loaded


def _finish(loaded: Loaded, model: DiffusionModel) -> None:
    """Move the pipeline to the device and make it as fast as the model asks for, unless both are done."""
    if not loaded.is_placed:
        _fitted(lambda: _place(loaded))
    _fitted(lambda: set_speed(loaded, model))


def load(model: DiffusionModel, *, is_anew: bool = False) -> Loaded:
    """Return the model's pipeline with its LoRA attached and no other; the last pipeline is cached.

    It may not be on the device yet. Raises Refused, naming model and file, if the checkpoint or the LoRA is missing,
    not pinned, not fetched, of a refused format or class, or does not fit.
    """
    key = (model.checkpoint, model.revision, model.variant, model.dtype_in_use, model.vae_dtype, *wanted_speed(model))
    cached = Loaded.cached
    # A LoRA may belong to the text encoders, too.
    lacks_encoders = cached is not None and not cached.has_encoders and cached.lora != wanted_lora(model)
    if cached is None or cached.key != key or is_anew or lacks_encoders:
        cached = None
        Loaded.cached = None  # first, because two pipelines may not fit into memory
        empty_memory()
        cached = Loaded.cached = _fitted(lambda: _load(model, key))
    _fitted(partial(attach_lora, cached, model))
    return cached


def _load(model: DiffusionModel, key: tuple[str, ...]) -> Loaded:
    if not model.checkpoint:
        raise Refused(f"{model.name} has no checkpoint, so it makes no images: import them, or name a checkpoint.")
    if model.dtype_in_use == DiffusionModel.Dtype.AUTO:
        raise Refused(f"{model.name}: its dtype is auto and no worker has tried it yet: launch its study.")
    if not can_compute_in(model.dtype_in_use):
        raise Refused(f"{model.name}: {_unable(model.dtype_in_use)}.")
    folder, files = checkpoint_at_hand(model)
    kind = allowed_class(files.index["_class_name"], model)
    vae_dtype = getattr(torch, model.vae_dtype or _usual_vae_dtype(kind, folder, model.dtype_in_use))
    pipeline = _pipeline(kind, folder, files, model, vae_dtype)
    facts = {
        "checkpoint": checkpoints.shown(model.checkpoint),
        "revision": model.revision,
        "variant": files.variant,
        "weights_sha256": sha256_of([folder / name for name in files.weights], root=folder),
        "configuration_sha256": sha256_of([folder / name for name in files.small_files], root=folder),
        "pipeline": kind.__name__,
    }
    loaded = Loaded(key, pipeline, facts, own_scheduler=pipeline.scheduler, vae_dtype=vae_dtype)
    byte_count = sum(_byte_count(encoder) for encoder in loaded.text_encoders().values())
    loaded.keeps_encoders = byte_count <= settings.KEEP_TEXT_ENCODERS_GIB * GIB
    check_vocabulary(loaded.tokenizers(), checkpoint=str(folder), owner=model.name)
    return loaded


def _unable(dtype: str) -> str:
    if device() == "cpu":
        return f"{dtype} needs an accelerator, and this is a CPU: use float32 or bfloat16"
    return f'{device_name()} does not compute in {dtype}: use "float16" or "auto"'


def _usual_vae_dtype(kind: Any, folder: Path, dtype: str) -> str:
    """Return float32 if the images would overflow in half precision, as with SDXL, else the model's dtype.

    diffusers itself decodes SDXL in float32 only if the model is in float16.
    """
    config = folder / "vae" / "config.json"
    if not hasattr(kind, "upcast_vae") or not config.exists():
        return dtype
    try:
        return "float32" if json.loads(config.read_text()).get("force_upcast", True) else dtype
    except (ValueError, RecursionError, AttributeError):  # loading it says what is wrong
        return dtype


def _pipeline(kind: Any, folder: Path, files: CheckpointFiles, model: DiffusionModel, vae_dtype: torch.dtype) -> Any:
    dtype = getattr(torch, model.dtype_in_use)
    check_configurations(folder, files, owner=model.name)
    with checkpoints.linked(folder, files) as only_these:
        try:
            pipeline = kind.from_pretrained(
                only_these,
                dtype={"default": dtype, "vae": vae_dtype},
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                **load_transformers(only_these, files, dtype=dtype, owner=model.name),
                **loading_arguments(kind),
            )
        except Refused:
            raise
        except Exception as error:  # the error's type depends on the reader of the broken file
            if is_out_of_memory(error):
                raise
            reason = brief(error, place=str(only_these), shown=str(folder))
            raise Refused(f"{model.name}: the checkpoint {folder} cannot be loaded ({reason}).") from error
    freeze(pipeline.components, owner=model.name)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _place_encoders(loaded: Loaded) -> None:
    for encoder in loaded.text_encoders().values():
        encoder.to(device())


def _drop_encoders(loaded: Loaded) -> None:
    for name in loaded.text_encoders():
        setattr(loaded.pipeline, name, None)
    loaded.has_encoders = False
    empty_memory()


def _place(loaded: Loaded) -> None:
    """Move the pipeline to the device, or with MODEL_OFFLOAD each part only while it computes."""
    loaded.is_offloaded = settings.MODEL_OFFLOAD and device() != "cpu"
    if loaded.is_offloaded:
        loaded.pipeline.enable_model_cpu_offload(device=device())
    else:
        loaded.pipeline.to(device())
    loaded.is_placed = True


def _fitted(step: Callable[[], T]) -> T:
    """Do a step of loading; if the memory is full, once more after freeing it."""
    try:
        return step()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Outside the except block: the exception's traceback keeps the tensors alive that filled the memory.
    empty_memory()
    try:
        return step()
    except Exception:
        Loaded.cached = None  # what is half loaded fills the memory, too
        raise


def _byte_count(module: torch.nn.Module) -> int:
    return sum(weights.numel() * weights.element_size() for weights in module.parameters())
