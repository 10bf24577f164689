"""Words around numbers."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number with its noun in the right form; `plural` where it is not the noun with an s.

    >>> counted(1, "comparison"), counted(0, "comparison"), counted(12_000, "study", "studies")
    ('1 comparison', '0 comparisons', '12000 studies')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
