"""Checkpoints of full size with random weights, in the hub's layouts: their images are noise.

The sizes are those of the public configurations of stabilityai/stable-diffusion-xl-base-1.0,
PixArt-alpha/PixArt-XL-2-1024-MS and openai/clip-vit-base-patch32. Only the tokenizers are small, and PixArt's T5, whose
24 layers of the same size make 10 GB of nothing new, has two. Parts are built, saved and dropped one by one.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PixArtTransformer2DModel,
    UNet2DConditionModel,
)
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
)

from tests.untrained import clip_tokenizer, t5_tokenizer

GIB = 2**30
SHARD = "2GB"
SDXL_UNET: dict[str, Any] = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "use_linear_projection": True,
}
VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
PIXART: dict[str, Any] = {
    "sample_size": 128,
    "num_layers": 28,
    "num_attention_heads": 16,
    "attention_head_dim": 72,
    "in_channels": 4,
    "out_channels": 8,
    "patch_size": 2,
    "cross_attention_dim": 1152,
    "caption_channels": 4096,
}
T5: dict[str, Any] = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_heads": 64,
    "num_layers": 2,  # of 24
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
}
CLIP_TEXT: dict[str, Any] = {"vocab_size": 49408, "max_position_embeddings": 77}
CLIP_L = {**CLIP_TEXT, "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "projection_dim": 768}
CLIP_G: dict[str, Any] = {
    **CLIP_TEXT,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
}
CLIP_B = {**CLIP_TEXT, "hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}
BLOCK = 2**22 + 1  # random numbers, which the weights repeat


def build_sdxl(folder: Path, *, device: str = "cpu", variant: str = "fp16") -> dict[str, int]:
    """Save an SDXL checkpoint as sharded files of float16; return the number of weights of each part."""
    first, second = _tokenizer(), _tokenizer(padding="!")
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1
    )
    small = {"tokenizer": first, "tokenizer_2": second, "scheduler": scheduler}
    parts: dict[str, Callable[[], Any]] = {
        "unet": lambda: UNet2DConditionModel(**SDXL_UNET),
        "vae": lambda: AutoencoderKL(**VAE, sample_size=1024, scaling_factor=0.13025, force_upcast=True),
        "text_encoder": lambda: CLIPTextModel(_text_config(CLIP_L, first)),
        "text_encoder_2": lambda: CLIPTextModelWithProjection(_text_config(CLIP_G, second)),
    }
    return _save(folder, "StableDiffusionXLPipeline", parts, small, device=device, variant=variant)


def build_pixart(folder: Path, *, device: str = "cpu", variant: str = "", sample_size: int = 128) -> dict[str, int]:
    """Save a PixArt-alpha checkpoint as sharded files of float16; return the number of weights of each part.

    A sample_size of 128 samples at about 1024 px, whatever size is asked for.
    """
    tokenizer = t5_tokenizer()
    parts: dict[str, Callable[[], Any]] = {
        "transformer": lambda: PixArtTransformer2DModel(**{**PIXART, "sample_size": sample_size}),
        "vae": lambda: AutoencoderKL(**VAE, sample_size=512, scaling_factor=0.18215),
        "text_encoder": lambda: T5EncoderModel(T5Config(**T5)),
    }
    small = {"tokenizer": tokenizer, "scheduler": DPMSolverMultistepScheduler()}
    return _save(folder, "PixArtAlphaPipeline", parts, small, device=device, variant=variant)


def build_clip(folder: Path) -> int:
    """Save a CLIP ViT-B/32 in float32; return its number of weights."""
    tokenizer = _tokenizer()
    vision = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "patch_size": 32}
    text = _text_config(CLIP_B, tokenizer).to_dict()
    with _uninitialised(torch.float32, "cpu"):
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=512))
    _fill(model)
    model.save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return count_of(model)


def count_of(model: torch.nn.Module) -> int:
    """Return the number of weights."""
    return sum(weights.numel() for weights in model.parameters())


def free_memory() -> int:
    """Return the bytes of the machine's memory that a new program may take."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("MemAvailable")]
    return int(line.split()[1]) * 1024


def _tokenizer(**options: Any) -> Any:
    tokenizer = clip_tokenizer(**options)
    tokenizer.model_max_length = CLIP_TEXT["max_position_embeddings"]
    return tokenizer


def _text_config(sizes: Mapping[str, Any], tokenizer: Any) -> CLIPTextConfig:
    ends = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    return CLIPTextConfig(**sizes, **ends)


def _save(
    folder: Path,
    pipeline: str,
    parts: Mapping[str, Callable[[], Any]],
    small: Mapping[str, Any],
    *,
    device: str,
    variant: str,
) -> dict[str, int]:
    counts, index = {}, {"_class_name": pipeline, "_diffusers_version": "0.42.1"}
    for name, make in parts.items():
        with _uninitialised(torch.float16, device):
            part = make()
        _fill(part)
        part.save_pretrained(folder / name, variant=variant or None, max_shard_size=SHARD)
        counts[name] = count_of(part)
        index[name] = _class_of(part)
    for name, part in small.items():
        part.save_pretrained(folder / name)
        index[name] = _class_of(part)
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    return counts


def _class_of(part: Any) -> Any:
    return [type(part).__module__.partition(".")[0], type(part).__name__]


@contextmanager
def _uninitialised(dtype: torch.dtype, device: str) -> Iterator[None]:
    """Within the block modules are made in a dtype and on a device, and weights are not drawn, which takes minutes."""
    names = [name for name in dir(torch.nn.init) if name.endswith("_") and not name.startswith("_")]
    own = {name: getattr(torch.nn.init, name) for name in names}
    usual = torch.get_default_dtype()
    try:
        for name in names:
            setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)
        torch.set_default_dtype(dtype)
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(usual)
        for name, function in own.items():
            setattr(torch.nn.init, name, function)


@torch.no_grad()
def _fill(module: torch.nn.Module) -> None:
    """Give the weights values that keep the size of what they are multiplied with, and norms ones."""
    torch.manual_seed(7)
    block = torch.randn(BLOCK).to(next(module.parameters()).device)
    for name, weights in module.named_parameters():
        if weights.ndim < 2:
            weights.fill_(0.0 if name.endswith("bias") else 1.0)
            continue
        scale = 1 / math.sqrt(weights[0].numel())
        piece, flat = (block * scale).to(weights.dtype), weights.view(-1)
        for start in range(0, len(flat), BLOCK):
            rest = flat[start : start + BLOCK]
            rest.copy_(piece[: len(rest)])
