"""Build very small untrained checkpoints: their images are noise, but every part is of a full-size study's class.

    python -m tests.untrained FOLDER

makes FOLDER/sdxl, FOLDER/sd, FOLDER/pixart (64 x 64 px), FOLDER/sdxl-lora and FOLDER/clip (32 x 32 px) in a few
seconds, all as safetensors; a folder that is there already is whole and stays as it is.
"""

import json
import string
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from tokenizers import pre_tokenizers
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

WIDTH = 16  # of each text encoder
# Every letter is a token here, so that a prompt of ordinary length needs more of them than CLIP's 77.
MOST_TOKENS = 256


def build_all(folder: Path) -> list[Path]:
    """Build what is missing in `folder`; the paths that were built. Each appears whole or not at all."""
    makers: dict[str, Callable[[Path], None]] = {
        "sdxl": lambda target: _sdxl(0).save_pretrained(target, safe_serialization=True),
        "sd": lambda target: _sd(4).save_pretrained(target, safe_serialization=True),
        "pixart": lambda target: _pixart(1).save_pretrained(target, safe_serialization=True),
        "sdxl-lora": lambda target: _save_lora(2, target),
        "clip": lambda target: _save_clip(3, target),
    }
    return build_missing(folder, makers)


def build_missing(folder: Path, makers: dict[str, Callable[[Path], None]]) -> list[Path]:
    """Make what is missing in `folder`, by name; the paths that were made. Each appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in makers if not (folder / name).exists()]
    for name in missing:
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as aside:
            whole = Path(aside) / name
            makers[name](whole)
            _move(whole, folder / name)
    return [folder / name for name in missing]


def _move(whole: Path, target: Path) -> None:
    try:
        whole.rename(target)
    except OSError:
        if not target.exists():  # else another process was faster, and built the same
            raise


def _sdxl(seed: int) -> StableDiffusionXLPipeline:
    torch.manual_seed(seed)
    first, second = clip_tokenizer(), clip_tokenizer(padding="!")
    time_width = 8
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        transformer_layers_per_block=(1, 1),
        use_linear_projection=True,
        cross_attention_dim=2 * WIDTH,  # both text encoders side by side
        addition_embed_type="text_time",
        addition_time_embed_dim=time_width,
        projection_class_embeddings_input_dim=WIDTH + 6 * time_width,  # pooled text and six sizes
    )
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1
    )
    return StableDiffusionXLPipeline(
        vae=autoencoder(),
        text_encoder=CLIPTextModel(text_config(first)).eval(),
        text_encoder_2=CLIPTextModelWithProjection(text_config(second)).eval(),
        tokenizer=first,
        tokenizer_2=second,
        unet=unet.eval(),
        scheduler=scheduler,
        add_watermarker=False,
    )


def _sd(seed: int) -> StableDiffusionPipeline:
    torch.manual_seed(seed)
    tokenizer = clip_tokenizer()
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
    )
    return StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=CLIPTextModel(text_config(tokenizer)).eval(),
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=PNDMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _pixart(seed: int) -> PixArtAlphaPipeline:
    torch.manual_seed(seed)
    tokenizer = t5_tokenizer()
    transformer = PixArtTransformer2DModel(
        sample_size=8,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=4,
        in_channels=4,
        out_channels=8,
        cross_attention_dim=32,
        caption_channels=2 * WIDTH,
        use_additional_conditions=False,
    )
    return PixArtAlphaPipeline(
        tokenizer=tokenizer,
        text_encoder=T5EncoderModel(t5_config(tokenizer)).eval(),
        vae=autoencoder(),
        transformer=transformer.eval(),
        scheduler=DPMSolverMultistepScheduler(),
    )


def _save_lora(seed: int, target: Path) -> None:
    unet = _sdxl(0).unet
    torch.manual_seed(seed)
    unet.add_adapter(
        LoraConfig(r=4, lora_alpha=4, init_lora_weights="gaussian", target_modules=["to_q", "to_k", "to_v", "to_out.0"])
    )
    with torch.no_grad():
        for name, weights in unet.named_parameters():
            if "lora_B" in name:
                weights.normal_(0, 0.5)  # it starts at zero, where the adapter changes nothing
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    StableDiffusionXLPipeline.save_lora_weights(target, unet_lora_layers=layers, safe_serialization=True)


def _save_clip(seed: int, target: Path) -> None:
    torch.manual_seed(seed)
    side = 32
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": side,
        "patch_size": 8,
        "projection_dim": WIDTH,
    }
    tokenizer = clip_tokenizer()
    config = CLIPConfig(text_config=text_config(tokenizer).to_dict(), vision_config=vision, projection_dim=WIDTH)
    CLIPModel(config).eval().save_pretrained(target)
    CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side}).save_pretrained(
        target
    )
    tokenizer.save_pretrained(target)


def set_config(file: Path, **entries: Any) -> None:
    """Change entries of a component's config.json, or of a model_index.json."""
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


def autoencoder(**settings: Any) -> AutoencoderKL:
    """Four blocks, so that latents are an eighth of the image's size, as in the full-size models."""
    return AutoencoderKL(
        **settings,
        latent_channels=4,
        sample_size=64,
        scaling_factor=0.13025,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        layers_per_block=1,
    ).eval()


def clip_tokenizer(padding: str = "<|endoftext|>") -> CLIPTokenizer:
    """Every letter is a token."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], pad_token=padding, model_max_length=MOST_TOKENS)


def t5_tokenizer() -> T5Tokenizer:
    """Every sign of ASCII is a token."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    pieces += [(sign, -3.0) for sign in string.ascii_letters + string.digits + string.punctuation]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=MOST_TOKENS)


def t5_config(tokenizer: T5Tokenizer) -> T5Config:
    """A text encoder twice as wide as the others."""
    return T5Config(
        vocab_size=len(tokenizer),
        d_model=2 * WIDTH,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )


def text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    """A text encoder of WIDTH."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=MOST_TOKENS,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.untrained FOLDER")
    for path in build_all(Path(sys.argv[1])):
        print(path)
