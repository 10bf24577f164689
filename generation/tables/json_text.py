"""Parse untrusted JSON. Pure."""

import json
from typing import Any


class RepeatedKeyError(ValueError):
    """An object that holds a key twice. Python's parser would silently take the last value."""


def parse_json(text: str | bytes) -> Any:
    """Return the document. Raises RepeatedKeyError, or ValueError or RecursionError if the text is no JSON."""
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise RepeatedKeyError(f"an object names the key {key[:100]!r} more than once")
        members[key] = value
    return members
