"""The time that the host takes for an image after it was sampled, by stage."""

import time
from collections.abc import Callable
from typing import Any

SIDE = 768


def picture() -> Any:
    """Return smooth noise of 768 px with some grain, which costs an encoder about as much as a photograph."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(0, 255, (48, 48, 3), np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    pixels = np.asarray(coarse, np.float32) / 255 + rng.normal(0, 0.01, (SIDE, SIDE, 3)).astype(np.float32)
    return np.clip(pixels, 0, 1, dtype=np.float32)


def print_stages() -> None:
    """Print the CPU time that an image of 768 px takes the host, by stage."""
    from generation.pictures import files, renditions
    from generation.pictures.pixels import as_srgb, png
    from generation.sampling.sampling import Sampled

    pixels = picture()
    shown = as_srgb(Sampled(0, pixels, {}).image)
    data = png(shown)
    stages: dict[str, Callable[[], object]] = {
        "to eight bits": lambda: as_srgb(Sampled(0, pixels, {}).image),
        "PNG": lambda: png(shown),
        "SHA-256": lambda: files.sha256(data),
        **{f"WebP {name}": lambda name=name: renditions.encode(shown, name) for name in renditions.SIZES},  # type: ignore[misc]
        "writing the PNG": lambda: _written(data),
    }
    print(f"\nHost time of an image of {SIDE} px, outside the sampling thread")
    for name, stage in stages.items():
        print(f"  {name:20}{_cpu_ms(stage):8.1f} ms")


def _written(data: bytes) -> None:
    from generation.pictures import files

    with files.stage("image_sets/measured/0.png", data):
        pass


def _cpu_ms(stage: Callable[[], object]) -> float:
    taken = []
    for _ in range(5):
        began = time.thread_time()
        stage()
        taken.append(time.thread_time() - began)
    return min(taken) * 1000
