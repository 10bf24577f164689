"""The miniatures' architectures: diffusers' and transformers' own classes, with small numbers in their configs."""

import json
import string
from typing import Any

from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
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

from miniatures.renderer import SIDE
from miniatures.scenes import COLOURS, PLACES, SHAPES, SIZES, STYLES, TRIGGER

LATENT_CHANNELS = 4
LATENT_SIDE = SIDE // 4
PROMPT_TOKENS = 32  # the longest caption has 22; every further one costs time at each step
# Linear betas up to .02 leave almost nothing of the picture at the last step. With Stable Diffusion's
# own schedule 7 % of it remains, from which a model on small latents reads the background in training.
# What is predicted is the velocity (Salimans and Ho 2022, "Progressive Distillation for Fast Sampling of Diffusion
# Models"): near pure noise a network that predicts the noise has nothing to gain from the caption, and the background
# is decided there.
SCHEDULE = {
    "prediction_type": "v_prediction",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "num_train_timesteps": 1000,
}
WORDS = sorted(
    {word for text in (*COLOURS, *SHAPES, *STYLES, *SIZES, *PLACES) for word in text.split()}
    | {"a", "an", "and", "background", "style", "in", "the", "of", TRIGGER.lower()}
)


def clip_tokenizer() -> CLIPTokenizer:
    """Build a byte-level BPE tokenizer whose merges make one token of each word of the captions."""
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit()])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # Merges of equal frequency are ordered by their parts' numbers; those of the last letters would be random in each
    # process if they were not given.
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        min_frequency=1,
        end_of_word_suffix="</w>",
        initial_alphabet=alphabet,
        special_tokens=[f"{letter}</w>" for letter in alphabet],
        show_progress=False,
    )
    tokenizer.train_from_iterator(WORDS * 2, trainer)
    merges = [tuple(merge) for merge in _merges(tokenizer)]
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet)]
    tokens += [token for token in ("".join(merge) for merge in merges) if token not in set(tokens)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=PROMPT_TOKENS)


def _merges(tokenizer: Tokenizer) -> list[list[str]]:
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]


def t5_tokenizer() -> T5Tokenizer:
    """Build a unigram tokenizer with every word of the captions, and single characters for the rest."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -4.0), (",", -4.0)]
    pieces += [(f"\u2581{TRIGGER if word == TRIGGER.lower() else word}", -2.0) for word in WORDS]
    pieces += [(letter, -6.0) for letter in string.ascii_letters + string.digits + "-.!?'"]
    pieces += [(f"<extra_id_{index}>", 0.0) for index in range(99, -1, -1)]
    return T5Tokenizer(vocab=pieces, extra_ids=100, model_max_length=120)


def _text_config(tokenizer: CLIPTokenizer, **more: Any) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=PROMPT_TOKENS,
        projection_dim=128,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )


def build_vae() -> AutoencoderKL:
    """Build the autoencoder: 96 x 96 x 3 to 24 x 24 x 4."""
    return AutoencoderKL(
        latent_channels=LATENT_CHANNELS,
        sample_size=SIDE,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 48),
        norm_num_groups=8,
        layers_per_block=1,
        force_upcast=False,
    )


def build_sdxl(vae: AutoencoderKL) -> StableDiffusionXLPipeline:
    """Build mini-sdxl: two CLIP text encoders, a UNet with added time ids, Euler."""
    tokenizer = clip_tokenizer()
    config = _text_config(tokenizer)
    unet = UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(32, 64, 96),
        layers_per_block=1,
        norm_num_groups=16,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        attention_head_dim=(1, 2, 3),
        transformer_layers_per_block=(1, 1, 1),
        use_linear_projection=True,
        cross_attention_dim=256,
        addition_embed_type="text_time",
        addition_time_embed_dim=16,
        projection_class_embeddings_input_dim=128 + 6 * 16,
    )
    return StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(config),
        text_encoder_2=CLIPTextModelWithProjection(config),
        tokenizer=tokenizer,
        tokenizer_2=clip_tokenizer(),
        unet=unet,
        scheduler=EulerDiscreteScheduler(**SCHEDULE, timestep_spacing="trailing"),
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )


def build_pixart(vae: AutoencoderKL) -> PixArtAlphaPipeline:
    """Build mini-pixart: a T5 encoder and a transformer denoiser on 3 x 3 patches of the latents."""
    tokenizer = t5_tokenizer()
    encoder = T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=128,
            d_kv=32,
            d_ff=256,
            num_layers=2,
            num_heads=4,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
        )
    )
    transformer = PixArtTransformer2DModel(
        sample_size=LATENT_SIDE,
        num_layers=4,
        patch_size=3,
        attention_head_dim=32,
        num_attention_heads=6,
        in_channels=LATENT_CHANNELS,
        out_channels=2 * LATENT_CHANNELS,
        cross_attention_dim=192,
        caption_channels=128,
        use_additional_conditions=False,
    )
    return PixArtAlphaPipeline(
        tokenizer=tokenizer,
        text_encoder=encoder,
        vae=vae,
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(**SCHEDULE),
    )


def build_clip() -> tuple[CLIPModel, CLIPTokenizer, CLIPImageProcessorPil]:
    """Build mini-clip: a vision transformer on 64 patches of 12 x 12 pixels and a text transformer, 64 dimensions."""
    tokenizer = clip_tokenizer()
    vision = {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": 12,
        "projection_dim": 64,
    }
    config = CLIPConfig(
        text_config=_text_config(tokenizer).to_dict() | {"projection_dim": 64}, vision_config=vision, projection_dim=64
    )
    processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    return CLIPModel(config), tokenizer, processor
