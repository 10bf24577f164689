"""Encode each prompt once: the seeds of a set share it, and large text encoders leave the memory afterwards.

A pipeline calls its own `encode_prompt` in every call. Within `remembered_prompts` that method answers from memory, or
from `prompt_cache` on disk, by the arguments that it was given; so what a class encodes, and how, stays its own code.
`encode_ahead` predicts these arguments from the signatures, to encode all prompts before the denoiser needs the room.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from django.conf import settings

from generation.machines.devices import device, device_name
from generation.pipelines import prompt_cache
from generation.pipelines.arguments import check_prompts, text_arguments
from generation.pipelines.families import call_signature, encoding_signature
from generation.pipelines.loaded import Loaded
from generation.pipelines.prompt_cache import Outputs
from generation.plans.orders import Order
from jobs.refusals import Refused
from jobs.version import version_of

MOST_REMEMBERED = 4  # jobs come prompt by prompt; some classes encode prompt and negative prompt apart
# No part of what is encoded: how often, where, and a scale that load_lora_weights has set already.
APART = ("num_images_per_prompt", "device", "lora_scale")
Given = dict[str, Any]


class EncodersDropped(Exception):  # noqa: N818 - it names what happened
    """A prompt is not encoded yet, and the text encoders are no longer in memory."""


@contextmanager
def remembered_prompts(loaded: Loaded) -> Iterator[None]:
    """Within the block the pipeline encodes a prompt only if it is neither in memory nor on disk.

    Raises EncodersDropped within the block if it has to encode one without its text encoders.
    """
    if not encoding_signature(loaded.kind):
        yield
        return
    loaded.pipeline.encode_prompt = partial(_answer, loaded, loaded.pipeline.encode_prompt)
    try:
        yield
    finally:
        del loaded.pipeline.encode_prompt


def encode_ahead(loaded: Loaded, orders: Iterable[Order], check: Callable[[], None]) -> None:
    """Encode the prompts of these orders and store them on disk, as many as the cache holds; the first comes first.

    A prompt that cannot be used is left out: the job that needs it says why.
    """
    byte_count = 0
    for order in orders:
        check()
        try:
            check_prompts(loaded, order)
            calls = expected_calls(loaded, order)
        except Refused:
            continue
        for given in calls:
            byte_count += _store(loaded, given)
        if byte_count > settings.PROMPT_CACHE_BYTES / 2:  # else the cache would drop the first ones for the last
            return


def is_encoded(loaded: Loaded, order: Order) -> bool:
    """Return whether all encoded prompts that the order is predicted to need are in memory or on disk."""
    keys = [_key(loaded, given) for given in expected_calls(loaded, order)]
    return all(key in loaded.encoded or prompt_cache.holds(key) for key in keys)


def expected_calls(loaded: Loaded, order: Order) -> list[Given]:
    """Return the arguments that a call for this order will give to `encode_prompt`, for each time it calls it."""
    takes = encoding_signature(loaded.kind)
    given = text_arguments(loaded, order)
    call = {name: default for name, default in call_signature(loaded.kind).items() if name in takes}
    known = {**takes, **call, **given}
    if "do_classifier_free_guidance" in takes:
        known["do_classifier_free_guidance"] = given.get("guidance_scale", 1) > 1
    calls = [known]
    if "negative_prompt" not in takes and "negative_prompt" in given:
        calls.append({**known, "prompt": given["negative_prompt"]})
    return [_canonical({name: call[name] for name in takes}) for call in calls]


def _store(loaded: Loaded, given: Given) -> int:
    """Encode one prompt unless it is on disk; return the bytes that were written."""
    key = _key(loaded, given)
    if prompt_cache.holds(key):
        return 0
    with torch.no_grad():
        outputs = loaded.pipeline.encode_prompt(**_once(loaded.kind, given))
    return prompt_cache.write(key, outputs) if prompt_cache.is_storable(outputs) else 0


def _answer(loaded: Loaded, encode: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Return what `encode` returns, from memory or disk if possible."""
    bound = inspect.signature(encode).bind(*args, **named)
    bound.apply_defaults()
    given = dict(bound.arguments)
    count = given.get("num_images_per_prompt", 1)
    plain = _canonical(given)
    if not all(_is_plain(value) for value in plain.values()):
        return encode(*args, **named)
    outputs = _remembered(loaded, _key(loaded, plain))
    if outputs is None:
        if not loaded.has_encoders:
            raise EncodersDropped
        outputs = encode(**_once(loaded.kind, plain))
        if not prompt_cache.is_storable(outputs):
            return encode(*args, **named)
        _remember(loaded, _key(loaded, plain), outputs)
    is_spread = "num_images_per_prompt" in encoding_signature(loaded.kind)
    return tuple(_spread(output, count) for output in outputs) if is_spread else outputs


def _remembered(loaded: Loaded, key: str) -> Outputs | None:
    if key not in loaded.encoded and not loaded.keeps_encoders and (stored := prompt_cache.read(key)) is not None:
        _remember(loaded, key, tuple(_moved(output) for output in stored))
    return loaded.encoded.get(key)


def _remember(loaded: Loaded, key: str, outputs: Outputs) -> None:
    while len(loaded.encoded) >= MOST_REMEMBERED:
        loaded.encoded.pop(next(iter(loaded.encoded)))
    loaded.encoded[key] = outputs


def _moved(output: Any) -> Any:
    if isinstance(output, list):
        return [one.to(device()) for one in output]
    return output if output is None else output.to(device())


def _spread(output: Any, count: int) -> Any:
    """Return an output for `count` images of one prompt. What has no row for the prompt is the same for all."""
    if isinstance(output, list):
        return output * count if len(output) == 1 else output
    if isinstance(output, torch.Tensor) and output.ndim and output.shape[0] == 1:
        return output.repeat_interleave(count, dim=0)
    return output


def _once(kind: Any, given: Given) -> Given:
    """Return the arguments for one image of the prompt, on this process's device."""
    takes = encoding_signature(kind)
    required = {name: None for name, default in takes.items() if default is inspect.Parameter.empty}
    apart = {"num_images_per_prompt": 1, "device": torch.device(device())}
    return {**required, **given, **{name: value for name, value in apart.items() if name in takes}}


def _canonical(given: Given) -> Given:
    """Return the arguments that say what is encoded; one without a value says nothing."""
    return {
        name: value
        for name, value in given.items()
        if name not in APART and value is not None and value is not inspect.Parameter.empty and value != {}
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(one) for one in value)
    return isinstance(value, str | int | float | bool | torch.dtype)


def _key(loaded: Loaded, given: Given) -> str:
    """Return the hash of everything that determines the outputs for these arguments."""
    versions = [version_of(name) for name in ("torch", "diffusers", "transformers")]
    whole = [loaded.facts, loaded.lora_facts, loaded.key, device_name(), versions, given]
    text = json.dumps(whole, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
