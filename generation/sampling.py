"""Sample the seeds of one prompt, batch by batch, and return each image with its provenance.

A seed alone does not determine an image: batch size, dtype, device and library versions change some pixels slightly.
So the noise is drawn on the CPU, with one generator for each seed, and everything else is recorded.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from platform import python_version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from django.utils import timezone
from PIL import Image

from generation.circumstances import circumstances
from generation.devices import device, device_name, empty_memory, is_out_of_memory
from generation.image_sets import CHUNK_SIZE
from generation.models import DiffusionModel
from generation.parameters import SamplingParameters
from generation.pipelines.loaded import Loaded
from generation.pipelines.loading import load
from generation.prompt_checks import check_prompt
from jobs.refusals import Refused

FIRST_BATCH = {"cuda": CHUNK_SIZE, "cpu": 4}
VERSIONS_OF = ("torch", "diffusers", "transformers", "peft", "pillow")

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Order:
    """A model, the prompt it is given, and the sampling parameters."""

    diffusion_model: DiffusionModel
    prompt: str
    parameters: SamplingParameters


@dataclass(frozen=True)
class Sampled:
    """One image and its provenance: everything that determined it."""

    seed: int
    image: Image.Image
    provenance: dict[str, Any]


class BatchSizes:
    """The batch size that fits into memory, for each key (model and image size); it begins with a first guess."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._fitting: dict[Hashable, int] = {}

    def __getitem__(self, key: Hashable) -> int:
        return self._fitting.get(key, self._first)

    def halve(self, key: Hashable, failed: int) -> None:
        """Remember that a batch of `failed` images, more than one, did not fit."""
        self._fitting[key] = failed // 2


@cache
def batch_sizes() -> BatchSizes:
    """The batch sizes that fitted in this process, by model and image size."""
    return BatchSizes(FIRST_BATCH[device()])


def sample(order: Order, seeds: Sequence[int], *, check: Callable[[], None]) -> Iterator[Sampled]:
    """Sample the seeds in order. `check` is called at every step of every batch and may raise to stop the sampling.

    A batch that does not fit into memory is halved. Raises Refused, in one sentence that names the model and the file,
    if the checkpoint, the LoRA or the prompt cannot be used, if one image does not fit into memory, or if an image
    is broken.
    """
    loaded = load(order.diffusion_model)
    embeddings = _encode(loaded, order)
    key = (loaded.key, order.parameters.width, order.parameters.height)
    rest = seeds
    while rest:
        batch = rest[: batch_sizes()[key]]
        pixels = None
        try:
            pixels = _run(loaded, order, embeddings, batch, check)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        if pixels is None:
            # Outside the except block: the exception's traceback keeps the tensors alive that filled the memory.
            empty_memory()
            _check_can_halve(batch, order)
            batch_sizes().halve(key, len(batch))
            continue
        for seed, array in zip(batch, pixels, strict=True):
            yield Sampled(seed, _image(array), _provenance(loaded, order, seed, len(batch)))
        rest = rest[len(batch) :]


def _check_can_halve(batch: Sequence[int], order: Order) -> None:
    if len(batch) == 1:
        name, size = order.diffusion_model.name, f"{order.parameters.width} x {order.parameters.height}"
        raise Refused(f"{name}: not even one image of {size} px fits into the memory of {device_name()}.")


def _encode(loaded: Loaded, order: Order) -> dict[str, torch.Tensor]:
    """Return the prompt's embeddings, which all seeds share. An empty negative prompt is encoded as an empty text."""
    prompt, negative = loaded.worded(order.prompt), loaded.worded(order.parameters.negative_prompt)
    is_guided = order.parameters.guidance_scale > 1
    key = (prompt, negative, is_guided)
    if key not in loaded.encoded:
        for text in (prompt, negative):
            check_prompt(
                text,
                loaded.tokenizers(),
                most_tokens=loaded.family.most_tokens,
                owner=order.diffusion_model.name,
            )
        loaded.encoded.clear()  # jobs come prompt by prompt, so one cached prompt is enough
        with torch.inference_mode():
            encoded = loaded.pipeline.encode_prompt(
                prompt,
                device=device(),
                num_images_per_prompt=1,
                do_classifier_free_guidance=is_guided,
                negative_prompt=negative,
                **loaded.family.encoding,
            )
        loaded.encoded[key] = dict(zip(loaded.family.embeddings, encoded, strict=True))
    return loaded.encoded[key]


def _run(
    loaded: Loaded,
    order: Order,
    embeddings: dict[str, torch.Tensor],
    seeds: Sequence[int],
    check: Callable[[], None],
) -> Pixels:
    """Sample one batch: (n, height, width, 3), values 0..1."""
    parameters = order.parameters
    loaded.set_scheduler(parameters.scheduler)
    output = loaded.pipeline(
        **embeddings,
        num_images_per_prompt=len(seeds),
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        width=parameters.width,
        height=parameters.height,
        num_inference_steps=parameters.num_inference_steps,
        guidance_scale=parameters.guidance_scale,
        output_type="np",
        **loaded.arguments(check),
    )
    _check_output(output, order, seeds)
    pixels: Pixels = output.images
    return pixels


def _check_output(output: Any, order: Order, seeds: Sequence[int]) -> None:
    """Refuse images that would be stored as plain black."""
    model = order.diffusion_model
    broken = [seed for seed, pixels in zip(seeds, output.images, strict=True) if not np.isfinite(pixels).all()]
    if broken:
        raise Refused(
            f"{model.name}: the image of seed {broken[0]} came out as not-a-number in {model.dtype}; "
            "use bfloat16 or float32."
        )
    blacked = [seed for seed, is_blacked in zip(seeds, _flags(output), strict=False) if is_blacked]
    if blacked:
        raise Refused(
            f"{model.name}: the checkpoint's safety checker blacked out the image of seed {blacked[0]}; "
            "drop the seed from both sets or reword the prompt."
        )


def _flags(output: Any) -> Sequence[bool]:
    return getattr(output, "nsfw_content_detected", None) or ()


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray((pixels * 255).round().astype(np.uint8), "RGB")


def _provenance(loaded: Loaded, order: Order, seed: int, batch_size: int) -> dict[str, Any]:
    return {
        **loaded.facts,
        **loaded.lora_facts,
        **order.parameters.as_document(),
        "prompt": order.prompt,
        "seed": seed,
        "batch_size": batch_size,
        "dtype": order.diffusion_model.dtype,
        "device": device(),
        "device_name": device_name(),
        "compiled": "no",
        **circumstances(loaded.pipeline),
        "is_size_binned": loaded.is_binned,
        **loaded.scheduler_facts(),
        "versions": {"python": python_version(), **{name: version(name) for name in VERSIONS_OF}},
        "sampled_at": timezone.now().isoformat(),
    }
