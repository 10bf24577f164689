"""Load the components of transformers, check that no component lacks weights, and freeze them.

transformers fills what a file lacks with random numbers, and diffusers leaves it without any: the first gives wrong
images without a word, the second an error of torch.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from diffusers.pipelines import stable_diffusion

from generation.weights.checkpoint_files import CheckpointFiles
from jobs.refusals import Refused

LIBRARIES = {"transformers": transformers, "stable_diffusion": stable_diffusion}


def check_configurations(folder: Path, files: CheckpointFiles, *, owner: str) -> None:
    """Raise Refused if a component's configuration is not a JSON object: the libraries would look for it elsewhere."""
    for name in files.small_files:
        if name.endswith("/config.json"):
            try:
                is_object = isinstance(json.loads((folder / name).read_bytes()), dict)
            except (ValueError, RecursionError):
                is_object = False
            if not is_object:
                raise Refused(f"{owner}: {folder / name} is not a JSON object: fetch or copy it again.")


def load_transformers(place: Path, files: CheckpointFiles, *, dtype: torch.dtype, owner: str) -> dict[str, Any]:
    """Return the components of transformers that have weights, by name.

    place: the folder that holds exactly the chosen files. Raises Refused if a component lacks weights.
    """
    loaded = {}
    for component in files.components:
        model = _class_in_transformers(*files.index[component.name][:2])
        if model is None or not component.weights:
            continue
        loaded[component.name], report = model.from_pretrained(
            place / component.name,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        _refuse_lacking(component.name, report["missing_keys"], owner=owner)
    return loaded


def _class_in_transformers(library: str, kind: str) -> Any:
    """Return the class of a component if transformers loads its weights, else None."""
    model = getattr(LIBRARIES.get(library), kind, None)
    return model if isinstance(model, type) and issubclass(model, transformers.PreTrainedModel) else None


def freeze(components: Mapping[str, Any], *, owner: str) -> None:
    """Freeze the weights of all components. Raise Refused if a component of diffusers lacks some.

    torch multiplies by another path if a weight could be trained, even where nothing is, and rounds otherwise. A LoRA
    freezes the weights that it is attached to and never frees them, so images would depend on what was made before.
    """
    for name, part in components.items():
        if isinstance(part, torch.nn.Module):
            _refuse_lacking(name, (key for key, weight in part.state_dict().items() if weight.is_meta), owner=owner)
            part.requires_grad_(False)


def _refuse_lacking(component: str, lacking: Iterable[str], *, owner: str) -> None:
    if names := sorted(lacking):
        raise Refused(
            f"{owner}: the files of {component} lack {len(names)} of its weights, for example {names[0]}: fetch or "
            "copy the checkpoint again."
        )
