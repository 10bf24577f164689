"""Format numbers with their nouns, lists, spans of time, and commands for copying."""

import os
import shlex
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

_CLONE = Path(__file__).resolve().parent.parent
_JOINERS = "\u200c\u200d"  # parts of words in some scripts


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun in the singular or plural; `plural` is needed if it is not the noun with an s.

    >>> counted(1, "comparison"), counted(0, "comparison"), counted(12_000, "study", "studies")
    ('1 comparison', '0 comparisons', '12000 studies')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def listed(words: Sequence[str], *, most: int = 0) -> str:
    """Return words in a sentence; beyond `most` of them, how many more there are.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], most=2)
    ('a', 'a and b', 'a, b and c', 'a, b and 2 more')
    """
    if most and len(words) > most:
        words = [*words[:most], f"{len(words) - most} more"]
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def duration(seconds: float) -> str:
    """Return a span of time in the unit that suits it.

    >>> duration(50), duration(5400), duration(2 * 86400)
    ('50 s', '90 min', '48.0 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def hidden_character(name: str) -> str:
    """Return the first character of a name that is invisible or reorders others; empty if there is none.

    Two names that differ by such a character look the same, and some of them control a terminal.

    >>> hidden_character("ann"), hidden_character("an\\u200bn"), hidden_character("\\x1b[31mann")
    ('', 'U+200B', 'U+001B')
    """
    return next((f"U+{ord(sign):04X}" for sign in name if _is_hidden(sign)), "")


def quoted(text: str, most: int = 300) -> str:
    """Return a text of a file in quotes, cut, on one line.

    Invisible characters, and those that look like a plain blank, are written as their numbers.

    >>> print(quoted("a\\u00a0kite\\n"), quoted("a kite", most=3))
    "a[U+00A0]kite[U+000A]" "a k…"
    """
    signs = "".join(
        f"[U+{ord(sign):04X}]" if _is_hidden(sign) or (sign != " " and unicodedata.category(sign) == "Zs") else sign
        for sign in text[:most]
    )
    return f'"{signs}{"…" * (len(text) > most)}"'


def _is_hidden(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp") and sign not in _JOINERS


def storable(text: str) -> str:
    """Return a text that every database stores and every terminal shows, however odd the bytes of a file's name are.

    >>> storable("a\\x00b"), storable("\\udcff.png")
    ('a b', '\\\\udcff.png')
    """
    return text.encode(errors="backslashreplace").decode().replace("\0", " ")


def first_line(error: BaseException) -> str:
    """Return the first line of an error of a library, short and without a full stop, for a sentence of ours.

    >>> first_line(ValueError("No such key.\\nSee the manual.")), first_line(ValueError())
    ('No such key', 'ValueError')
    >>> first_line(FileNotFoundError(2, "No such file or directory", "a.bin"))
    'a.bin: No such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:  # str() would begin with [Errno 2]
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)[:200]
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")


def command(*words: object) -> str:
    """Return a command of manage.py to paste; in a clone this is `.venv/bin/python manage.py …`, as in the guides.

    At a shell the paths fit its current folder. Elsewhere a page shows the text, so it starts in the clone and names no
    folder of the server.
    """
    manage = _CLONE / "manage.py"
    if Path(sys.argv[0]).name == "manage.py":
        here = Path(os.environ.get("PWD") or Path.cwd())
        return shlex.join([_below(here, sys.executable), _below(here, manage), *map(str, words)])
    python = Path(sys.executable)
    return shlex.join(
        [_below(_CLONE, python) if python.is_relative_to(_CLONE) else "python", "manage.py", *map(str, words)]
    )


def _below(folder: Path, path: Path | str) -> str:
    """Return the path relative to the folder if it lies below it, else unchanged."""
    return str(Path(path).relative_to(folder)) if Path(path).is_relative_to(folder) else str(path)
