"""Progress of a stage as lines `name done total note`, from which `parallel_stages` draws its bars."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")
_MARK = "::"


def print_progress(name: str, done: int, total: int, note: str = "") -> None:
    """Print one line of progress."""
    print(_MARK, name, done, total, note, flush=True)


def parse_progress(line: str) -> tuple[str, int, int, str] | None:
    """Return (name, done, total, note) of such a line; None for any other line."""
    parts = line.split(maxsplit=4)
    if len(parts) < 4 or parts[0] != _MARK:
        return None
    return parts[1], int(parts[2]), int(parts[3]), parts[4].strip() if len(parts) > 4 else ""


def with_progress(steps: Iterable[_T], name: str, total: int) -> Iterator[_T]:
    """Yield the steps, and print the progress after each."""
    for done, step in enumerate(steps, start=1):
        yield step
        print_progress(name, done, total)
    sys.stdout.flush()
