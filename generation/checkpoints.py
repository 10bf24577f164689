"""Check whether a checkpoint on disk may be loaded, and hash its weights. Reads files; loads nothing.

Only safetensors are accepted: every other format of weights can run code when it is loaded.
"""

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from jobs.refusals import Refused

PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
LIBRARIES = ("diffusers", "transformers", "stable_diffusion")  # whose classes a checkpoint may name
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def local_path(name: str, *, revision: str, owner: str) -> Path | None:
    """Return the local path of a checkpoint or LoRA; None for a hub id.

    Raises Refused if the path does not exist, or if a hub id has no pinned revision (a commit of 40 digits).
    """
    if path := on_disk(name):
        return path.resolve()
    if not _HUB_ID.fullmatch(name) or name.startswith("."):
        raise Refused(f"{owner}: there is no {name} on this machine; give a folder that exists, or a hub id.")
    if not _COMMIT.fullmatch(revision):
        raise Refused(
            f"{owner}: {name} is not a folder on this machine, and as a hub id it needs a pinned revision: "
            "the commit of 40 digits, not a branch."
        )
    return None


def shown(name: str) -> str:
    """Return a checkpoint's name without the folders of this machine."""
    return name if _HUB_ID.fullmatch(name) and not on_disk(name) else Path(name).name


def on_disk(name: str | Path) -> Path | None:
    """Return the path of that name if it exists; None also for a name that no file can have."""
    try:
        path = Path(name).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError):  # longer than the file system allows, of a user that is not there
        return None


def read_index(folder: Path, *, owner: str) -> dict[str, Any]:
    """Read the checkpoint's model_index.json. Raises Refused if the folder holds no diffusers pipeline."""
    if folder.is_file():
        raise Refused(
            f"{owner}: {folder} is a single file; a checkpoint is a folder in the diffusers layout, with safetensors."
        )
    index = folder / "model_index.json"
    try:
        document = json.loads(index.read_text())
    except FileNotFoundError:
        raise Refused(f"{owner}: {folder} holds no model_index.json, so it is not a diffusers checkpoint.") from None
    except ValueError as error:
        raise Refused(f"{owner}: {index} is not JSON ({error}).") from None
    if not isinstance(document, dict) or not isinstance(document.get("_class_name"), str):
        raise Refused(f"{owner}: {index} names no pipeline class of diffusers.")
    return document


def weight_files(folder: Path, index: dict[str, Any], *, owner: str) -> list[Path]:
    """Return the safetensors of all components. Raises Refused for a missing component, another format, custom code."""
    files: list[Path] = []
    for name, value in sorted(index.items()):
        if name.startswith("_") or not isinstance(value, list) or value[0] is None:
            continue
        component = folder / name
        if value[0] not in LIBRARIES:
            raise Refused(f"{owner}: the component {name} of {folder} is code of its own ({value[0]}), never loaded.")
        if not component.is_dir():
            raise Refused(f"{owner}: the component {name} is missing in {folder}.")
        files += _weights_of(component, owner=owner)
    return files


def _weights_of(component: Path, *, owner: str) -> list[Path]:
    files = sorted(component.glob("*.safetensors"))
    pickled = sorted(path for path in component.iterdir() if path.suffix in PICKLED)
    if not files and pickled:
        raise Refused(f"{owner}: {pickled[0]} is refused: weights are read as safetensors only, so convert it.")
    if not files and (component / "config.json").exists():
        raise Refused(f"{owner}: {component} holds no weights (*.safetensors).")
    return files


def lora_file(path: Path, *, owner: str) -> Path:
    """Return the safetensors file of a LoRA, given that file or its folder. Raises Refused if it is not unique."""
    if path.is_file():
        if path.suffix != ".safetensors":
            raise Refused(f"{owner}: the LoRA {path} is refused: weights are read as safetensors only.")
        return path
    usual = path / "pytorch_lora_weights.safetensors"
    files = [usual] if usual.exists() else sorted(path.glob("*.safetensors"))
    if not files:
        pickled = sorted(file.name for file in path.iterdir() if file.suffix in PICKLED)
        found = f" ({pickled[0]} is refused: weights are read as safetensors only)" if pickled else ""
        raise Refused(f"{owner}: the LoRA folder {path} holds no safetensors file{found}.")
    if len(files) > 1:
        raise Refused(f"{owner}: the LoRA folder {path} holds {len(files)} safetensors files; name one.")
    return files[0]


def sha256_of(files: list[Path], *, root: Path) -> str:
    """Return one hash of several files: of their names below `root` and their contents, in the order of the names."""
    total = hashlib.sha256()
    for file in sorted(files):
        stat = file.stat()
        total.update(f"{file.relative_to(root)} {_sha256(file, stat.st_size, stat.st_mtime_ns)}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=256)
def _sha256(file: Path, _size: int, _changed_at: int) -> str:
    """Hash a file; cached by size and time of change, because hashing gigabytes takes seconds."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
