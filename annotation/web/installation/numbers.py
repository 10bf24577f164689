"""Numbers from forms and addresses, and bytes in words."""

KIB = 1024


def number_in(text: str) -> int:
    """Return the id that a form names; 0, which no row has, for anything else."""
    named = text[:18]
    return int(named) if named.isascii() and named.isdecimal() else 0


def bytes_in_words(count: int) -> str:
    """Return a number of bytes in the unit that suits it.

    >>> bytes_in_words(0), bytes_in_words(2048), bytes_in_words(5 * 2**30)
    ('0 B', '2.0 KiB', '5.0 GiB')
    """
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < KIB:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= KIB
    return f"{size:.1f} TiB"
