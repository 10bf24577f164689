"""Prepare images for an encoder on tensors: the steps of its own image processor, with less work for the cores.

Pillow resizes, because other filters move scores: torch's rounds the weights of whole levels to 16 bits (0.001 of a
score), and with floating-point weights a value that lies at a half is rounded the other way (up to 0.01 with very small
encoders and whole factors). Pillow lets other threads work meanwhile. What the processor does afterwards with NumPy, a
copy at each step, is done on the device that embeds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from generation.machines.devices import device

Size = tuple[int, int]  # height and width


@dataclass(frozen=True, slots=True)
class TensorPreparation:
    """The settings of an image processor.

    shorter_side, or else size: of the resized image. crop: of its middle; None for all of it. factor, mean, deviation:
    of the levels; a pixel is (level * factor - mean) / deviation.
    """

    resample: Image.Resampling
    shorter_side: int | None
    size: Size
    crop: Size | None
    factor: float
    mean: torch.Tensor
    deviation: torch.Tensor

    @classmethod
    def of(cls, processor: Any) -> "TensorPreparation":
        """Return the settings of an image processor. Raises ValueError, in words, for steps that are not known here."""
        size, crop = processor.size, processor.crop_size if processor.do_center_crop else None
        shorter = size.shortest_edge
        if not processor.do_resize or processor.do_pad or size.longest_edge or not (shorter or size.height):
            raise ValueError("it does not resize every image to one size")
        if crop and (crop.height > (shorter or size.height) or crop.width > (shorter or size.width)):
            raise ValueError("it crops images to more than their size")
        mean, deviation = (processor.image_mean, processor.image_std) if processor.do_normalize else ([0.0], [1.0])
        return cls(
            resample=Image.Resampling(processor.resample),
            shorter_side=shorter,
            size=(0, 0) if shorter else (size.height, size.width),
            crop=(crop.height, crop.width) if crop else None,
            factor=processor.rescale_factor if processor.do_rescale else 1.0,
            mean=torch.tensor(mean, device=device())[:, None, None],
            deviation=torch.tensor(deviation, device=device())[:, None, None],
        )

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return the pixels (1, 3, h, w) of an RGB image as float32, on the device of the encoders."""
        height, width = self._target(image)
        levels = np.asarray(image.resize((width, height), self.resample))
        if self.crop:
            top, left = (height - self.crop[0]) // 2, (width - self.crop[1]) // 2
            levels = levels[top : top + self.crop[0], left : left + self.crop[1]]
        whole = torch.tensor(levels, device=device()).permute(2, 0, 1)[None]
        return (whole * self.factor - self.mean) / self.deviation

    def _target(self, image: Image.Image) -> Size:
        """Return the height and width of the resized image."""
        if self.shorter_side is None:
            return self.size
        longer = self.shorter_side * max(image.size) // min(image.size)
        return (longer, self.shorter_side) if image.height > image.width else (self.shorter_side, longer)
