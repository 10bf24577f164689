"""The folder of a checkpoint and the path of a LoRA: on this machine, or fetched from the hub."""

from collections.abc import Iterator
from pathlib import Path

import diffusers
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from generation import checkpoints
from generation.models import DiffusionModel
from generation.pipelines.faults import brief
from jobs.refusals import Refused

UNREACHABLE = (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError)


def folder_of(model: DiffusionModel) -> Path:
    """Return the folder of the model's checkpoint, fetched if it is a hub id."""
    path = checkpoints.local_path(model.checkpoint, revision=model.revision, owner=model.name)
    if path is not None:
        return path
    try:
        return Path(
            diffusers.DiffusionPipeline.download(
                model.checkpoint, revision=model.revision, use_safetensors=True, trust_remote_code=False
            )
        )
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise Refused(_unfetched(model.name, model.checkpoint, model.revision, error)) from error


def lora_path(model: DiffusionModel) -> Path:
    """Return the file or folder of the model's LoRA, fetched if it is a hub id."""
    path = checkpoints.local_path(model.lora, revision=model.lora_revision, owner=model.name)
    if path is not None:
        return path
    try:
        return Path(snapshot_download(model.lora, revision=model.lora_revision, allow_patterns=["*.safetensors"]))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise Refused(_unfetched(model.name, model.lora, model.lora_revision, error)) from error


def _unfetched(owner: str, name: str, revision: str, error: Exception) -> str:
    if any(isinstance(cause, UNREACHABLE) for cause in _causes(error)):
        reason = "it is not on this machine and the hub cannot be reached; connect once, or give a local folder"
    else:
        reason = brief(error)
    return f"{owner}: {name} at {revision} was not fetched: {reason}."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes and contexts."""
    if error is not None:
        yield error
        yield from _causes(error.__cause__)
        yield from _causes(error.__context__)
