"""What an import says of a file beside its success: what was not used, counted once, or left out."""

from collections.abc import Iterator, Sequence

_MOST_LINES_NAMED = 10


def notes_on(
    *, unused: Sequence[str] = (), repeated: Sequence[int] = (), nameless: Sequence[int] = ()
) -> Iterator[str]:
    """A sentence for each, none for what there is not."""
    if unused:
        yield f"Not used: {_columns(len(unused))} {', '.join(unused)}."
    if repeated:
        yield f"Counted once: {_rows(len(repeated))} an earlier row ({_named(repeated)})."
    if nameless:
        yield f"Left out: {_votes(len(nameless))} without an annotator's name ({_named(nameless)})."


def _named(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:_MOST_LINES_NAMED]))
    more = len(lines) - _MOST_LINES_NAMED
    return f"{'line' if len(lines) == 1 else 'lines'} {shown}" + (f" and {more} more" if more > 0 else "")


def _columns(count: int) -> str:
    return "the column" if count == 1 else "the columns"


def _rows(count: int) -> str:
    return "1 row that repeats" if count == 1 else f"{count} rows that repeat"


def _votes(count: int) -> str:
    return "1 vote" if count == 1 else f"{count} votes"
