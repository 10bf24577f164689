"""The adapters that ask a server: this project's own contract (docs/endpoints.md) and the images API."""

import base64
import binascii
from typing import Any
from urllib.parse import urljoin, urlsplit

from generation.endpoints import replies
from generation.endpoints.definitions import Endpoint
from generation.endpoints.exchanges import Bounds, Reply, exchange
from generation.endpoints.outcomes import Answer, ImageRequest, TemporaryFailure
from generation.tables.foreign_values import bounded, plain_text
from jobs.refusals import Refused

CONTRACT = 1
BESIDE_THE_IMAGE = 2**20  # bytes of an answer that are no image


def owner_of(endpoint: Endpoint) -> str:
    """Return how sentences name an endpoint."""
    return f"The endpoint {endpoint.name}"


def bounds_of(endpoint: Endpoint, image_bytes: int) -> Bounds:
    """Return what a request of an endpoint may take, if its answer may hold an image of that many bytes in base64."""
    return Bounds(endpoint.seconds, image_bytes * 4 // 3 + BESIDE_THE_IMAGE, endpoint.private_addresses)


def key_headers(endpoint: Endpoint) -> dict[str, str]:
    """Return the header with the endpoint's key; nothing if it needs none."""
    key = endpoint.key()
    if not key:
        return {}
    return {endpoint.key_header: f"Bearer {key}" if endpoint.key_header.lower() == "authorization" else key}


def ask_own(endpoint: Endpoint, request: ImageRequest, *, image_bytes: int) -> Answer:
    """Ask a server of this project's own contract for an image."""
    sent: dict[str, Any] = {
        "version": CONTRACT,
        "prompt": request.prompt,
        "seed": request.seed,
        "parameters": {**endpoint.extra, **request.parameters},
    }
    if endpoint.model:
        sent["model"] = endpoint.model
    document = _asked(endpoint, sent, image_bytes).document()
    said = document.get("provenance")
    return Answer(
        data=_unpacked(document.get("image"), endpoint, image_bytes),
        model=plain_text(document.get("model"), 200),
        revised_prompt=plain_text(document.get("revised_prompt")),
        reported=bounded(said) if isinstance(said, dict) else {},
    )


def ask_images_api(endpoint: Endpoint, request: ImageRequest, *, image_bytes: int) -> Answer:
    """Ask a server of the images API (POST /v1/images/generations) for one image, in base64 or at an address."""
    sent = {**endpoint.extra, "model": endpoint.model, "prompt": request.prompt, "n": 1}
    sent |= {name: value for name, value in request.parameters.items() if name not in ("width", "height")}
    if {"width", "height"} <= request.parameters.keys():
        sent["size"] = f"{request.parameters['width']}x{request.parameters['height']}"
    if request.seed is not None:
        sent["seed"] = request.seed
    document = _asked(endpoint, sent, image_bytes).document()
    listed = document.get("data")
    image = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
    if isinstance(image.get("url"), str) and not image.get("b64_json"):
        data = _fetched(endpoint, image["url"], image_bytes)
    else:
        data = _unpacked(image.get("b64_json"), endpoint, image_bytes)
    facts = ("created", "size", "quality", "background", "output_format", "usage", "seed")
    return Answer(
        data=data,
        model=plain_text(document.get("model"), 200),
        revised_prompt=plain_text(image.get("revised_prompt")),
        reported=bounded({name: document[name] for name in facts if name in document}),
    )


def _asked(endpoint: Endpoint, sent: dict[str, Any], image_bytes: int) -> Reply:
    owner = owner_of(endpoint)
    bounds = bounds_of(endpoint, image_bytes)
    reply = exchange("POST", endpoint.url, bounds=bounds, owner=owner, headers=key_headers(endpoint), sent=sent)
    replies.check(reply, owner=owner)
    return reply


def _unpacked(text: object, endpoint: Endpoint, image_bytes: int) -> bytes:
    """Return the bytes of base64. An answer without an image may be one that was cut, so it is asked for again."""
    if not isinstance(text, str) or not text:
        raise TemporaryFailure(f"{owner_of(endpoint)} answered without an image")
    if len(text) > image_bytes * 4 // 3 + 4:
        raise Refused(f"{owner_of(endpoint)} answered with an image larger than {image_bytes:,} bytes.")
    try:
        return base64.b64decode(text.partition(";base64,")[2] or text, validate=True)
    except (binascii.Error, ValueError):
        raise TemporaryFailure(f"{owner_of(endpoint)} answered with an image that is not base64") from None


def _fetched(endpoint: Endpoint, address: str, image_bytes: int) -> bytes:
    """Fetch an image from the address that a server gave: on its own host, or on a listed one, without the key."""
    owner = owner_of(endpoint)
    try:
        own = urlsplit(endpoint.url)
        parts = urlsplit(urljoin(endpoint.url, address))
        same_host = (parts.scheme, parts.hostname, parts.port) == (own.scheme, own.hostname, own.port)
        is_listed = parts.scheme == "https" and not parts.port and (parts.hostname or "") in endpoint.image_hosts
    except ValueError:
        same_host = is_listed = False
    if not (same_host or is_listed) or not address.isascii() or not address.isprintable() or " " in address:
        raise Refused(
            f"{owner} gives its images at an address of another host; list the host in image_hosts in the file of "
            "endpoints if that is right."
        )
    bounds = Bounds(endpoint.seconds, image_bytes, endpoint.private_addresses)
    reply = exchange("GET", parts.geturl(), bounds=bounds, owner=owner)
    if reply.status != 200:
        raise TemporaryFailure(f"{owner} does not give the image that it made ({reply.status})")
    return reply.body
