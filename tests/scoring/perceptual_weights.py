"""Folders of LPIPS and DreamSim with drawn weights, as docs/exports writes them: no trained weights are here.

The distances that the tests expect were computed from these weights by the authors' packages (lpips 0.1.4, dreamsim
0.2.1, on torch 2.13.0 and torchvision 0.28.0), which need torchvision and so are not among the tests' tools.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

SIDE, PATCH, WIDTH, PROJECTED, DEPTH = 32, 16, 64, 24, 12
DREAMSIM_PARTS = (
    ("class_token", "gelu", 1e-6, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ("projection", "quick_gelu", 1e-5, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    ("projection", "gelu", 1e-5, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
)
_LPIPS = {  # channels in and out and the kernel of each convolution, then the channels of each linear layer
    "alex": (
        {"1.0": (3, 64, 11), "2.3": (64, 192, 5), "3.6": (192, 384, 3), "4.8": (384, 256, 3), "5.10": (256, 256, 3)},
        (64, 192, 384, 256, 256),
    ),
    "vgg": (
        {"1.0": (3, 64, 3), "1.2": (64, 64, 3), "2.5": (64, 128, 3), "2.7": (128, 128, 3)}
        | {"3.10": (128, 256, 3), "3.12": (256, 256, 3), "3.14": (256, 256, 3)}
        | {"4.17": (256, 512, 3), "4.19": (512, 512, 3), "4.21": (512, 512, 3)}
        | {"5.24": (512, 512, 3), "5.26": (512, 512, 3), "5.28": (512, 512, 3)},
        (64, 128, 256, 512, 512),
    ),
}


def write_lpips(folder: Path, net: str) -> Path:
    """Write LPIPS with drawn weights; returns the folder."""
    rng, weights = np.random.default_rng(20180111), {}
    convolutions, channels = _LPIPS[net]
    for key, (inner, outer, side) in convolutions.items():
        scale = (2 / (inner * side**2)) ** 0.5
        weights[f"net.slice{key}.weight"] = rng.normal(scale=scale, size=(outer, inner, side, side))
        weights[f"net.slice{key}.bias"] = rng.normal(scale=0.1, size=outer)
    for number, count in enumerate(channels):
        weights[f"lin{number}.model.1.weight"] = rng.random((1, count, 1, 1)) / count
    return _written(folder, weights, {"model_type": f"lpips-{net}"})


def write_dreamsim(folder: Path) -> Path:
    """Write a DreamSim ensemble of three very small transformers with drawn weights; returns the folder."""
    rng = np.random.default_rng(20230615)
    weights: dict[str, NDArray[np.float64]] = {}
    for number, (features, *_) in enumerate(DREAMSIM_PARTS):
        for key, shape in _shapes(is_projected=features == "projection").items():
            is_norm = "norm" in key or "pos_drop" in key
            drawn = rng.normal(scale=0.15, size=shape)
            weights[f"parts.{number}.{key}"] = drawn + (is_norm and key.endswith("weight"))
    names = ("features", "activation", "epsilon", "mean", "deviation")
    parts = [dict(zip(names, part, strict=True)) for part in DREAMSIM_PARTS]
    prepared = {"size": {"height": SIDE, "width": SIDE}, "resample": 3, "do_normalize": False}
    _written(folder, weights, {"model_type": "dreamsim", "parts": parts})
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))
    return folder


def _shapes(*, is_projected: bool) -> dict[str, tuple[int, ...]]:
    tokens = (SIDE // PATCH) ** 2 + 1
    shapes: dict[str, tuple[int, ...]] = {"cls_token": (1, 1, WIDTH), "pos_embed": (1, tokens, WIDTH)}
    shapes |= _linear("patch_embed.proj", (WIDTH, 3, PATCH, PATCH)) | _linear("norm", (WIDTH,))
    if is_projected:
        shapes |= _linear("pos_drop", (WIDTH,)) | {"proj": (WIDTH, PROJECTED)}
    for number in range(DEPTH):
        layers: dict[str, tuple[int, ...]] = {"norm1": (WIDTH,), "norm2": (WIDTH,), "attn.qkv": (3 * WIDTH, WIDTH)}
        layers |= {"attn.proj": (WIDTH, WIDTH), "mlp.fc1": (2 * WIDTH, WIDTH), "mlp.fc2": (WIDTH, 2 * WIDTH)}
        for name, shape in layers.items():
            shapes |= _linear(f"blocks.{number}.{name}", shape)
    return shapes


def _linear(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _written(folder: Path, weights: dict[str, Any], configuration: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: torch.tensor(value, dtype=torch.float32) for key, value in weights.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(configuration))
    return folder
