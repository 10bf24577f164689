"""Untrusted texts and JSON, of servers and files: cut to what a database stores and a page shows. Pure."""

import math
import unicodedata
from typing import Any

MOST_TEXT = 4000
MOST_ITEMS = 100
MOST_DEPTH = 4


def plain_text(value: object, most: int = MOST_TEXT) -> str:
    """Return an untrusted text without control characters and not too long; empty if it is no text.

    >>> plain_text("a\\x00b\\nc"), plain_text(7)
    ('a b c', '')
    """
    if not isinstance(value, str):
        return ""
    signs = (" " if unicodedata.category(sign) in ("Cc", "Cs", "Cf", "Zl", "Zp") else sign for sign in value[:most])
    return " ".join("".join(signs).split())


def number_in(text: str) -> float:
    """Return the number that a cell of a table holds; NaN if it holds none.

    >>> number_in("1.5"), number_in("half"), number_in("1_000")
    (1.5, nan, nan)
    """
    try:
        # float() also accepts "1_000" and the digits of other scripts: in a table either is more likely a fault.
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


def bounded(value: Any, depth: int = MOST_DEPTH) -> Any:
    """Return untrusted JSON, cut to a bounded size, with values that every database stores.

    >>> bounded({"a": [1, float("nan"), {"b\\x00": "c"}]})
    {'a': [1, 'nan', {'b': 'c'}]}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) < 2**63 else str(value)[:40]  # neither a huge integer nor nan and inf
    if isinstance(value, str):
        return plain_text(value)
    if depth == 0 or not isinstance(value, dict | list):
        return "…"
    if isinstance(value, list):
        return [bounded(item, depth - 1) for item in value[:MOST_ITEMS]]
    return {plain_text(str(key), 100): bounded(item, depth - 1) for key, item in list(value.items())[:MOST_ITEMS]}
