"""Build a very small untrained pipeline of each further class that studies may use: their images are noise.

    python -m tests.untrained_families FOLDER

makes FOLDER/sd3, flux, qwen-image, z-image, sana and kandinsky3 (64 x 64 px), as tests/untrained.py makes the others.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKLQwenImage,
    DDPMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    Kandinsky3Pipeline,
    Kandinsky3UNet,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    VQModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers import pre_tokenizers
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizer,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3Model,
    T5EncoderModel,
)

from tests.untrained import (
    WIDTH,
    autoencoder,
    build_missing,
    clip_tokenizer,
    t5_config,
    t5_tokenizer,
    text_config,
)

# The sizes of the language models that read prompts.
DECODER: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": WIDTH,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
CHAT = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }} {% endfor %}"


def build_families(folder: Path) -> list[Path]:
    """Build what is missing in `folder`; the paths that were built. Each appears whole or not at all."""
    makers: dict[str, Callable[[], object]] = {
        "sd3": _sd3,
        "flux": _flux,
        "qwen-image": _qwen_image,
        "z-image": _z_image,
        "sana": _sana,
        "kandinsky3": _kandinsky3,
    }

    def saved(make: Callable[[], object], seed: int) -> Callable[[Path], None]:
        def save(target: Path) -> None:
            torch.manual_seed(seed)
            make().save_pretrained(target, safe_serialization=True)  # type: ignore[attr-defined]

        return save

    return build_missing(folder, {name: saved(make, seed) for seed, (name, make) in enumerate(makers.items())})


def _sd3() -> StableDiffusion3Pipeline:
    first, second, third = clip_tokenizer(), clip_tokenizer(padding="!"), t5_tokenizer()
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=2 * WIDTH,
        pooled_projection_dim=2 * WIDTH,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=autoencoder(shift_factor=0.0609),
        text_encoder=CLIPTextModelWithProjection(text_config(first)).eval(),
        tokenizer=first,
        text_encoder_2=CLIPTextModelWithProjection(text_config(second)).eval(),
        tokenizer_2=second,
        text_encoder_3=T5EncoderModel(t5_config(third)).eval(),
        tokenizer_3=third,
    )


def _flux() -> FluxPipeline:
    first, second = clip_tokenizer(), t5_tokenizer()
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,  # four latents of four channels
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=2 * WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=autoencoder(shift_factor=0.1159),
        text_encoder=CLIPTextModel(text_config(first)).eval(),
        tokenizer=first,
        text_encoder_2=T5EncoderModel(t5_config(second)).eval(),
        tokenizer_2=second,
        transformer=transformer.eval(),
    )


def _qwen_image() -> QwenImagePipeline:
    tokenizer = _qwen_tokenizer()
    rope = {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"}
    text = {**DECODER, "vocab_size": len(tokenizer), "num_hidden_layers": 2, "rope_scaling": rope}
    vision = {"depth": 1, "hidden_size": WIDTH, "intermediate_size": WIDTH, "num_heads": 2, "out_hidden_size": WIDTH}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(8, 4, 4),
    )
    vae = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae.eval(),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=tokenizer,
        transformer=transformer.eval(),
    )


def _z_image() -> ZImagePipeline:
    tokenizer = _qwen_tokenizer()
    config = Qwen3Config(vocab_size=len(tokenizer), num_hidden_layers=2, head_dim=8, **DECODER)
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDTH,
        axes_dims=[8, 4, 4],
        axes_lens=[1024, 32, 32],
    )
    with torch.no_grad():  # not set by its code, which expects a checkpoint
        transformer.x_pad_token.zero_()
        transformer.cap_pad_token.zero_()
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=autoencoder(shift_factor=0.1159),
        text_encoder=Qwen3Model(config).eval(),
        tokenizer=tokenizer,
        transformer=transformer.eval(),
    )


def _sana() -> SanaPipeline:
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581", *map(chr, range(33, 127))]
    tokenizer = GemmaTokenizer(vocab={piece: index for index, piece in enumerate(pieces)}, merges=[])
    config = Gemma2Config(vocab_size=len(tokenizer), num_hidden_layers=1, head_dim=8, **DECODER)
    transformer = SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=8,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=WIDTH,
        sample_size=8,
    )
    blocks = {
        "block_types": ("ResBlock", "EfficientViTBlock"),
        "block_out_channels": (8, 8),
        "qkv_multiscales": ((), (5,)),
        "layers_per_block": (1, 1),
    }
    vae = AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        **{f"{part}_{name}": value for part in ("encoder", "decoder") for name, value in blocks.items()},
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        scaling_factor=0.41407,
    )
    return SanaPipeline(
        tokenizer=tokenizer,
        text_encoder=Gemma2Model(config).eval(),
        vae=vae.eval(),
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
    )


def _kandinsky3() -> Kandinsky3Pipeline:
    tokenizer = t5_tokenizer()
    unet = Kandinsky3UNet(
        time_embedding_dim=4,
        groups=2,
        attention_head_dim=4,
        layers_per_block=3,
        block_out_channels=(32, 64),
        cross_attention_dim=4,
        encoder_hid_dim=2 * WIDTH,
    )
    movq = VQModel(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=(*("DownEncoderBlock2D",) * 3, "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", *("UpDecoderBlock2D",) * 3),
        latent_channels=4,
        norm_num_groups=8,
        norm_type="spatial",
        num_vq_embeddings=12,
        vq_embed_dim=4,
    )
    return Kandinsky3Pipeline(
        tokenizer=tokenizer,
        text_encoder=T5EncoderModel(t5_config(tokenizer)).eval(),
        unet=unet.eval(),
        scheduler=DDPMScheduler(),
        movq=movq.eval(),
    )


def _qwen_tokenizer() -> Qwen2Tokenizer:
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "<|endoftext|>"]
    tokenizer = Qwen2Tokenizer(vocab={piece: index for index, piece in enumerate(pieces)}, merges=[])
    tokenizer.chat_template = CHAT
    return tokenizer


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.untrained_families FOLDER")
    for path in build_families(Path(sys.argv[1])):
        print(path)
