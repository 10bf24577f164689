"""Sample the batches of one prompt, and return each image with its provenance.

A seed alone does not determine an image: batch size, dtype, device and library versions change some pixels slightly.
So the noise is drawn on the CPU, with one generator for each seed, and everything else is recorded.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from platform import python_version
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.utils import timezone
from PIL import Image

from generation.machines.card_failures import NoRoom
from generation.machines.devices import (
    Fault,
    device,
    device_name,
    empty_memory,
    fault_of,
    is_out_of_memory,
    usual_precision,
)
from generation.pipelines.arguments import call_arguments, options_of
from generation.pipelines.decoding import guarded_decoder
from generation.pipelines.encoding import EncodersDropped, remembered_prompts
from generation.pipelines.faults import brief
from generation.pipelines.loaded import Loaded
from generation.pipelines.loading import ready, ready_with_encoders
from generation.pipelines.schedulers import new_scheduler, scheduler_facts
from generation.pipelines.speed import NotCompiled, eager_after_a_fault, speed_facts
from generation.plans.image_sets import CHUNK_SIZE
from generation.plans.orders import Order
from generation.sampling.batches import Batch, BatchSizes, planned_batch, planned_batches
from generation.sampling.circumstances import circumstances
from generation.weights import checkpoints
from jobs.refusals import Refused
from jobs.version import version_of

PLANNED_BATCH = {"cuda": CHUNK_SIZE, "cpu": 4}
VERSIONS_OF = ("torch", "diffusers", "transformers", "peft", "pillow")

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sampled:
    """One image and its provenance: everything that determined it."""

    seed: int
    pixels: Pixels  # (height, width, 3), values 0..1
    provenance: dict[str, Any]

    @cached_property
    def image(self) -> Image.Image:
        """The image in eight bits. It is made when it is needed, which may be in another thread."""
        return Image.fromarray((self.pixels * 255).round().astype(np.uint8), "RGB")


@cache
def batch_sizes() -> BatchSizes:
    """The planned batch size of this kind of device, and what did not fit."""
    return BatchSizes(PLANNED_BATCH[device()], settings.BATCH_SIZES_FILE)


def sample(
    order: Order,
    seeds: Sequence[int],
    *,
    check: Callable[[], None],
    upcoming: Callable[[], Iterable[Order]] = tuple,
) -> Iterator[Sampled]:
    """Sample the seeds in order, in the batches that a job with these seeds has, like `sample_batches`."""
    for batch in sample_batches(order, batches_of(seeds), check=check, upcoming=upcoming):
        yield from batch


def batches_of(seeds: Sequence[int]) -> list[list[int]]:
    """Return the planned batches of a job's seeds on this kind of device."""
    return planned_batches(seeds, batch_sizes().planned)


def largest_batch(seeds: Sequence[int]) -> int:
    """Return the size of the largest batch of a set with these seeds, to which those of a compiled model are padded."""
    return min(len(seeds), batch_sizes().planned)


def sample_batches(
    order: Order,
    batches: Iterable[Sequence[int]],
    *,
    check: Callable[[], None],
    upcoming: Callable[[], Iterable[Order]] = tuple,
    padded_to: int = 0,
) -> Iterator[list[Sampled]]:
    """Sample batches of seeds in order. `check` is called at every step of every batch and may raise to stop.

    `upcoming` gives the orders that will follow for the same model; it is asked only if their prompts have to be
    encoded now, before large text encoders leave the memory. A batch that does not fit into memory is halved.
    If the model is compiled, a batch of fewer than `padded_to` seeds is filled up with its last seed, so that nothing
    is compiled for its size; what is too many is thrown away.
    Raises Refused, in one sentence that names the model and the file, if the checkpoint, the LoRA or the prompt cannot
    be used, if one image does not fit into memory, or if an image is broken.
    """
    loaded = ready(order, _asked(upcoming), check)
    key = memory_key(loaded, order)
    waiting = deque(planned_batch(batch, padded_to if loaded.is_compiled else 0) for batch in batches)
    while waiting:
        batch = waiting.popleft()
        if not batch_sizes().fits(key, batch.size):
            waiting.extendleft(reversed(batch.halves()))
            continue
        try:
            pixels = _run_if_it_fits(loaded, order, batch.padded(), check)
        except EncodersDropped:  # what the class encodes was not predicted
            del loaded
            loaded = ready_with_encoders(order)
            waiting.appendleft(batch)
            continue
        except NotCompiled:
            waiting = deque(other.unpadded() for other in (batch, *waiting))
            continue
        if pixels is None:
            empty_memory()
            _check_can_halve(batch, order)
            batch_sizes().halve(key, batch.size)
            waiting.appendleft(batch)
            loaded = ready(order, _asked(upcoming), check)  # parts of it may have lost their place on the device
            continue
        facts = _provenance(loaded, order) | batch.facts()
        yield [
            Sampled(seed, array, {**facts, "seed": seed, "sampled_at": timezone.now().isoformat()})
            for seed, array in zip(batch.seeds, pixels[: len(batch.seeds)], strict=True)
        ]


def memory_key(loaded: Loaded, order: Order) -> str:
    """Return what decides how many images fit into a memory: the card, the model and the size."""
    return f"{device_name()}: {' '.join(loaded.key)} {order.parameters.width}x{order.parameters.height}"


