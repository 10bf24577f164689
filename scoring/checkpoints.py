"""Find an encoder's files, check them against the spec, and hash them. Loads no weights."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub

from generation.checkpoints import local_path, sha256_of
from jobs.refusals import Refused
from scoring.encoder_spec import EncoderSpec

CONFIGURATION = "config.json"
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")  # either says how images are prepared
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"  # of weights in several files
WANTED = (CONFIGURATION, *PROCESSOR_FILES, WEIGHTS, WEIGHTS_INDEX, "model-*-of-*.safetensors")

logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what goes wrong is said once, by Refused

HUB_TIMEOUT = 20  # seconds for the hub to answer


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An encoder's files: their folder, the architecture that its configuration names, and their hash.

    The hash covers everything that determines an embedding (weights, configuration, preprocessing), but neither the
    folder's name nor other files in it.
    """

    folder: Path
    model_type: str
    fingerprint: str


def find_checkpoint(spec: EncoderSpec) -> Checkpoint:
    """Find the files of an encoder in its local folder, in the hub's local cache, or on the hub.

    Raises Refused for a missing folder, a hub id that is not pinned or cannot be reached, weights that are not
    safetensors, and missing or unreadable files.
    """
    folder = _folder(spec)
    files = [
        _present(folder, CONFIGURATION),
        *(folder / name for name in _processor_files(folder)),
        *_weights(folder),
    ]
    model_type = str(_read_json(folder / CONFIGURATION).get("model_type", ""))
    return Checkpoint(folder, model_type, sha256_of(files, root=folder))


def _folder(spec: EncoderSpec) -> Path:
    local = local_path(spec.checkpoint, revision=spec.revision, owner="The image encoder")
    if local is None:
        return _cached(spec) or _downloaded(spec)
    if spec.revision:
        raise Refused(f"{spec.checkpoint} is a local folder, which has no revision: leave the revision out.")
    return local


def _cached(spec: EncoderSpec) -> Path | None:
    """Return the checkpoint's folder in the hub's local cache if it is complete: then no network is needed."""
    try:
        folder = Path(huggingface_hub.snapshot_download(spec.checkpoint, revision=spec.revision, local_files_only=True))
        _weights(folder)
    except (OSError, Refused):
        return None
    return folder if (folder / CONFIGURATION).exists() and _has_processor(folder) else None


def _downloaded(spec: EncoderSpec) -> Path:
    try:
        # This request comes first because it is tried once; without a network the download would retry for 30 seconds.
        huggingface_hub.model_info(spec.checkpoint, revision=spec.revision, timeout=HUB_TIMEOUT)
        return Path(
            huggingface_hub.snapshot_download(spec.checkpoint, revision=spec.revision, allow_patterns=list(WANTED))
        )
    except Exception as error:  # of the hub, of HTTP, of the network, of the disk: to the reader all one
        raise Refused(
            f"{spec.checkpoint} at {spec.revision[:12]} is not on this machine and could not be fetched "
            f"({first_line(error)}): connect to the hub once, or give the path of a local copy."
        ) from error


def _has_processor(folder: Path) -> bool:
    return any((folder / name).exists() for name in PROCESSOR_FILES)


def _processor_files(folder: Path) -> list[str]:
    if not _has_processor(folder):
        raise Refused(f"{folder} holds no {PROCESSOR_FILES[0]}, which says how images are prepared: add it.")
    return [name for name in PROCESSOR_FILES if (folder / name).exists()]


def _weights(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if (folder / WEIGHTS_INDEX).exists():
        names = sorted(set(_read_json(folder / WEIGHTS_INDEX).get("weight_map", {}).values()))
        return [folder / WEIGHTS_INDEX, *(_present(folder, Path(name).name) for name in names)]
    raise Refused(f"{folder} holds no {WEIGHTS}: weights are read as safetensors only, so convert them first.")


def _present(folder: Path, name: str) -> Path:
    if not (folder / name).exists():
        raise Refused(f"{folder} holds no {name}: it is not a whole checkpoint.")
    return folder / name


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Refused(f"{path} cannot be read as JSON: {first_line(error)}.") from error
    if not isinstance(content, dict):
        raise Refused(f"{path} does not hold a JSON object.")
    return content


def first_line(error: Exception) -> str:
    """Return the first line of a library's error, shortened for a message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
