"""Attach a LoRA to a pipeline and detach it. It is never fused into the weights, so detaching restores them exactly."""

from pathlib import Path
from typing import Any

from generation import checkpoints
from generation.models import DiffusionModel
from generation.pipelines.faults import brief
from generation.pipelines.hub import lora_path
from generation.pipelines.loaded import Loaded
from jobs.refusals import Refused

ADAPTER = "study"


def attach_lora(loaded: Loaded, model: DiffusionModel) -> None:
    """Detach the last LoRA and attach the model's, unless it is attached already."""
    wanted = (model.lora, model.lora_revision, model.lora_scale) if model.lora else None
    if loaded.lora == wanted:
        return
    loaded.encoded.clear()  # a LoRA may change the text encoders
    loaded.lora, loaded.lora_facts = None, {}
    if hasattr(loaded.pipeline, "unload_lora_weights"):
        loaded.pipeline.unload_lora_weights()
    if wanted is None or model.lora_scale is None:  # a constraint keeps LoRA and scale together
        return
    file = checkpoints.lora_file(lora_path(model), owner=model.name)
    _load_lora(loaded.pipeline, file, owner=model.name)
    loaded.pipeline.set_adapters([ADAPTER], [model.lora_scale])
    loaded.lora = wanted
    loaded.lora_facts = {
        "lora": checkpoints.shown(model.lora),
        "lora_revision": model.lora_revision,
        "lora_scale": model.lora_scale,
        "lora_sha256": checkpoints.sha256_of([file], root=file.parent),
    }


def _load_lora(pipeline: Any, file: Path, *, owner: str) -> None:
    """Load a LoRA into a pipeline. Raises Refused, with the pipeline unchanged, if it does not fit."""
    if not hasattr(pipeline, "load_lora_weights"):
        raise Refused(f"{owner}: {type(pipeline).__name__} takes no LoRA, so {file.name} cannot be used with it.")
    fault = ""
    try:
        pipeline.load_lora_weights(
            file.parent, weight_name=file.name, adapter_name=ADAPTER, local_files_only=True, use_safetensors=True
        )
    except Exception as error:  # the error's type depends on the first shape that does not match
        fault = brief(error)
    # diffusers loads a LoRA whose keys match no layer without an error; it would change nothing.
    if not fault and not any(ADAPTER in names for names in pipeline.get_list_adapters().values()):
        fault = "none of its layers exist there"
    if fault:
        pipeline.unload_lora_weights()
        raise Refused(f"{owner}: the LoRA {file.name} does not fit the checkpoint ({fault}).")