def _asked(upcoming: Callable[[], Iterable[Order]]) -> Iterator[Order]:
    """Yield the upcoming orders. They are not looked up before the first one is needed."""
    yield from upcoming()


class _Stopped(BaseException):
    """Carries what `check` raised through the pipeline: it is no fault of the batch, even if it is a full memory."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _run_if_it_fits(loaded: Loaded, order: Order, seeds: Sequence[int], check: Callable[[], None]) -> Pixels | None:
    """Sample one batch; None if it does not fit into memory. Its tensors are free then, as its exception is gone."""

    def stopping() -> None:
        try:
            check()
        except Exception as error:
            raise _Stopped(error) from None

    try:
        return _run(loaded, order, seeds, stopping)
    except _Stopped as stopped:
        raise stopped.error from None
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    return None


def _check_can_halve(batch: Batch, order: Order) -> None:
    if batch.size == 1:
        name, size = order.diffusion_model.name, f"{order.parameters.width} x {order.parameters.height}"
        raise NoRoom(f"{name}: not even one image of {size} px fits into the memory of {device_name()}.")


@usual_precision()
def _run(loaded: Loaded, order: Order, seeds: Sequence[int], check: Callable[[], None]) -> Pixels:
    """Sample one batch: (n, height, width, 3), values 0..1."""
    options = options_of(loaded, order)
    with _faults_of_the_call(loaded, order):
        loaded.pipeline.scheduler = new_scheduler(loaded.own_scheduler, options.scheduler, options.scheduler_settings)
        with (
            eager_after_a_fault(loaded),
            guarded_decoder(loaded, owner=order.diffusion_model.name),
            remembered_prompts(loaded),
        ):
            output = loaded.pipeline(**call_arguments(loaded, order, seeds, check))
    _check_output(loaded, output, order, seeds)
    pixels: Pixels = output.images
    return pixels


@contextmanager
def _faults_of_the_call(loaded: Loaded, order: Order) -> Iterator[None]:
    """Turn an error of a call into Refused: no signature says which values and which parts a class can use.

    Another attempt would end in the same error. Errors of the device are not turned, because another attempt may pass.
    """
    try:
        yield
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RuntimeError) as error:
        model = order.diffusion_model
        if fault_of(error) is not Fault.OTHER:
            raise
        given, where = "sampling parameters", "[sampling]"
        if model.options:
            given, where = "options", "[models.x.options]"
        raise Refused(
            f"{model.name}: {loaded.kind.__name__} fails with these {given} ({brief(error)}): correct {where} of the "
            f"study file, or try another copy of {model.checkpoint} if a part of it is missing."
        ) from error


def _check_output(loaded: Loaded, output: Any, order: Order, seeds: Sequence[int]) -> None:
    """Refuse images that would be stored as plain black, or in another size than planned."""
    model, parameters = order.diffusion_model, order.parameters
    height, width = output.images.shape[1:3]
    if (width, height) != (parameters.width, parameters.height):
        raise Refused(
            f"{model.name}: {type(loaded.pipeline).__name__} made images of {width} x {height} px instead of "
            f"{parameters.width} x {parameters.height}: choose a size that it can make."
        )
    broken = [seed for seed, pixels in zip(seeds, output.images, strict=True) if not np.isfinite(pixels).all()]
    if broken:
        way_out = "use bfloat16 or float32"
        if model.dtype_in_use != "float16":
            way_out = f"the weights of {checkpoints.shown(model.checkpoint)} may be damaged: fetch or copy them again"
            way_out = f"lower lora_scale, or {way_out}" if model.lora else way_out
        raise Refused(
            f"{model.name}: the image of seed {broken[0]} came out as not-a-number in {model.dtype_in_use}; {way_out}."
        )
    blacked = [seed for seed, is_blacked in zip(seeds, _flags(output), strict=False) if is_blacked]
    if blacked:
        raise Refused(
            f"{model.name}: the checkpoint's safety checker blacked out the image of seed {blacked[0]}; "
            "drop the seed from both sets or reword the prompt."
        )


def _flags(output: Any) -> Sequence[bool]:
    return getattr(output, "nsfw_content_detected", None) or ()


def _provenance(loaded: Loaded, order: Order) -> dict[str, Any]:
    """Return what is the same for all images of a batch."""
    model = order.diffusion_model
    return {
        **loaded.facts,
        **loaded.lora_facts,
        **order.parameters.as_document(),
        "prompt": order.prompt,
        "dtype": model.dtype_in_use,
        "device": device(),
        "device_name": device_name(),
        **speed_facts(loaded, model),
        **circumstances(loaded.pipeline),
        "is_size_binned": loaded.is_binned,
        "is_offloaded": loaded.is_offloaded,
        "sampled_size": list(loaded.sampled_size or (order.parameters.width, order.parameters.height)),
        "scheduler": options_of(loaded, order).scheduler,
        **({"options": model.options} if model.options else {}),
        **scheduler_facts(loaded.pipeline.scheduler),
        "versions": {"python": python_version(), **{name: version_of(name) for name in VERSIONS_OF}},
    }
