"""Where this process computes, and what to do when its memory is full."""

import gc
import os
from functools import cache

import torch


@cache
def device() -> str:
    """`cuda` where there is one, else `cpu`, with the cores this process may use unless OMP_NUM_THREADS is set."""
    if torch.cuda.is_available():
        return "cuda"
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    return "cpu"


def device_name() -> str:
    """What the device calls itself."""
    return torch.cuda.get_device_name() if device() == "cuda" else "cpu"


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception means that memory, of the accelerator or of the machine, ran out."""
    # On the CPU torch raises a plain RuntimeError: its allocator's message is the only sign.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def empty_memory() -> None:
    """Let go of what nothing refers to any more."""
    gc.collect()
    if device() == "cuda":
        torch.cuda.empty_cache()
