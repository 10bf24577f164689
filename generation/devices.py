"""The device on which this process computes, and its memory."""

import gc
import os
from functools import cache

import torch


@cache
def device() -> str:
    """Return `cuda` if available, else `cpu`, with all cores of this process unless OMP_NUM_THREADS is set."""
    if torch.cuda.is_available():
        return "cuda"
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    return "cpu"


def device_name() -> str:
    """Return the device's own name."""
    return torch.cuda.get_device_name() if device() == "cuda" else "cpu"


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an exception means that the memory of the accelerator or of the machine is full."""
    # On the CPU torch raises a plain RuntimeError; only its message names the allocator.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def empty_memory() -> None:
    """Free the memory of objects that are no longer used."""
    gc.collect()
    if device() == "cuda":
        torch.cuda.empty_cache()
