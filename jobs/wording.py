"""Words around numbers, and commands as they are typed."""

import os
import shlex
import sys
from pathlib import Path


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number with its noun in the right form; `plural` where it is not the noun with an s.

    >>> counted(1, "comparison"), counted(0, "comparison"), counted(12_000, "study", "studies")
    ('1 comparison', '0 comparisons', '12000 studies')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def command(*words: object) -> str:
    """A command of manage.py to paste, with Python and manage.py relative to the reader's folder.

    In a clone this is `.venv/bin/python manage.py …`, as the guides spell it; elsewhere it names what runs there.
    """
    manage = Path(__file__).resolve().parent.parent / "manage.py"
    return shlex.join([_as_typed(Path(sys.executable)), _as_typed(manage), *map(str, words)])


def _as_typed(path: Path) -> str:
    """The path from the current folder where it lies below it."""
    here = Path(os.environ.get("PWD") or Path.cwd())
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
