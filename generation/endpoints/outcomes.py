"""Requests to an endpoint, its answers, and the ways in which a request fails. Pure."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ImageRequest:
    """One image to make. seed: None if the endpoint takes none. parameters: those that it understands."""

    prompt: str
    seed: int | None
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """The bytes of an image file, untrusted, and what the endpoint says about it."""

    data: bytes
    model: str = ""
    revised_prompt: str = ""
    reported: dict[str, Any] = field(default_factory=dict)


class Moderated(Exception):  # noqa: N818 - it names what happened
    """The endpoint refuses to make this image; other seeds may be made."""


class TemporaryFailure(Exception):  # noqa: N818 - it names what happened
    """A request failed in a way that may pass. pause: the seconds that the endpoint asks to wait, if it says so.

    was_refused: the endpoint answered that it makes no image now, so that nothing is paid.
    """

    def __init__(self, sentence: str, *, pause: float | None = None, was_refused: bool = False) -> None:
        super().__init__(sentence)
        self.pause = pause
        self.was_refused = was_refused


def without(secrets: list[str], value: Any) -> Any:
    """Return a document or a text in which none of the secrets occurs: a server may repeat the key it was given."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "…")
        return value
    if isinstance(value, list):
        return [without(secrets, item) for item in value]
    if isinstance(value, dict):
        return {without(secrets, key): without(secrets, item) for key, item in value.items()}
    return value
