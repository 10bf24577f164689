"""Texts in CSV files that a spreadsheet would run as a formula: marked with an apostrophe, and given back as they were.

Names, labels and prompts may come from an attacker.
"""

# What spreadsheets take for the beginning of a formula; the wide signs, too, in some languages.
_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
APOSTROPHE = "'"


def marked(text: str) -> str:
    """A text that no spreadsheet takes for a formula: one that looks like it gets an apostrophe in front.

    A text that has apostrophes before such a sign already gets one more, so that `unmarked` gives each text back.

    >>> marked("=1"), marked("'=1"), marked("'tis")
    ("'=1", "''=1", "'tis")
    """
    return f"{APOSTROPHE}{text}" if looks_like_a_formula(text) else text


def unmarked(text: str) -> str:
    """The text that `marked` was given.

    >>> unmarked("'=1"), unmarked("''=1"), unmarked("'tis")
    ('=1', "'=1", "'tis")
    """
    is_marked = text.startswith(APOSTROPHE) and looks_like_a_formula(text)
    return text.removeprefix(APOSTROPHE) if is_marked else text


def looks_like_a_formula(text: str) -> bool:
    """Whether `marked` would mark the text."""
    return text.lstrip(APOSTROPHE).startswith(_BEGINNINGS)
