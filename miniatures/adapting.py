"""Training the LoRA of mini-sdxl on one style, called by its own word."""

from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor

from miniatures.denoising import sdxl_predictor, velocity_loss
from miniatures.training import Stage, device

RANK = 8
_TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2"]


def lora_stage(
    pipe: StableDiffusionXLPipeline, latents: Tensor, captions: tuple[str, ...], *, step_count: int
) -> Stage:
    """Low-rank updates of the UNet's attention and convolutions; everything else is frozen."""
    for module in (pipe.unet, pipe.text_encoder, pipe.text_encoder_2):
        module.to(device()).requires_grad_(False)
    torch.manual_seed(15)
    config = LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=_TARGETS)
    pipe.unet.add_adapter(config)
    parameters = [parameter for parameter in pipe.unet.parameters() if parameter.requires_grad]
    loss = velocity_loss(sdxl_predictor(pipe, captions), latents, seed=15)
    return Stage("lora", parameters, loss, step_count, 2e-3)


def save_lora(pipe: StableDiffusionXLPipeline, folder: Path) -> None:
    """The adapter alone, as fp16 safetensors."""
    state = get_peft_model_state_dict(pipe.unet)
    halves = {name: value.detach().half().cpu().contiguous() for name, value in state.items()}
    StableDiffusionXLPipeline.save_lora_weights(folder, unet_lora_layers=halves, safe_serialization=True)
