"""Lay a tiny checkpoint out as repositories of the hub are: variants, shards, and files that nobody uses."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def weights_of(folder: Path) -> list[Path]:
    """The plain files of weights of a checkpoint."""
    return sorted(folder.glob("*/*.safetensors"))


def add_variant(folder: Path, variant: str = "fp16", *, alone: bool = False) -> None:
    """Add the half-precision files beside the plain ones, or in their place."""
    for file in weights_of(folder):
        tensors = {name: tensor.half() for name, tensor in load_file(file).items()}
        save_file(tensors, file.with_name(f"{file.stem}.{variant}.safetensors"), metadata={"format": "pt"})
        if alone:
            file.unlink()


def shard(file: Path, *, variant: str = "") -> list[Path]:
    """Split a file of weights into two shards with their index, as save_pretrained writes them."""
    tensors = load_file(file)
    names = sorted(tensors)
    stem = file.name.removesuffix(".safetensors").removesuffix(f".{variant}")
    marked = f"{stem}.{variant}" if variant else stem
    weight_map: dict[str, str] = {}
    shards: list[Path] = []
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        path = file.with_name(f"{marked}-{number:05}-of-00002.safetensors")
        save_file({name: tensors[name] for name in part}, path, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, path.name)
        shards.append(path)
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    index = file.with_name(f"{stem}.safetensors.index{f'.{variant}' if variant else ''}.json")
    index.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
    file.unlink()
    return shards


def add_strays(folder: Path) -> None:
    """Add what repositories hold beside the used files: exports, pickles, another VAE, the whole model in one file."""
    some = torch.zeros(500)
    (folder / "vae_1_0").mkdir()
    save_file({"a": some}, folder / "vae_1_0" / "diffusion_pytorch_model.safetensors")
    save_file({"a": some}, folder / "sd_xl_base_1.0.safetensors")
    (folder / "vae_1_0" / "config.json").write_text("{}")
    for name in ("unet/model.onnx", "unet/openvino_model.bin", "text_encoder/flax_model.msgpack", "unet/evil.py"):
        (folder / name).write_bytes(b"x" * 2000)
    (folder / "text_encoder" / "pytorch_model.bin").write_bytes(b"x" * 2000)
    (folder / "text_encoder" / "pytorch_model.bin.index.json").write_text("{}")
    (folder / "README.md").write_text("a card")
