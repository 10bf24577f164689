"""Load a diffusion pipeline and cache it. A process caches one pipeline and samples for one job at a time."""

from pathlib import Path
from typing import Any

import diffusers
import torch

from generation import checkpoints
from generation.checkpoint_files import CheckpointFiles
from generation.devices import device, empty_memory, is_out_of_memory
from generation.file_hashes import sha256_of
from generation.hub.wanted import checkpoint_at_hand
from generation.models import DiffusionModel
from generation.pipelines.families import FAMILIES, allowed_class
from generation.pipelines.faults import brief
from generation.pipelines.loaded import Loaded
from generation.pipelines.loras import attach_lora
from generation.prompt_checks import check_vocabulary
from jobs.refusals import Refused

diffusers.utils.logging.disable_progress_bar()


def load(model: DiffusionModel) -> Loaded:
    """Return the model's pipeline with its LoRA attached and no other; the last pipeline is cached.

    Raises Refused, naming model and file, if the checkpoint or the LoRA is missing, not pinned, not fetched, of a
    refused format or class, or does not fit.
    """
    key = (model.checkpoint, model.revision, model.variant, model.dtype)
    if Loaded.cached is None or Loaded.cached.key != key:
        Loaded.cached = None  # first, because two pipelines may not fit into memory
        empty_memory()
        Loaded.cached = _load(model, key)
    attach_lora(Loaded.cached, model)
    return Loaded.cached


def _load(model: DiffusionModel, key: tuple[str, ...]) -> Loaded:
    if not model.checkpoint:
        raise Refused(f"{model.name} has no checkpoint, so it makes no images: import them, or name a checkpoint.")
    if model.dtype == DiffusionModel.Dtype.FLOAT16 and device() == "cpu":
        raise Refused(f"{model.name}: float16 needs an accelerator, and this is a CPU: use float32 or bfloat16.")
    folder, files = checkpoint_at_hand(model)
    kind = allowed_class(files.index["_class_name"], model)
    pipeline = _pipeline(kind, folder, files, model)
    facts = {
        "checkpoint": checkpoints.shown(model.checkpoint),
        "revision": model.revision,
        "variant": files.variant,
        "weights_sha256": sha256_of([folder / name for name in files.weights], root=folder),
        "configuration_sha256": sha256_of([folder / name for name in files.small_files], root=folder),
        "pipeline": kind.__name__,
    }
    loaded = Loaded(key, pipeline, FAMILIES[kind], facts, own_scheduler=pipeline.scheduler)
    check_vocabulary(loaded.tokenizers(), checkpoint=str(folder), owner=model.name)
    return loaded


def _pipeline(kind: Any, folder: Path, files: CheckpointFiles, model: DiffusionModel) -> Any:
    try:
        with checkpoints.linked(folder, files) as only_these:
            pipeline = kind.from_pretrained(
                only_these,
                dtype=getattr(torch, model.dtype),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                **FAMILIES[kind].loading,
            ).to(device())
    except Exception as error:  # the error's type depends on the reader of the broken file
        if is_out_of_memory(error):
            raise
        raise Refused(f"{model.name}: the checkpoint {folder} cannot be loaded ({brief(error)}).") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
