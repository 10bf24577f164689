"""Format numbers with their nouns, and commands for copying."""

import os
import shlex
import sys
from pathlib import Path


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun in the singular or plural; `plural` is needed if it is not the noun with an s.

    >>> counted(1, "comparison"), counted(0, "comparison"), counted(12_000, "study", "studies")
    ('1 comparison', '0 comparisons', '12000 studies')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def command(*words: object) -> str:
    """Return a command of manage.py to paste, with the paths of Python and manage.py relative to the current folder.

    In a clone this is `.venv/bin/python manage.py …`, as in the guides.
    """
    manage = Path(__file__).resolve().parent.parent / "manage.py"
    return shlex.join([_as_typed(Path(sys.executable)), _as_typed(manage), *map(str, words)])


def _as_typed(path: Path) -> str:
    """Return the path relative to the current folder if it lies below it, else unchanged."""
    here = Path(os.environ.get("PWD") or Path.cwd())
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
