"""The cells of CSV files: a text that a spreadsheet would run as a formula is marked with an apostrophe.

Names, labels and prompts may come from an attacker.
"""

from datetime import datetime
from typing import Any

# What spreadsheets take for the beginning of a formula; in some languages also the wide signs.
_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
APOSTROPHE = "'"


def marked(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: one that looks like a formula gets an apostrophe in front.

    A text that already has apostrophes before such a sign gets one more, so that `unmarked` restores each text.

    >>> marked("=1"), marked("'=1"), marked("'tis")
    ("'=1", "''=1", "'tis")
    """
    return f"{APOSTROPHE}{text}" if looks_like_a_formula(text) else text


def unmarked(text: str) -> str:
    """Return the text that `marked` was given.

    >>> unmarked("'=1"), unmarked("''=1"), unmarked("'tis")
    ('=1', "'=1", "'tis")
    """
    is_marked = text.startswith(APOSTROPHE) and looks_like_a_formula(text)
    return text.removeprefix(APOSTROPHE) if is_marked else text


def looks_like_a_formula(text: str) -> bool:
    """Return whether `marked` would mark the text."""
    return text.lstrip(APOSTROPHE).startswith(_BEGINNINGS)


def cell(value: Any) -> Any:
    """Return a value as our CSV files write it: booleans in small letters, times in ISO 8601, texts marked.

    >>> cell(True), cell("=1"), cell(2.5), cell(None)
    ('true', "'=1", 2.5, None)
    """
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat()
        case str():
            return marked(value)
        case _:
            return value
