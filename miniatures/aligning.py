"""Aligning mini-pixart's inner states, while it trains, with what mini-clip sees in the clean picture.

Yu et al. 2024, "Representation Alignment for Generation: Training Diffusion Transformers Is Easier Than You Think".
"""

import torch
from torch import Tensor, nn
from transformers import CLIPModel

from miniatures.autoencoding import as_pixels
from miniatures.contrasting import normalised
from miniatures.corpus import Corpus
from miniatures.telling import counted
from miniatures.training import device

_WEIGHT = 0.5
_SEEN_AT = -2  # the last but one layer: the last one only has to serve the class token


@torch.no_grad()
def seen(model: CLIPModel, corpus: Corpus, *, name: str) -> Tensor:
    """What the image encoder's patches hold of each picture: (n, channels, rows, columns) fp16, of unit variance."""
    model.to(device()).eval()
    parts = []
    batches = range(0, len(corpus.pictures), 128)
    for start in counted(batches, name, len(batches)):
        pixels = normalised(as_pixels(corpus.pictures[start : start + 128]))
        states = model.vision_model(pixel_values=pixels, output_hidden_states=True).hidden_states[_SEEN_AT]
        parts.append(states[:, 1:].cpu())
    patches = torch.cat(parts)
    spread, mean = torch.std_mean(patches, dim=(0, 1))
    side = round(patches.shape[1] ** 0.5)
    return ((patches - mean) / spread).half().mT.reshape(len(patches), -1, side, side)


class Alignment(nn.Module):
    """A head on one block of the transformer, and how far what it says is from what mini-clip saw; thrown away after.

    `patches` comes from `seen`; they are spread over the transformer's tokens.
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
        """One minus the cosine, weighted, of the pictures that went through the transformer last."""
        patches = self._patches[chosen].float().to(self._states.device)
        wanted = nn.functional.interpolate(patches, size=self._side, mode="bilinear").flatten(2).mT
        similarity: Tensor = nn.functional.cosine_similarity(self.head(self._states.float()), wanted, dim=-1)
        return _WEIGHT * (1 - similarity.mean())
