"""Train the autoencoder, and encode the corpus into latents."""

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from miniatures.corpus import Corpus
from miniatures.progress import with_progress
from miniatures.renderer import SIDE
from miniatures.training import Stage, device, mixed_precision, step_generator

SEED = 11
BATCH = 32
_KL_WEIGHT = 1e-3
_CROP = 48  # pixels; most steps see a quarter of each picture, at a fifth of the cost
_WHOLE_SHARE = 0.2  # of the steps, the last ones: the attention and the norms must know whole pictures


def as_pixels(pictures: NDArray[np.uint8]) -> Tensor:
    """Convert pictures (n, h, w, 3) of 0..255 to a tensor (n, 3, h, w) of -1..1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(127.5).sub_(1).to(device())


def vae_stage(vae: AutoencoderKL, corpus: Corpus, *, step_count: int) -> Stage:
    """Train reconstruction by absolute and squared error, also of edges, with a small KL term towards a unit normal."""
    vae.to(device()).train()

    def loss(step: int) -> Tensor:
        generator = step_generator(SEED, step)
        chosen = torch.randint(len(corpus.pictures), (BATCH,), generator=generator).numpy()
        pictures = corpus.pictures[chosen]
        if step < (1 - _WHOLE_SHARE) * step_count:
            top, left = torch.randint(SIDE - _CROP + 1, (2,), generator=generator).tolist()
            pictures = pictures[:, top : top + _CROP, left : left + _CROP]
        pixels = as_pixels(pictures)
        with mixed_precision():
            posterior = vae.encode(pixels).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=generator).to(pixels.device)
            latents = posterior.mean + posterior.std * noise
            error = (vae.decode(latents).sample - pixels).float()
        across = (error[..., 1:] - error[..., :-1]).abs().mean()
        down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
        divergence = posterior.kl().float().mean() / latents[0].numel()
        total: Tensor = error.abs().mean() + error.square().mean() + 0.5 * (across + down) + _KL_WEIGHT * divergence
        return total

    return Stage("vae", list(vae.parameters()), loss, step_count, 2e-3)


@torch.inference_mode()
def encode(vae: AutoencoderKL, corpus: Corpus, *, name: str) -> Tensor:
    """Return the posterior means of all pictures, unscaled: (n, channels, h / 4, w / 4) float32 on the CPU."""
    vae.eval()
    batches = range(0, len(corpus.pictures), 64)
    return torch.cat(
        [
            vae.encode(as_pixels(corpus.pictures[start : start + 64])).latent_dist.mean.cpu()
            for start in with_progress(batches, name, len(batches))
        ]
    )


def set_scale(vae: AutoencoderKL, latents: Tensor) -> None:
    """Write into the config the factor that gives the latents a standard deviation of one."""
    vae.register_to_config(scaling_factor=round(float(1 / latents.std()), 5))
