"""Python imports this at its start if the folder is on PYTHONPATH: the card GPU-sick then fails at every job.

Another card begins no study's images before the sick one has failed twice, however slowly its process starts again.
"""

import importlib.abc
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

SICK = "GPU-sick"
FAILURES = Path(os.environ["SICK_CARD_FAILURES"])  # an empty file for each process that failed
FAILURES_UNTIL_REFUSED = 2
Sampling = Callable[..., Iterator[Any]]


class SickSampling(importlib.abc.MetaPathFinder):
    """Loads generation.sampling.sampling as it is, and replaces `sample_batches`."""

    def __init__(self, replacement: Callable[[Sampling], Sampling]) -> None:
        self._replacement = replacement

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != "generation.sampling.sampling":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def load_and_replace(module: Any) -> None:
            load(module)
            module.sample_batches = self._replacement(module.sample_batches)

        spec.loader.exec_module = load_and_replace  # type: ignore[method-assign]
        return spec


def failing(_sample: Sampling) -> Sampling:
    """Return what fails as a card with a broken memory does."""

    def fail(*_order: Any, **_options: Any) -> Any:
        import torch

        (FAILURES / str(os.getpid())).touch()  # the process ends by the error
        raise torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered")

    return fail


def waiting(sample: Sampling) -> Sampling:
    """Return what samples a job of several images only after the sick card has failed; a trial, which has one, at once.

    The study has no jobs before its trials are over, and one of them may have failed on the sick card.
    """

    def wait_and_sample(order: Any, batches: Sequence[Sequence[int]], **options: Any) -> Iterator[Any]:
        while sum(map(len, batches)) > 1 and len(list(FAILURES.iterdir())) < FAILURES_UNTIL_REFUSED:
            options["check"]()
            time.sleep(0.1)
        yield from sample(order, batches, **options)

    return wait_and_sample


if card := os.environ.get("CUDA_VISIBLE_DEVICES"):
    sys.meta_path.insert(0, SickSampling(failing if card == SICK else waiting))
