"""Attach a LoRA to a pipeline and detach it. It is never fused into the weights, so detaching restores them exactly."""

from pathlib import Path
from typing import Any

from generation.hub.wanted import lora_at_hand
from generation.machines.devices import is_out_of_memory
from generation.models import DiffusionModel
from generation.pipelines.faults import brief
from generation.pipelines.learned_tokens import attach_tokens
from generation.pipelines.loaded import Loaded
from generation.pipelines.lora_weights import kept_state, refuse_unused, source_of
from generation.weights import checkpoints
from generation.weights.file_hashes import sha256_of, sha256_of_file
from generation.weights.lora_files import read_token_map
from jobs.refusals import Refused

ADAPTER = "study"


def wanted_lora(model: DiffusionModel) -> tuple[Any, ...] | None:
    """Return what distinguishes the model's LoRA from any other; None if it has none."""
    return (model.lora, model.lora_revision, model.lora_file, model.lora_scale) if model.lora else None


def attach_lora(loaded: Loaded, model: DiffusionModel) -> None:
    """Detach the last LoRA and attach the model's, unless it is attached already.

    Raises Refused, with nothing attached, if the LoRA is missing, not whole, or does not fit the checkpoint.
    """
    wanted = wanted_lora(model)
    if loaded.lora == wanted:
        return
    _detach(loaded)
    if wanted is None or model.lora_scale is None:  # a constraint keeps LoRA and scale together
        return
    try:
        _attach(loaded, model, model.lora_scale)
    except BaseException:
        _detach(loaded)
        raise
    loaded.lora = wanted


def _detach(loaded: Loaded) -> None:
    """Restore the weights and tokenizers of the pipeline."""
    loaded.encoded.clear()  # a LoRA may change the text encoders
    loaded.lora, loaded.lora_facts = None, {}
    if loaded.learned:
        loaded.learned.detach()
        loaded.learned = None
    if hasattr(loaded.pipeline, "unload_lora_weights"):
        loaded.pipeline.unload_lora_weights()


def _attach(loaded: Loaded, model: DiffusionModel, scale: float) -> None:
    listing, files = lora_at_hand(model)
    file = listing.folder / files.weights
    _load_weights(loaded.pipeline, file, owner=model.name)
    loaded.pipeline.set_adapters([ADAPTER], [scale])
    words = read_token_map(listing, files.token_map, owner=model.name) if files.token_map else {}
    loaded.learned = attach_tokens(
        loaded.pipeline,
        listing.folder / files.embeddings if files.embeddings else None,
        words,
        wording=model.prompt_template,
        owner=model.name,
    )
    loaded.lora_facts = {
        "lora": checkpoints.shown(model.lora),
        "lora_revision": model.lora_revision,
        "lora_file": files.weights,
        "lora_scale": scale,
        "lora_sha256": sha256_of([file], root=file.parent),
    }
    if loaded.learned:
        loaded.lora_facts |= {
            "lora_files_sha256": {name: sha256_of_file(listing.folder / name) for name in files.all},
            "lora_token_map": loaded.learned.words,
        }


def _load_weights(pipeline: Any, file: Path, *, owner: str) -> None:
    """Load a LoRA into a pipeline. Raises Refused if it is damaged, or if a part of it meets no layer."""
    if not hasattr(pipeline, "load_lora_weights"):
        raise Refused(f"{owner}: {type(pipeline).__name__} takes no LoRA, so {file.name} cannot be used with it.")
    source = source_of(pipeline, file, owner=owner)
    where: dict[str, Any] = {} if isinstance(source, dict) else {"weight_name": file.name, "local_files_only": True}
    try:
        with kept_state(pipeline) as state:
            pipeline.load_lora_weights(source, adapter_name=ADAPTER, use_safetensors=True, **where)
    except Exception as error:  # the error's type depends on the first shape that does not match
        if is_out_of_memory(error):
            raise
        raise Refused(f"{owner}: the LoRA {file.name} does not fit the checkpoint ({brief(error)}).") from error
    refuse_unused(pipeline, state, adapter=ADAPTER, file=file.name, owner=owner)
