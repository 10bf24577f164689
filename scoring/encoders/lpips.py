"""LPIPS: the learned perceptual distance of two images. It loads torch.

Zhang et al. (2018), "The unreasonable effectiveness of deep features as a perceptual metric", version 0.1. The authors'
package downloads pickled weights at run time and needs torchvision, so the definition stands here, and the weights come
from a folder that docs/exports/export_lpips.py writes with their package.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional

from generation.machines.devices import device, device_name
from jobs.refusals import Refused
from jobs.wording import first_line
from scoring.encoder_spec import ComparerSpec
from scoring.encoders.checkpoints import WEIGHTS, Checkpoint, find_comparer

SHORTER_SIDE = 256  # pixels; larger images are reduced to it first. LPIPS was trained on patches of 64.
LEAST_SIDE = 32  # pixels: a smaller image has nothing left after the last pooling
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPSILON = 1e-10  # as in the authors' package

# The convolutions of each slice, as (key, stride, padding), and the pooling before it, as (size, stride); None if none.
Slice = tuple[tuple[int, int] | None, tuple[tuple[str, int, int], ...]]
_NETS: dict[str, tuple[Slice, ...]] = {
    "alex": (
        (None, (("slice1.0", 4, 2),)),
        ((3, 2), (("slice2.3", 1, 2),)),
        ((3, 2), (("slice3.6", 1, 1),)),
        (None, (("slice4.8", 1, 1),)),
        (None, (("slice5.10", 1, 1),)),
    ),
    "vgg": (
        (None, (("slice1.0", 1, 1), ("slice1.2", 1, 1))),
        ((2, 2), (("slice2.5", 1, 1), ("slice2.7", 1, 1))),
        ((2, 2), tuple((f"slice3.{at}", 1, 1) for at in (10, 12, 14))),
        ((2, 2), tuple((f"slice4.{at}", 1, 1) for at in (17, 19, 21))),
        ((2, 2), tuple((f"slice5.{at}", 1, 1) for at in (24, 26, 28))),
    ),
}


class Lpips:
    """LPIPS with its weights in memory."""

    def __init__(self, spec: ComparerSpec, checkpoint: Checkpoint, net: str, weights: dict[str, torch.Tensor]) -> None:
        self.spec = spec
        self.fingerprint = checkpoint.fingerprint
        self._net = net
        self._weights = {name: one.to(device(), torch.float32) for name, one in weights.items()}

    @property
    def identity(self) -> str:
        """The name under which its distances are stored."""
        return self.spec.identity

    @property
    def provenance(self) -> dict[str, Any]:
        """Network, size, device, versions and the hash of its files, as JSON."""
        return {
            "network": self._net,
            "shorter_side": SHORTER_SIDE,
            "dtype": "float32",
            "device": device_name(),
            "versions": {"torch": torch.__version__, "pillow": PIL.__version__},
            "sha256": self.fingerprint,
        }

    def distances(self, images: Sequence[Image.Image]) -> NDArray[np.float64]:
        """Return the (N, N) distances of images of one size. Raises Refused if sizes differ, and for tiny images."""
        if any(min(image.size) < LEAST_SIDE for image in images):
            raise Refused(f"{self.identity} needs images of at least {LEAST_SIDE} pixels a side.")
        prepared = [_pixels(image) for image in images]
        if len({one.shape for one in prepared}) > 1:
            raise Refused(f"{self.identity} compares images of one size only, and a set holds several.")
        found = np.zeros((len(prepared), len(prepared)))
        with torch.inference_mode():
            layers = zip(*map(self._layers, prepared), strict=True)
            for number, layer in enumerate(layers):
                found += self._of_layer(torch.cat(list(layer)), self._weights[f"lin{number}.model.1.weight"])
        return found

    def _layers(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Return the five layers of one image, each pixel's channels scaled to length one."""
        return [one / (one.square().sum(dim=1, keepdim=True).sqrt() + _EPSILON) for one in self._activations(pixels)]

    def _activations(self, pixels: torch.Tensor) -> Iterator[torch.Tensor]:
        shift, scale = (torch.tensor(row, device=device())[:, None, None] for row in (_SHIFT, _SCALE))
        values = (pixels.to(device()) - shift) / scale
        for pooling, convolutions in _NETS[self._net]:
            if pooling:
                values = functional.max_pool2d(values, *pooling)
            for key, stride, padding in convolutions:
                kernel, bias = self._weights[f"net.{key}.weight"], self._weights[f"net.{key}.bias"]
                values = functional.relu(functional.conv2d(values, kernel, bias, stride, padding))
            yield values

    def _of_layer(self, layer: torch.Tensor, weights: torch.Tensor) -> NDArray[np.float64]:
        """Return the (N, N) distances by one layer (N, c, h, w).

        Differences come first: the sum of squares minus twice the product would lose half of the digits.
        """
        n = len(layer)
        found = np.zeros((n, n))
        for i in range(n - 1):
            squares = (layer[i + 1 :] - layer[i]).square()
            rows = (squares * weights).sum(dim=1).mean(dim=(1, 2)).double().cpu().numpy()
            found[i, i + 1 :] = found[i + 1 :, i] = rows
        return found


@lru_cache(maxsize=1)
def load(spec: ComparerSpec) -> Lpips:
    """Load the LPIPS of a folder; it is cached until another one is loaded.

    Raises Refused, in one sentence, for a folder that is missing, not whole, or of another architecture.
    """
    checkpoint = find_comparer(spec)
    net = checkpoint.model_type.removeprefix("lpips-")
    if net not in _NETS:
        raise Refused(f"{spec.checkpoint} is of the architecture {checkpoint.model_type or '(none named)'}, not LPIPS.")
    try:
        weights = load_file(checkpoint.folder / WEIGHTS)
    except Exception as error:  # a damaged file
        raise Refused(f"LPIPS in {spec.checkpoint} cannot be loaded: {first_line(error)}.") from error
    convolutions = [f"net.{key}.{part}" for _, row in _NETS[net] for key, _, _ in row for part in ("weight", "bias")]
    wanted = [*convolutions, *(f"lin{number}.model.1.weight" for number in range(5))]
    if lacking := [name for name in wanted if name not in weights]:
        raise Refused(f"The weights of {spec.checkpoint} lack {lacking[0]}: the file is not whole.")
    return Lpips(spec, checkpoint, net, {name: weights[name] for name in wanted})


def _pixels(image: Image.Image) -> torch.Tensor:
    """Return pixels (1, 3, h, w) from -1 to 1 of an image, reduced if it is large."""
    scale = SHORTER_SIDE / min(image.size)
    coloured = image.convert("RGB")
    if scale < 1:
        size = (round(image.width * scale), round(image.height * scale))
        coloured = coloured.resize(size, Image.Resampling.BICUBIC)
    values = torch.from_numpy(np.asarray(coloured, dtype=np.float32) / 127.5 - 1)
    return values.permute(2, 0, 1)[None]
