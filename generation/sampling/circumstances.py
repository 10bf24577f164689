"""The circumstances of an image besides its model, prompt and parameters: code, drivers, and how the device computes.

It loads torch. Everything here is recorded with each image, and compared when an image is made again.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import torch

from generation.machines.devices import usual_precision
from jobs.version import commit, version

_backends: Any = torch.backends  # half of it is untyped
_DRIVER = re.compile(r"Kernel Module(?: for \S+)?\s+(\d[\d.]+)")


def circumstances(pipeline: Any) -> dict[str, Any]:
    """Return the circumstances of this process and of a pipeline, as JSON."""
    return {
        "product": version(),
        "commit": commit(),
        "noise": "cpu",  # drawn on the CPU, with one generator for each seed, so that it is the same on every device
        "cuda": torch.version.cuda or "",
        "cudnn": _backends.cudnn.version() or 0,
        "driver": driver_version(),
        "tf32": _tf32(),
        "attention": attention_of(pipeline),
        "vae_dtype": str(getattr(getattr(pipeline, "vae", None), "dtype", "")).removeprefix("torch."),
    }


@usual_precision()
def _tf32() -> dict[str, bool]:
    return {"matmul": _backends.cuda.matmul.allow_tf32, "cudnn": _backends.cudnn.allow_tf32}


@cache
def driver_version(file: Path = Path("/proc/driver/nvidia/version")) -> str:
    """Return the version of NVIDIA's driver; empty without one."""
    try:
        found = _DRIVER.search(file.read_text())
    except OSError:
        return ""
    return found[1] if found else ""


def attention_of(pipeline: Any) -> list[str]:
    """Return the classes that compute the attention of the denoiser, and the kernels that torch may choose from."""
    denoiser = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    processors = getattr(denoiser, "attn_processors", {})
    allowed = {
        "flash": _backends.cuda.flash_sdp_enabled(),
        "memory_efficient": _backends.cuda.mem_efficient_sdp_enabled(),
        "math": _backends.cuda.math_sdp_enabled(),
        "cudnn": _backends.cuda.cudnn_sdp_enabled(),
    }
    kernels = [name for name, is_allowed in allowed.items() if is_allowed]
    return sorted({type(processor).__name__ for processor in processors.values()}) + kernels
