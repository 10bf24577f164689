"""Decode latents one image at a time, so that a full memory never costs the images that are already denoised.

A pipeline decodes its whole batch at once: 20 images of 768 px take 33.8 GiB, one takes 1.7. Within `guarded_decoder`
its decoder decodes image by image, in a dtype of its own, and tries again with more room if the memory is full. What
the pipeline does before and after (scaling, unpacking, resizing, a safety checker) is its own code, as before.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from generation.machines.card_failures import NoRoom
from generation.machines.devices import device_name, empty_memory, is_out_of_memory
from generation.pipelines.loaded import Loaded


@contextmanager
def guarded_decoder(loaded: Loaded, *, owner: str) -> Iterator[None]:
    """Within the block the pipeline's decoder decodes image by image. NoRoom if not even one image can be decoded."""
    decoder = loaded.decoder
    if decoder is None:  # a pipeline without latents
        yield
        return
    if decoder.dtype != loaded.vae_dtype:  # left behind by a call that failed
        decoder.to(loaded.vae_dtype)
    own = vars(decoder).get("decode")
    decoder.decode = partial(_decode, loaded, decoder.decode, owner)
    try:
        yield
    finally:
        if own is None:
            del decoder.decode
        else:
            decoder.decode = own


def _decode(
    loaded: Loaded, decode: Callable[..., Any], owner: str, latents: torch.Tensor, *rest: Any, **more: Any
) -> Any:
    images = []
    for index in range(len(latents)):
        one = latents[index : index + 1].to(loaded.vae_dtype)
        images.append(_with_room(loaded, partial(decode, one, *rest, **more), owner))
    return _joined(loaded, images)


def _with_room(loaded: Loaded, decode: Callable[[], Any], owner: str) -> Any:
    """Decode one image; if the memory is full, again after freeing it, and again with the other parts set aside."""
    for room in (_no_change, _freed, partial(_others_aside, loaded)):
        try:
            with room():
                return decode()
        except Exception as error:
            if not is_out_of_memory(error) or not loaded.is_placed:
                raise
        # Outside the except block: the exception's traceback keeps the tensors alive that filled the memory.
        empty_memory()
    raise NoRoom(
        f"{owner}: an image was denoised, but the memory of {device_name()} is too small to decode it; "
        'make smaller images, or set vae_dtype = "bfloat16".'
    )


@contextmanager
def _no_change() -> Iterator[None]:
    yield


@contextmanager
def _freed() -> Iterator[None]:
    empty_memory()
    yield


@contextmanager
def _others_aside(loaded: Loaded) -> Iterator[None]:
    """Move the other parts of the pipeline to the machine's memory within the block: decoding needs none of them."""
    parts: Iterable[Any] = loaded.pipeline.components.values()
    others = [part for part in parts if hasattr(part, "parameters") and part is not loaded.decoder]
    homes = [(part, part.device) for part in others if part.device.type not in ("cpu", "meta")]
    is_placed, loaded.is_placed = loaded.is_placed, False  # until all are back: the memory may be too full for them
    try:
        for part, _home in homes:
            part.to("cpu")
        empty_memory()
        yield
    finally:
        for part, home in homes:
            part.to(home)
        loaded.is_placed = is_placed


def _joined(loaded: Loaded, outputs: list[Any]) -> Any:
    """Return the outputs of single images as one output of the same kind."""
    first = outputs[0]
    pixels = torch.cat([output[0] for output in outputs])
    loaded.sampled_size = (pixels.shape[-1], pixels.shape[-2])
    return (pixels,) if isinstance(first, tuple) else type(first)(sample=pixels)
