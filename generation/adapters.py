"""LoRA on a loaded pipeline: put on, taken off again without a trace, never fused into the weights."""

from pathlib import Path
from typing import Any

from jobs.refusals import Refused

ADAPTER = "study"


def put_on(pipeline: Any, file: Path, *, scale: float, owner: str) -> None:
    """Load a LoRA and set its scale. Raises Refused, with the pipeline as it was, where it does not fit."""
    if not hasattr(pipeline, "load_lora_weights"):
        raise Refused(f"{owner}: {type(pipeline).__name__} takes no LoRA, so {file.name} cannot be used with it.")
    fault = _load(pipeline, file)
    if fault is not None:
        pipeline.unload_lora_weights()
        raise Refused(f"{owner}: the LoRA {file.name} does not fit the checkpoint ({fault}).")
    pipeline.set_adapters([ADAPTER], [scale])


def take_off(pipeline: Any) -> None:
    """Back to the checkpoint's own weights, exactly."""
    if hasattr(pipeline, "unload_lora_weights"):
        pipeline.unload_lora_weights()


def _load(pipeline: Any, file: Path) -> str | None:
    """What is wrong with the LoRA for this pipeline, or None."""
    try:
        pipeline.load_lora_weights(
            file.parent, weight_name=file.name, adapter_name=ADAPTER, local_files_only=True, use_safetensors=True
        )
    except Exception as error:  # a misfit ends in whichever error its shapes happen to hit
        return " ".join(str(error).split())[:200] or type(error).__name__
    # One whose keys match nothing is loaded without a word, and would change nothing.
    if not any(ADAPTER in names for names in pipeline.get_list_adapters().values()):
        return "none of its layers exist there"
    return None
