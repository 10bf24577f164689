"""The licence that a checkpoint's own files state. Reads no weights."""

import re
from pathlib import Path

_FRONT_MATTER = re.compile(r"\A---\s*\n(?P<lines>.*?)\n---", re.DOTALL)
_LINE = re.compile(r"^(?P<key>license|license_name):\s*[\"']?(?P<value>[^\"'\n#]+)", re.MULTILINE)
LICENCE_FILES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "LICENCE.md", "LICENCE.txt")
MOST_LETTERS = 100
_READ_BYTES = 20_000  # of a model card or licence, whose beginning says what is asked here


def licence_of(folder: Path) -> str:
    """Return the licence that a folder's model card names, or the first line of its licence file; empty if neither.

    The name in a card's front matter is the hub's, such as `openrail++`; `other` gives way to `license_name`.
    """
    named = {found["key"]: found["value"].strip() for found in _LINE.finditer(_front_matter(folder))}
    name = named.get("license", "")
    if name in ("", "other"):
        name = named.get("license_name", "") or name
    return (name or _first_line(folder))[:MOST_LETTERS]


def _front_matter(folder: Path) -> str:
    found = _FRONT_MATTER.match(_beginning(folder / "README.md"))
    return found["lines"] if found else ""


def _first_line(folder: Path) -> str:
    lines = (line.strip("# \t\r") for name in LICENCE_FILES for line in _beginning(folder / name).split("\n"))
    return next((line for line in lines if line), "")


def _beginning(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_READ_BYTES).decode(errors="replace")
    except OSError:
        return ""
