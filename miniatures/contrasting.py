"""Train mini-clip: pictures against captions."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from miniatures.autoencoding import as_pixels
from miniatures.corpus import Corpus
from miniatures.scenes import COLOURS
from miniatures.training import Stage, device, mixed_precision, step_generator

SEED = 12
BATCH = 192
_ALIKE = 6  # pictures of a batch with equal colours: only their shapes and places can distinguish them
_MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIPImageProcessor's own
_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_stage(model: CLIPModel, tokenizer: CLIPTokenizer, corpus: Corpus, *, step_count: int) -> Stage:
    """Train by contrastive loss over the batch; pictures are distorted as sampled ones may be."""
    model.to(device()).train()
    tokens = tokenizer(list(corpus.captions), padding=True, return_tensors="pt")
    alike = _by_colours(corpus.captions)

    def loss(step: int) -> Tensor:
        generator = step_generator(SEED, step)
        chosen = _draw(alike, generator)
        pixels = _distorted(as_pixels(corpus.pictures[chosen.numpy()]), generator)
        with mixed_precision():
            output = model(
                input_ids=tokens["input_ids"][chosen].to(device()),
                attention_mask=tokens["attention_mask"][chosen].to(device()),
                pixel_values=normalised(pixels),
            )
            logits = output.logits_per_image.float()
        # Equal captions in a batch are all right answers.
        words = [corpus.captions[index] for index in chosen.tolist()]
        same = torch.tensor([[one == other for other in words] for one in words], device=logits.device)
        targets = same / same.sum(dim=1, keepdim=True)
        rows = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
        columns = -(targets * logits.T.log_softmax(dim=1)).sum(dim=1).mean()
        both: Tensor = (rows + columns) / 2
        return both

    matrices = tuple(
        weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embedding" not in name
    )
    return Stage("clip", list(model.parameters()), loss, step_count, 1e-3, matrices)


def _by_colours(captions: Sequence[str]) -> list[Tensor]:
    """Return for each picture the numbers of all pictures whose captions name the same colours in the same order."""
    keys = [tuple(word for word in caption.split() if word in COLOURS) for caption in captions]
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, key in enumerate(keys):
        groups.setdefault(key, []).append(number)
    as_tensors = {key: torch.tensor(numbers) for key, numbers in groups.items()}
    return [as_tensors[key] for key in keys]


def _draw(alike: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """Draw a batch: random pictures, each with others of the same colours."""
    first = torch.randint(len(alike), (BATCH // _ALIKE,), generator=generator).tolist()
    return torch.cat([alike[one][torch.randint(len(alike[one]), (_ALIKE,), generator=generator)] for one in first])


def _distorted(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Bend, shift, tint and add noise to pictures, and blur every second one, as sampled ones may be distorted."""
    count = len(pixels)

    def drawn(*shape: int) -> Tensor:
        return torch.randn((count, *shape), generator=generator).to(pixels.device)

    # Displacements in half sides: a smooth field bends outlines, and a constant shifts the picture.
    field = drawn(2, 5, 5) * 0.03 + drawn(2, 1, 1) * 0.03
    field = torch.nn.functional.interpolate(field, size=pixels.shape[-2:], mode="bicubic").permute(0, 2, 3, 1)
    straight = torch.nn.functional.affine_grid(
        torch.eye(2, 3).expand(count, 2, 3), list(pixels.shape), align_corners=False
    )
    pixels = torch.nn.functional.grid_sample(
        pixels, straight.to(pixels.device) + field, mode="bilinear", padding_mode="border", align_corners=False
    )
    pixels = pixels * (1 + drawn(3, 1, 1) * 0.04) + drawn(3, 1, 1) * 0.04
    half = count // 2
    blurred = torch.nn.functional.avg_pool2d(pixels[:half], 3, stride=1, padding=1)
    pixels = torch.cat([blurred, pixels[half:]])
    strength = torch.rand((count, 1, 1, 1), generator=generator).to(pixels.device) * 0.12
    coarse = torch.nn.functional.interpolate(drawn(3, 24, 24), size=pixels.shape[-2:], mode="bilinear")
    return (pixels + (coarse + drawn(*pixels.shape[1:])) * strength).clamp(-1, 1)


def normalised(pixels: Tensor) -> Tensor:
    """Normalise pixels of -1..1 as CLIP's image processor does."""
    mean = torch.tensor(_MEAN, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(_STD, device=pixels.device).view(1, 3, 1, 1)
    return ((pixels + 1) / 2 - mean) / std
