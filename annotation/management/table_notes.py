"""Notes on an imported file: columns that were not used, rows that were counted once or left out."""

from collections.abc import Iterator, Sequence

from jobs.wording import counted

_MOST_LINES_NAMED = 10


def notes_on(
    *, unused: Sequence[str] = (), repeated: Sequence[int] = (), nameless: Sequence[int] = ()
) -> Iterator[str]:
    """A sentence for each, none for what there is not."""
    if unused:
        yield f"Not used: the {'column' if len(unused) == 1 else 'columns'} {', '.join(unused)}."
    if repeated:
        repeat = "that repeats" if len(repeated) == 1 else "that repeat"
        yield f"Counted once: {counted(len(repeated), 'row')} {repeat} an earlier row ({_named(repeated)})."
    if nameless:
        yield f"Left out: {counted(len(nameless), 'vote')} without an annotator's name ({_named(nameless)})."


def _named(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:_MOST_LINES_NAMED]))
    more = len(lines) - _MOST_LINES_NAMED
    return f"{'line' if len(lines) == 1 else 'lines'} {shown}" + (f" and {more} more" if more > 0 else "")
