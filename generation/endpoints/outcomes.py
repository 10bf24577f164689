"""What is asked of an endpoint, what it answers, and how a request may fail. Pure."""

import math
import unicodedata
from dataclasses import dataclass, field
from typing import Any

MOST_TEXT = 4000
MOST_ITEMS = 100
MOST_DEPTH = 4


@dataclass(frozen=True)
class Wish:
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


class NotNow(Exception):  # noqa: N818 - it names what happened
    """A request failed in a way that may pass. pause: the seconds that the endpoint asks to wait, if it says so.

    was_refused: the endpoint answered that it makes no image now, so that nothing is paid.
    """

    def __init__(self, sentence: str, *, pause: float | None = None, was_refused: bool = False) -> None:
        super().__init__(sentence)
        self.pause = pause
        self.was_refused = was_refused


def plain_text(value: object, most: int = MOST_TEXT) -> str:
    """Return a stranger's text without control characters and not too long; empty if it is no text.

    >>> plain_text("a\\x00b\\nc"), plain_text(7)
    ('a b c', '')
    """
    if not isinstance(value, str):
        return ""
    signs = (" " if unicodedata.category(sign) in ("Cc", "Cs", "Cf", "Zl", "Zp") else sign for sign in value[:most])
    return " ".join("".join(signs).split())


def bounded(value: Any, depth: int = MOST_DEPTH) -> Any:
    """Return a stranger's JSON, cut to a bounded size, with values that every database stores.

    >>> bounded({"a": [1, float("nan"), {"b\\x00": "c"}]})
    {'a': [1, 'nan', {'b': 'c'}]}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if math.isfinite(value) and abs(value) < 2**63 else str(value)[:40]
    if isinstance(value, str):
        return plain_text(value)
    if depth == 0 or not isinstance(value, dict | list):
        return "…"
    if isinstance(value, list):
        return [bounded(item, depth - 1) for item in value[:MOST_ITEMS]]
    return {plain_text(str(key), 100): bounded(item, depth - 1) for key, item in list(value.items())[:MOST_ITEMS]}


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
