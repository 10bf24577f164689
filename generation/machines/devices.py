"""The device on which this process computes, its memory, and what its errors mean."""

import errno
import gc
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from threading import RLock

import torch


class Fault(Enum):
    """The meaning of an error for the device."""

    MEMORY = "memory"  # full; what is smaller may fit
    STICKY = "sticky"  # every later call of this process fails too: only a new process helps
    OTHER = "other"  # no fault of the device


# cuBLAS and cuDNN report a full memory as a plain RuntimeError, and the CPU's allocator too.
_OUT_OF_MEMORY = (
    *("out of memory", "_ALLOC_FAILED", "_ALLOCATION_FAILED", "DefaultCPUAllocator"),
    *("cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY"),
)
_STICKY = (
    *("CUDA error", "device-side assert", "illegal memory access", "illegal instruction", "misaligned address"),
    *("uncorrectable ECC", "launch failure", "launch timed out", "unspecified launch", "hardware stack error"),
    *("CUBLAS_STATUS_", "CUDNN_STATUS_", "cuDNN Frontend error", "cuFFT error", "cusolver error", "cusparse error"),
    *("CUDA driver error", "Triton Error [CUDA]", "NVML", "No CUDA GPUs", "no CUDA-capable device"),
    "GPU has fallen off the bus",
)


# cuDNN's flags hold for the whole process: an encoder that set its own would change images sampled at the same time.
_flags = RLock()


@contextmanager
def usual_precision() -> Iterator[None]:
    """Keep the flags of the device as they are while the block samples, or reads them."""
    with _flags:
        yield


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute convolutions in float32 on a GPU too, where the default is TF32. It waits for `usual_precision`."""
    if device() == "cpu":
        yield
        return
    with _flags, torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


@cache
def device() -> str:
    """Return `cuda` if available, else `cpu`, with all cores of this process unless OMP_NUM_THREADS is set."""
    if torch.cuda.is_available():
        return "cuda"
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    return "cpu"


def can_compute_in(dtype: str) -> bool:
    """Return whether the hardware of this process computes in a dtype."""
    if device() == "cpu":
        return dtype != "float16"
    # An older card only imitates bfloat16, at a fraction of its speed.
    return dtype != "bfloat16" or torch.cuda.is_bf16_supported(including_emulation=False)


def best_dtype() -> str:
    """Return what `auto` means here: bfloat16 if the card has it, else float16; float32 without a card."""
    if device() == "cpu":
        return "float32"
    return "bfloat16" if can_compute_in("bfloat16") else "float16"


def device_name() -> str:
    """Return the device's own name."""
    return torch.cuda.get_device_name() if device() == "cuda" else "cpu"


def fault_of(error: BaseException) -> Fault:
    """Return what an exception says about the device: by itself, or by the exception that it was raised from."""
    fault, cause = _fault_of_one(error), error.__cause__
    return fault_of(cause) if fault is Fault.OTHER and cause is not None else fault


def _fault_of_one(error: BaseException) -> Fault:
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return Fault.MEMORY
    if not isinstance(error, RuntimeError):  # AcceleratorError is one
        return Fault.OTHER
    if any(sign in text for sign in _OUT_OF_MEMORY):
        return Fault.MEMORY
    is_sticky = isinstance(error, torch.AcceleratorError) or any(sign in text for sign in _STICKY)
    return Fault.STICKY if is_sticky else Fault.OTHER


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that the memory of the accelerator or of the machine is full."""
    return fault_of(error) is Fault.MEMORY


def empty_memory() -> None:
    """Free the memory of objects that are no longer used."""
    gc.collect()
    if device() == "cuda":
        torch.cuda.empty_cache()


def memory_in_use() -> tuple[int, int]:
    """Return the used and the whole memory of the device in bytes; on a CPU this process's and the machine's."""
    if device() == "cuda":
        free, total = torch.cuda.mem_get_info()
        return total - free, total
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return used, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
