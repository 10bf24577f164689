"""How a stage tells its progress: one line `name done total note` each, which the bars of `lanes` are drawn from."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")
_MARK = "::"


def tell(name: str, done: int, total: int, note: str = "") -> None:
    """Print one line of progress."""
    print(_MARK, name, done, total, note, flush=True)


def told(line: str) -> tuple[str, int, int, str] | None:
    """(name, done, total, note) of such a line; None for any other."""
    parts = line.split(maxsplit=4)
    if len(parts) < 4 or parts[0] != _MARK:
        return None
    return parts[1], int(parts[2]), int(parts[3]), parts[4].strip() if len(parts) > 4 else ""


def counted(steps: Iterable[_T], name: str, total: int, *, every: int = 1) -> Iterator[_T]:
    """The same steps, told one by one or every so often."""
    for done, step in enumerate(steps, start=1):
        yield step
        if done % every == 0 or done == total:
            tell(name, done, total)
    sys.stdout.flush()
