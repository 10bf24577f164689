"""Train the two denoisers, each together with its text encoders, on the same latents."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import DDPMScheduler, PixArtAlphaPipeline, StableDiffusionXLPipeline
from torch import Tensor, nn

from miniatures.aligning import Alignment
from miniatures.architectures import LATENT_CHANNELS, LATENT_SIDE, PROMPT_TOKENS, SCHEDULE
from miniatures.renderer import SIDE
from miniatures.training import Stage, device, mixed_precision, step_generator

BATCH = 32
_EMPTY_SHARE = 0.1  # captions left out, for classifier-free guidance
# Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy"; its root, which gives more weight
# to noisy steps, where a drawing's shape is decided.
_SNR_CAP = 5.0
T5_TOKENS = 28

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]  # noisy latents, steps, caption numbers -> velocity


def sdxl_stage(
    pipe: StableDiffusionXLPipeline, latents: Tensor, captions: tuple[str, ...], *, step_count: int
) -> Stage:
    """Train the UNet from scratch, and both text encoders from their present weights."""
    modules = (pipe.unet, pipe.text_encoder, pipe.text_encoder_2)
    parameters = [parameter for module in modules for parameter in module.to(device()).train().parameters()]
    loss = velocity_loss(sdxl_predictor(pipe, captions), latents, seed=13)
    return Stage("sdxl", parameters, loss, step_count, 1e-3, _matrices(pipe.unet))


def pixart_stage(
    pipe: PixArtAlphaPipeline, latents: Tensor, captions: tuple[str, ...], patches: Tensor, *, step_count: int
) -> Stage:
    """Train the transformer from scratch, and the T5 encoder from its present weights; `patches`: `aligning.seen`."""
    config, blocks = pipe.transformer.config, pipe.transformer.transformer_blocks
    alignment = Alignment(
        blocks[len(blocks) // 2 - 1],
        width=config.num_attention_heads * config.attention_head_dim,
        tokens_a_side=LATENT_SIDE // config.patch_size,
        patches=patches,
    )
    modules = (pipe.transformer, pipe.text_encoder, alignment)
    parameters = [parameter for module in modules for parameter in module.to(device()).train().parameters()]
    loss = velocity_loss(_pixart_predictor(pipe, captions), latents, seed=14, beside=alignment.loss)
    return Stage("pixart", parameters, loss, step_count, 1e-3, _matrices(pipe.transformer))


def _matrices(denoiser: nn.Module) -> tuple[nn.Parameter, ...]:
    """Return all parameters except biases, norms, small tables, and the layers next to the latents."""
    least = 2 * LATENT_CHANNELS
    return tuple(weight for weight in denoiser.parameters() if weight.ndim > 1 and min(weight.shape[:2]) > least)


def sdxl_predictor(pipe: StableDiffusionXLPipeline, captions: tuple[str, ...]) -> Predict:
    """Predict with SDXL's conditioning: both encoders' last but one layer, the pooled projection, the size ids."""
    tokens = pipe.tokenizer(
        ["", *captions], padding="max_length", max_length=PROMPT_TOKENS, truncation=True, return_tensors="pt"
    )["input_ids"]

    def predict(noisy: Tensor, steps: Tensor, chosen: Tensor) -> Tensor:
        ids = tokens[chosen].to(noisy.device)
        first = pipe.text_encoder(ids, output_hidden_states=True).hidden_states[-2]
        second = pipe.text_encoder_2(ids, output_hidden_states=True)
        states = torch.cat([first, second.hidden_states[-2]], dim=-1)
        sizes = torch.tensor([[SIDE, SIDE, 0, 0, SIDE, SIDE]], device=noisy.device).repeat(len(ids), 1)
        added = {"text_embeds": second.text_embeds, "time_ids": sizes}
        return _sample(pipe.unet(noisy, steps, encoder_hidden_states=states, added_cond_kwargs=added))

    return predict


def _pixart_predictor(pipe: PixArtAlphaPipeline, captions: tuple[str, ...]) -> Predict:
    tokens = pipe.tokenizer(
        ["", *captions], padding="max_length", max_length=T5_TOKENS, truncation=True, return_tensors="pt"
    )

    def predict(noisy: Tensor, steps: Tensor, chosen: Tensor) -> Tensor:
        mask = tokens["attention_mask"][chosen].to(noisy.device)
        states = pipe.text_encoder(tokens["input_ids"][chosen].to(noisy.device), attention_mask=mask)[0]
        output = pipe.transformer(
            noisy,
            encoder_hidden_states=states,
            encoder_attention_mask=mask,
            timestep=steps,
            added_cond_kwargs={"resolution": None, "aspect_ratio": None},
        )
        return _sample(output).chunk(2, dim=1)[0]  # the second half is a variance that the scheduler ignores

    return predict


def _draw_steps(generator: torch.Generator, count: int) -> Tensor:
    """Draw steps, more often in the middle, where the picture is determined.

    Logit-normal as in Esser et al. 2024, "Scaling Rectified Flow Transformers", mixed with a uniform quarter.
    """
    bent = torch.sigmoid(torch.randn(BATCH, generator=generator))
    flat = torch.rand(BATCH, generator=generator)
    is_flat = torch.rand(BATCH, generator=generator) < 0.25
    return (torch.where(is_flat, flat, bent) * count).long().clamp(max=count - 1)


def _sample(output: Any) -> Tensor:
    sample: Tensor = output.sample
    return sample


def velocity_loss(
    predict: Predict, latents: Tensor, *, seed: int, beside: Callable[[Tensor], Tensor] | None = None
) -> Callable[[int], Tensor]:
    """Return the mean squared error of the velocity, with lower weights for easy steps; `seed`: of the random numbers.

    `beside`: an additional loss, called with the numbers of the predicted pictures.
    """
    scheduler = DDPMScheduler(**SCHEDULE)
    kept = scheduler.alphas_cumprod

    def loss(step: int) -> Tensor:
        generator = step_generator(seed, step)
        chosen = torch.randint(len(latents), (BATCH,), generator=generator)
        steps = _draw_steps(generator, len(kept))
        noise = torch.randn((BATCH, latents.shape[1], LATENT_SIDE, LATENT_SIDE), generator=generator)
        is_empty = torch.rand(BATCH, generator=generator) < _EMPTY_SHARE
        noisy = scheduler.add_noise(latents[chosen], noise, steps)
        captions = torch.where(is_empty, 0, chosen + 1)
        with mixed_precision():
            predicted = predict(noisy.to(device()), steps.to(device()), captions)
        velocity = scheduler.get_velocity(latents[chosen], noise, steps)
        error = (predicted.float() - velocity.to(device())).square().mean(dim=(1, 2, 3))
        ratio = kept[steps] / (1 - kept[steps])
        weight = (ratio.clamp(max=_SNR_CAP) / (ratio + 1)).sqrt()
        mean: Tensor = (error * weight.to(device())).mean()
        return mean + beside(chosen) if beside else mean

    return loss
