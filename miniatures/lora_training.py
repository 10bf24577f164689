"""Train the LoRA of mini-sdxl on one style, which has its own trigger word."""

from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor, nn

from miniatures.denoising import sdxl_predictor, velocity_loss
from miniatures.training import Stage, device

RANK = 8
_UNET_TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2"]
_TEXT_TARGETS = ["q_proj", "k_proj", "v_proj", "out_proj"]


def lora_stage(
    pipe: StableDiffusionXLPipeline, latents: Tensor, captions: tuple[str, ...], *, step_count: int
) -> Stage:
    """Train low-rank updates of the UNet and of the attention of both text encoders, for which the word is new."""
    torch.manual_seed(15)
    parameters: list[nn.Parameter] = []
    for module, targets in (
        (pipe.unet, _UNET_TARGETS),
        (pipe.text_encoder, _TEXT_TARGETS),
        (pipe.text_encoder_2, _TEXT_TARGETS),
    ):
        module.to(device()).requires_grad_(False)
        module.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=targets))
        parameters += [parameter for parameter in module.parameters() if parameter.requires_grad]
    loss = velocity_loss(sdxl_predictor(pipe, captions), latents, seed=15)
    return Stage("lora", parameters, loss, step_count, 5e-4)


def save_lora(pipe: StableDiffusionXLPipeline, folder: Path) -> None:
    """Save the adapters alone, as fp16 safetensors."""
    encoders = [
        convert_state_dict_to_diffusers(get_peft_model_state_dict(encoder))
        for encoder in (pipe.text_encoder, pipe.text_encoder_2)
    ]
    unet, first, second = map(_halves, (get_peft_model_state_dict(pipe.unet), *encoders))
    StableDiffusionXLPipeline.save_lora_weights(
        folder,
        unet_lora_layers=unet,
        text_encoder_lora_layers=first,
        text_encoder_2_lora_layers=second,
        safe_serialization=True,
    )


def _halves(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().half().cpu().contiguous() for name, value in state.items()}
