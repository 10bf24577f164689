"""Align mini-pixart's inner states during training with mini-clip's features of the clean picture.

Yu et al. 2024, "Representation Alignment for Generation: Training Diffusion Transformers Is Easier Than You Think".
"""

import torch
from torch import Tensor, nn
from transformers import CLIPModel

from miniatures.autoencoding import as_pixels
from miniatures.contrasting import normalised
from miniatures.corpus import Corpus
from miniatures.progress import with_progress
from miniatures.training import device

_WEIGHT = 0.5
_SEEN_AT = -2  # the last but one layer: the last one only has to serve the class token


@torch.no_grad()
def seen(model: CLIPModel, corpus: Corpus, *, name: str) -> Tensor:
    """Return the image encoder's patch features of each picture: (n, channels, rows, columns) fp16, unit variance."""
    model.to(device()).eval()
    parts = []
    batches = range(0, len(corpus.pictures), 128)
    for start in with_progress(batches, name, len(batches)):
        pixels = normalised(as_pixels(corpus.pictures[start : start + 128]))
        states = model.vision_model(pixel_values=pixels, output_hidden_states=True).hidden_states[_SEEN_AT]
        parts.append(states[:, 1:].cpu())
    patches = torch.cat(parts)
    spread, mean = torch.std_mean(patches, dim=(0, 1))
    side = round(patches.shape[1] ** 0.5)
    return ((patches - mean) / spread).half().mT.reshape(len(patches), -1, side, side)


class Alignment(nn.Module):
    """A head on one block of the transformer that predicts mini-clip's features; discarded after training.

    `patches` come from `seen` and are resized to the transformer's tokens.
    """

    def __init__(self, block: nn.Module, *, width: int, tokens_a_side: int, patches: Tensor) -> None:
        super().__init__()
        channels = patches.shape[1]
        self.head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, channels))
        self._side, self._patches = tokens_a_side, patches
        block.register_forward_hook(self._keep)

    def _keep(self, _block: nn.Module, _given: object, states: Tensor) -> None:
        self._states = states

    def loss(self, chosen: Tensor) -> Tensor:
        """Return one minus the cosine, weighted, of the pictures in the transformer's last pass."""
        patches = self._patches[chosen].float().to(self._states.device)
        wanted = nn.functional.interpolate(patches, size=self._side, mode="bilinear").flatten(2).mT
        similarity: Tensor = nn.functional.cosine_similarity(self.head(self._states.float()), wanted, dim=-1)
        return _WEIGHT * (1 - similarity.mean())
