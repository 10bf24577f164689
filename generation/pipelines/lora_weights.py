"""Read the weights of a LoRA, and check that each of them came to a layer.

diffusers and peft load a LoRA of which some keys, or all, meet no layer of the model, and say so in a log at most.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from generation.pipelines.faults import brief
from jobs.refusals import Refused

# A LoRA adds the product of two matrices to a weight: of kohya, of diffusers, of peft.
HALVES = (re.compile(r"lora_up\.|\.up\.|lora_B"), re.compile(r"lora_down\.|\.down\.|lora_A"))
State = dict[str, torch.Tensor]


def source_of(pipeline: Any, file: Path, *, owner: str) -> "State | Path":
    """Return what diffusers can load: the folder of the file, or its weights with the prefix that diffusers expects.

    Replicate's trainer names attention processors from the UNet on, without a prefix. Files of other layouts are
    loaded by diffusers itself, because their metadata may hold the scale of each layer.

    Raises Refused for a damaged or empty file, weights that change nothing, and DoRA, of which diffusers drops a part.
    """
    try:
        state: State = load_file(file)
    except Exception as error:  # safetensors raises several kinds
        raise Refused(f"{owner}: the LoRA {file.name} is not a safetensors file ({brief(error)}).") from error
    if not state:
        raise Refused(f"{owner}: the LoRA {file.name} holds no weights: fetch or copy it again.")
    if broken := next((key for key, tensor in state.items() if not tensor.float().isfinite().all()), ""):
        raise Refused(f"{owner}: the LoRA {file.name} holds numbers that are not finite, for example in {broken}.")
    for half in HALVES:
        weights = [tensor for key, tensor in state.items() if half.search(key)]
        if weights and not any(tensor.any() for tensor in weights):
            raise Refused(f"{owner}: the LoRA {file.name} changes nothing: its weights are zero.")
    if dora := next((key for key in state if "dora_scale" in key), ""):
        raise Refused(f"{owner}: the LoRA {file.name} is a DoRA ({dora}), which diffusers reads in part only.")
    for name in ("unet", "transformer"):
        parts = {part for part, _ in getattr(pipeline, name, torch.nn.Module()).named_children()}
        if state and parts.issuperset(key.partition(".")[0] for key in state):
            return {f"{name}.{key}": tensor for key, tensor in state.items()}
    return file.parent


@contextmanager
def kept_state(pipeline: Any) -> Iterator[State]:
    """Yield the weights as diffusers translates them to its own names while it loads a LoRA in the block."""
    state: State = {}
    translate = pipeline.lora_state_dict

    def keep(*arguments: Any, **options: Any) -> Any:
        translated = translate(*arguments, **options)
        state.update(translated[0] if isinstance(translated, tuple) else translated)
        return translated

    vars(pipeline)["lora_state_dict"] = keep
    try:
        yield state
    finally:
        del vars(pipeline)["lora_state_dict"]


def refuse_unused(pipeline: Any, state: Mapping[str, torch.Tensor], *, adapter: str, file: str, owner: str) -> None:
    """Raise Refused if a weight is in no layer of the pipeline. Weights are compared by their values.

    So every layout of names is checked, as each is renamed on its way by other rules.
    """
    adapted = dict(_adapter_weights(pipeline, adapter))
    loaded = [weight for weight in adapted.values() if not weight.is_meta]
    there = Counter(_fingerprint(weight) for weight in loaded)
    kinds = {weight.dtype for weight in loaded}
    weights = {key: tensor for key, tensor in state.items() if tensor.ndim and not key.endswith("alpha")}
    unused = []
    for key, tensor in weights.items():
        found = next((print_ for kind in kinds if there[print_ := _fingerprint(tensor.to(kind))]), None)
        if found is None:
            unused.append(key)
        else:
            there[found] -= 1
    if unused:
        raise Refused(
            f"{owner}: the LoRA {file} does not fit the checkpoint: {len(unused)} of its {len(weights)} weights meet "
            f"no layer, for example {unused[0]}."
        )
    if empty := [name for name, weight in adapted.items() if weight.is_meta]:
        raise Refused(f"{owner}: the LoRA {file} is not whole: it lacks the weight {empty[0]}.")


def _adapter_weights(pipeline: Any, adapter: str) -> Iterator[tuple[str, torch.Tensor]]:
    for part, component in pipeline.components.items():
        if isinstance(component, torch.nn.Module):
            for name, weight in component.named_parameters():
                if adapter in name.split("."):
                    yield f"{part}.{name.replace(f'.{adapter}', '')}", weight.detach()


def _fingerprint(tensor: torch.Tensor) -> tuple[tuple[int, ...], bytes]:
    data = tensor.detach().to("cpu").contiguous().view(torch.uint8).numpy().tobytes()
    return tuple(tensor.shape), hashlib.blake2b(data).digest()
