"""DreamSim's embedding: vision transformers side by side, whose cosine is one minus the DreamSim distance.

Fu et al. (2023), "DreamSim: learning new dimensions of human visual similarity using synthetic data". The authors'
package downloads pickled weights at run time and needs torchvision, so the definition stands here, and the weights come
from a folder that docs/exports/export_dreamsim.py writes with their package.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch.nn import functional

Tensors = dict[str, torch.Tensor]

HEAD_SIZE = 64  # of each head of attention, in every transformer that DreamSim uses


@dataclass(frozen=True, slots=True)
class Part:
    """A transformer: which of its outputs is the embedding, its activation, the epsilon of its norms, and its colours.

    features: "class_token", after the last block and before the norm, or "projection", of the normed class token.
    """

    features: Literal["class_token", "projection"]
    activation: Literal["gelu", "quick_gelu"]
    epsilon: float
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


class DreamSim:
    """The transformers of a checkpoint and their weights."""

    def __init__(self, parts: list[Part], weights: Tensors) -> None:
        self._parts = parts
        self._weights = [_below(weights, f"parts.{number}.") for number in range(len(parts))]

    @classmethod
    def from_pretrained(cls, folder: Path, **_settings: Any) -> tuple["DreamSim", dict[str, set[str]]]:
        """Load the model of a folder, and the keys that it lacks, as transformers' models do."""
        described = json.loads((folder / "config.json").read_text())["parts"]
        weights = load_file(folder / "model.safetensors")
        parts = [Part(**{**one, "mean": tuple(one["mean"]), "deviation": tuple(one["deviation"])}) for one in described]
        wanted = {f"parts.{number}.{name}" for number, part in enumerate(parts) for name in _needed(part)}
        return cls(parts, weights), {"missing_keys": wanted - weights.keys()}

    def to(self, device: Any) -> "DreamSim":
        """Move the weights to a device."""
        self._weights = [{name: one.to(device) for name, one in part.items()} for part in self._weights]
        return self

    def eval(self) -> "DreamSim":
        """Return the model as it is: nothing in it is random."""
        return self

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (n, d) of pixels (n, 3, h, w) from 0 to 1, each with its mean taken off."""
        found = [_features(pixels, part, own) for part, own in zip(self._parts, self._weights, strict=True)]
        embeddings = torch.cat(found, dim=-1)
        return embeddings - embeddings.mean(dim=-1, keepdim=True)


def _needed(part: Part) -> list[str]:
    """Return keys without which a transformer cannot be computed; blocks are counted by their keys."""
    ends = ["norm.weight", "norm.bias", "proj"] if part.features == "projection" else []
    return ["cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight", *ends]


def _below(weights: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): one.float() for name, one in weights.items() if name.startswith(prefix)}


def _features(pixels: torch.Tensor, part: Part, own: Tensors) -> torch.Tensor:
    mean, deviation = (pixels.new_tensor(row)[:, None, None] for row in (part.mean, part.deviation))
    kernel = own["patch_embed.proj.weight"]
    patches = functional.conv2d((pixels - mean) / deviation, kernel, own.get("patch_embed.proj.bias"), kernel.shape[-1])
    tokens = torch.cat([own["cls_token"].expand(len(pixels), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
    tokens = tokens + own["pos_embed"]
    if "pos_drop.weight" in own:  # CLIP's norm before the first block
        tokens = _norm(tokens, own, "pos_drop", part)
    for number in range(sum(name.endswith(".attn.qkv.weight") for name in own)):
        tokens = _block(tokens, _below(own, f"blocks.{number}."), part)
    if part.features == "class_token":
        return tokens[:, 0]
    return _norm(tokens, own, "norm", part)[:, 0] @ own["proj"]


def _block(tokens: torch.Tensor, own: Tensors, part: Part) -> torch.Tensor:
    tokens = tokens + _attention(_norm(tokens, own, "norm1", part), own)
    hidden = _linear(_norm(tokens, own, "norm2", part), own, "mlp.fc1")
    active = functional.gelu(hidden) if part.activation == "gelu" else hidden * torch.sigmoid(1.702 * hidden)
    return tokens + _linear(active, own, "mlp.fc2")


def _attention(tokens: torch.Tensor, own: Tensors) -> torch.Tensor:
    n, length, width = tokens.shape
    parts = _linear(tokens, own, "attn.qkv").reshape(n, length, 3, width // HEAD_SIZE, HEAD_SIZE)
    queries, keys, values = parts.permute(2, 0, 3, 1, 4)
    seen = functional.scaled_dot_product_attention(queries, keys, values)
    return _linear(seen.transpose(1, 2).reshape(n, length, width), own, "attn.proj")


def _linear(values: torch.Tensor, own: Tensors, name: str) -> torch.Tensor:
    return functional.linear(values, own[f"{name}.weight"], own.get(f"{name}.bias"))


def _norm(values: torch.Tensor, own: Tensors, name: str, part: Part) -> torch.Tensor:
    return functional.layer_norm(values, values.shape[-1:], own[f"{name}.weight"], own[f"{name}.bias"], part.epsilon)
