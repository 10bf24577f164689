"""Encoded prompts on disk, each in a file named by the hash of everything that determines it; bounded in size.

A large text encoder (T5 takes 10.7 GiB) then encodes all prompts of a study first and leaves the device's memory to
the denoiser; after a restart it is not needed again.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from django.conf import settings
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from jobs import whole_files

# What a text encoder returns: a tuple of tensors, of lists of tensors (of different lengths), and of None.
Outputs = tuple[Any, ...]


def is_storable(outputs: Any) -> bool:
    """Return whether these outputs of a text encoder can be stored."""
    return isinstance(outputs, tuple) and all(
        output is None
        or isinstance(output, torch.Tensor)
        or (isinstance(output, list) and all(isinstance(one, torch.Tensor) for one in output))
        for output in outputs
    )


def read(key: str) -> Outputs | None:
    """Return the stored outputs; None if there are none. A damaged file counts as none, and is deleted."""
    path = _path(key)
    try:
        with safe_open(path, framework="pt") as file:
            layout = json.loads(file.metadata()["layout"])
            outputs = tuple(_read_one(file, place, count) for place, count in enumerate(layout))
        os.utime(path)  # the least recently used go first
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return None
    return outputs


def _read_one(file: Any, place: int, count: int | None) -> Any:
    """Return the output at a place: None, a tensor (count -1), or a list of `count` tensors."""
    if count is None:
        return None
    if count == -1:
        return file.get_tensor(f"{place}")
    return [file.get_tensor(f"{place}.{index}") for index in range(count)]


def write(key: str, outputs: Outputs) -> int:
    """Store the outputs, delete the least recently used files beyond the limit, and return the file's size in bytes.

    Raises OSError if the disk is full; a job that meets it is tried again.
    """
    layout = [None if one is None else len(one) if isinstance(one, list) else -1 for one in outputs]
    tensors = dict(_named(outputs))
    data = save(tensors, metadata={"layout": json.dumps(layout)})
    whole_files.write(_path(key), data)
    _trim(_path(key))
    return len(data)


def _named(outputs: Outputs) -> Iterator[tuple[str, torch.Tensor]]:
    for place, output in enumerate(outputs):
        if isinstance(output, torch.Tensor):
            yield f"{place}", output.detach().cpu().contiguous()
        for index, one in enumerate(output if isinstance(output, list) else ()):
            yield f"{place}.{index}", one.detach().cpu().contiguous()


def holds(key: str) -> bool:
    """Return whether outputs are stored under the key."""
    return _path(key).exists()


def _path(key: str) -> Path:
    return Path(settings.PROMPT_CACHE_ROOT) / f"{key}.safetensors"


def _trim(newest: Path) -> None:
    """Delete the least recently used files until the rest is within PROMPT_CACHE_BYTES; the newest file stays."""
    files = []
    for path in newest.parent.glob("*.safetensors"):
        with suppress(OSError):  # another process deletes too
            stat = path.stat()
            files.append((stat.st_mtime_ns, stat.st_size, path))
    total = sum(size for _time, size, _path in files)
    for _time, size, path in sorted(files):
        if total <= settings.PROMPT_CACHE_BYTES or path == newest:
            return
        path.unlink(missing_ok=True)
        total -= size
