"""Python imports this at its start if the folder is on PYTHONPATH: the card GPU-sick then fails at every job."""

import importlib.abc
import importlib.util
import os
import sys
from typing import Any

SICK = "GPU-sick"


class SickSampling(importlib.abc.MetaPathFinder):
    """Loads generation.sampling.sampling as it is, and replaces `sample_batches`."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != "generation.sampling.sampling":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def load_and_break(module: Any) -> None:
            load(module)
            module.sample_batches = fail

        spec.loader.exec_module = load_and_break  # type: ignore[method-assign]
        return spec


def fail(*_order: Any, **_options: Any) -> Any:
    import torch

    raise torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered")


if os.environ.get("CUDA_VISIBLE_DEVICES") == SICK:
    sys.meta_path.insert(0, SickSampling())
