"""Judge whether pictures show what their prompts name: by rules on the pixels, and by mini-clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from miniatures.rule_reader import FoundObject, find_object
from miniatures.scenes import COLOURS, SHAPES, Description

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the picture's one object has the named colour, and the named shape."""

    colour: bool
    shape: bool

    @property
    def both(self) -> bool:
        """Whether both colour and shape are as named."""
        return self.colour and self.shape


def by_rule(picture: Image.Image, description: Description) -> Verdict:
    """Return the verdict of `rule_reader`; a picture without an object shows neither."""
    (colour, shape), seen = description.kinds[0], find_object(picture)
    return Verdict(seen is not None and seen.colour == colour, seen is not None and seen.shape == shape)


class Reader:
    """mini-clip, loaded like any CLIP checkpoint."""

    def __init__(self, folder: Path) -> None:
        self._model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
        self._processor = CLIPImageProcessorPil.from_pretrained(folder)
        self._tokenizer = CLIPTokenizer.from_pretrained(folder)

    @torch.inference_mode()
    def of_pictures(self, pictures: Sequence[Image.Image]) -> Vectors:
        """Return unit vectors (n, d) of the pictures."""
        parts = []
        for some in _chunks(pictures, 64):
            pixels = self._processor(images=list(some), return_tensors="pt")["pixel_values"]
            parts.append(self._model.get_image_features(pixel_values=pixels).pooler_output)
        return _unit(torch.cat(parts))

    @torch.inference_mode()
    def of_texts(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors (n, d) of the texts."""
        tokens = self._tokenizer(list(texts), padding=True, return_tensors="pt")
        return _unit(self._model.get_text_features(**tokens).pooler_output)

    def zero_shot(self, picture: Vectors, description: Description) -> Verdict:
        """Return the verdict by the caption that fits best, of all colours and shapes on the wished background."""
        kinds = [(c, s) for c, s in product(COLOURS, SHAPES) if c != description.background]
        captions = self.of_texts([Description((kind,), description.background).caption() for kind in kinds])
        colour, shape = kinds[int((captions @ picture).argmax())]
        return Verdict(colour == description.kinds[0][0], shape == description.kinds[0][1])


def retrieved(pictures: Vectors, captions: Vectors, *, among: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return for each picture whether its own caption beats `among` - 1 random others. Ties count as wrong.

    pictures, captions: (n, d) unit vectors; row i of both belong together, and all captions are different.
    """
    count = len(pictures)
    if count < among:
        raise ValueError(f"{among} captions are wanted to choose from, and there are {count}.")
    right = np.empty(count, dtype=np.bool_)
    for index in range(count):
        others = rng.permutation(np.delete(np.arange(count), index))[: among - 1]
        right[index] = captions[index] @ pictures[index] > (captions[others] @ pictures[index]).max()
    return right


def spreads(pictures: Sequence[Image.Image]) -> dict[str, float]:
    """Measure how much a set varies in what its prompt leaves open: place, size (standard deviations), styles.

    Place and size are fractions of the side; `styles` counts the different ones; `seen`: the share with an object.
    """
    seen = [sighting for picture in pictures if (sighting := find_object(picture)) is not None]
    if len(seen) < 2:
        return {"seen": len(seen) / len(pictures)}
    return {
        "seen": len(seen) / len(pictures),
        "place": float(np.hypot(_deviation(seen, "x"), _deviation(seen, "y"))),
        "size": _deviation(seen, "radius"),
        "styles": float(len({sighting.style for sighting in seen})),
    }


def _deviation(seen: Sequence[FoundObject], field: str) -> float:
    return float(np.std([getattr(sighting, field) for sighting in seen], ddof=1))


def _chunks(pictures: Sequence[Image.Image], size: int) -> list[Sequence[Image.Image]]:
    return [pictures[start : start + size] for start in range(0, len(pictures), size)]


def _unit(vectors: torch.Tensor) -> Vectors:
    unit: Vectors = torch.nn.functional.normalize(vectors.float(), dim=-1).numpy()
    return unit
