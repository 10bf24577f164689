"""A fault of a study, as every check of a manifest or of a study file reports it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Parts = Mapping[str, Any]
Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong: under which key of the manifest, and one sentence with the way out."""

    key: Key
    sentence: str
