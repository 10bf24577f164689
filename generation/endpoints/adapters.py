"""Ask an endpoint for one image, by its adapter, and read the image as an untrusted file. Touches no database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from django.utils import timezone
from PIL import Image, ImageOps

from generation.endpoints.comfyui_adapter import ask_comfyui
from generation.endpoints.command_adapter import ask_command
from generation.endpoints.definitions import Adapter, Endpoint
from generation.endpoints.http_adapters import ask_images_api, ask_own, owner_of
from generation.endpoints.outcomes import Answer, ImageRequest, Moderated, TemporaryFailure, without
from generation.pictures.reading import Limits, decode
from generation.plans.parameters import SamplingParameters
from jobs.refusals import Refused


class Ask(Protocol):
    """Asks an endpoint for one image. Raises Moderated, TemporaryFailure or Refused."""

    def __call__(self, endpoint: Endpoint, request: ImageRequest, *, image_bytes: int) -> Answer:
        """Return what the endpoint made."""


ADAPTERS: dict[Adapter, Ask] = {
    "semblance": ask_own,
    "images-api": ask_images_api,
    "comfyui": ask_comfyui,
    "command": ask_command,
}


@dataclass(frozen=True)
class Made:
    """An image that an endpoint made, and what was asked."""

    request: ImageRequest
    answer: Answer
    image: Image.Image
    original_size: tuple[int, int]
    asked_at: datetime


def parameters_for(endpoint: Endpoint, parameters: SamplingParameters) -> dict[str, Any]:
    """Return the sampling parameters that the endpoint understands."""
    return {name: value for name, value in parameters.as_document().items() if name in endpoint.parameters}


def check_parameters(endpoint: Endpoint, parameters: SamplingParameters, *, owner: str) -> None:
    """Refuse a negative prompt that the endpoint would not see."""
    if parameters.negative_prompt and "negative_prompt" not in endpoint.parameters:
        raise Refused(
            f"{owner}: the endpoint {endpoint.name} takes no negative prompt; leave sampling.negative_prompt out."
        )


def ask(endpoint: Endpoint, request: ImageRequest, *, size: tuple[int, int], limits: Limits) -> Made:
    """Return the image for a request, in the planned size.

    Raises Moderated, TemporaryFailure or Refused; neither their sentences nor the answer hold the key or the address.
    """
    asked_at = timezone.now()
    secrets = secrets_of(endpoint)
    try:
        answer = ADAPTERS[endpoint.adapter](endpoint, request, image_bytes=limits.byte_count)
    except (Moderated, Refused) as refusal:
        raise type(refusal)(without(secrets, str(refusal))) from None
    except TemporaryFailure as fault:
        text = without(secrets, str(fault))
        raise TemporaryFailure(text, pause=fault.pause, was_refused=fault.was_refused) from None
    image = _read(endpoint, answer.data, limits)
    clean = Answer(
        answer.data,
        model=without(secrets, answer.model),
        revised_prompt=without(secrets, answer.revised_prompt),
        reported=without(secrets, answer.reported),
    )
    return Made(request, clean, _in_size(endpoint, image, size), image.size, asked_at)


def secrets_of(endpoint: Endpoint) -> list[str]:
    """Return what must be in no sentence, log or provenance: the key and the address."""
    place = urlsplit(endpoint.url)
    return [text for text in (endpoint.key(), endpoint.url, place.netloc, place.hostname) if text]


def _read(endpoint: Endpoint, data: bytes, limits: Limits) -> Image.Image:
    try:
        if len(data) > limits.byte_count:
            raise Refused(f"is larger than {limits.byte_count:,} bytes")
        return decode(data, suffix=suffix_of(data), limits=limits)
    except Refused as refusal:
        raise Refused(f"{owner_of(endpoint)} answered with an image that {refusal}.") from None


def suffix_of(data: bytes) -> str:
    """Return the file name extension of an image by its first bytes: an answer has no name."""
    if data.startswith(b"\x89PNG"):
        return ".png"
    return ".webp" if data[8:12] == b"WEBP" else ".jpg"


def _in_size(endpoint: Endpoint, image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the image in the planned size: another one would tell the models apart."""
    if image.size == size:
        return image
    given, planned = (f"{width} x {height}" for width, height in (image.size, size))
    if not endpoint.resize:
        raise Refused(
            f"{owner_of(endpoint)} makes images of {given} pixels, and the study plans {planned}: plan another size, "
            "or set resize in the worker's file of endpoints."
        )
    if image.width < size[0] or image.height < size[1]:
        raise Refused(f"{owner_of(endpoint)} makes images of {given} pixels, which is smaller than {planned}.")
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
