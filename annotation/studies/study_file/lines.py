"""Parse a TOML document, and find the line of each key; pure.

Python's own parser gives values but no lines. This one walks over a document that Python's parser has accepted, so it
validates nothing: it only finds where one item ends and the next begins.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""+|\'\'\'.*?\'\'\'+|"(?:[^"\\]|\\.)*"|\'[^\']*\'',
    re.DOTALL,
)
# A key of more parts than any study file has. A part is tried only from its start, so that a long word takes no time.
_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}\.[ \t]*+){{30}}")
_SCALAR = re.compile(r"[^,\]}#\r\n]+")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\", "e": "\x1b"}


def toml_document(text: str) -> dict[str, Any]:
    """Parse a TOML document as Python does. Raises ValueError for a key of more than 30 parts.

    Python takes 7 s for one of 25,000 parts, and four times as long for twice as many: a file holds a million.

    >>> toml_document("a.b = 1")
    {'a': {'b': 1}}
    """
    if _LONG_KEY.search(text):
        raise ValueError("a key has more than 30 parts")
    return tomllib.loads(text)


def key_lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of every key and array item of a valid TOML document, by its whole path.

    >>> key_lines("a = 1\\n[b]\\nc = [\\n  2,\\n]")
    {('a',): 1, ('b',): 2, ('b', 'c'): 3, ('b', 'c', 0): 4}
    """
    return _Walk(text).document()


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[Path, int] = {}
        self._table_counts: dict[Path, int] = {}

    def document(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip_blanks():
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        start = self._at
        path: Path = ()
        keys = self._key()
        for place, key in enumerate(keys):
            path = (*path, key)
            is_last = place == len(keys) - 1
            if is_last and is_array:
                self._note(path, start)
                self._table_counts[path] = self._table_counts.get(path, -1) + 1
            if path in self._table_counts:
                path = (*path, self._table_counts[path])
        self._note(path, start)
        self._at = self._text.index("]", self._at) + (2 if is_array else 1)
        return path

    def _pair(self, table: Path) -> None:
        start = self._at
        path = table
        for key in self._key():
            path = (*path, key)
            self._note(path, start)
        self._at = self._text.index("=", self._at) + 1
        self._value(path)

    def _key(self) -> list[str]:
        """Read a dotted key, and return its parts."""
        parts = []
        while True:
            self._skip_blanks()
            if match := _BARE_KEY.match(self._text, self._at):
                parts.append(match[0])
            elif match := _STRING.match(self._text, self._at):
                parts.append(_unquoted(match[0]))
            else:
                return parts
            self._at = match.end()
            self._skip_blanks()
            if self._peek() != ".":
                return parts
            self._at += 1

    def _value(self, path: Path) -> None:
        self._skip_blanks()
        if self._peek() == "[":
            for index in self._items("]"):
                self._note((*path, index), self._at)
                self._value((*path, index))
        elif self._peek() == "{":
            for _ in self._items("}"):
                self._pair(path)
        else:
            match = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            self._at = match.end() if match else len(self._text)

    def _items(self, end: str) -> Iterator[int]:
        """Stop before each item of an array or inline table and yield its index; continue after the closing bracket."""
        self._at += 1
        index = 0
        while self._skip_blanks() and self._peek() != end:
            yield index
            index += 1
            self._skip_blanks()
            if self._peek() == ",":
                self._at += 1
        self._at += 1

    def _note(self, path: Path, at: int) -> None:
        self._lines.setdefault(path, bisect_right(self._ends, at - 1) + 1)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_blanks(self) -> bool:
        """Skip blanks and comments, and return whether anything follows."""
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at < len(self._text)


def _unquoted(quoted: str) -> str:
    if quoted.startswith("'"):
        return quoted[1:-1]

    def unescaped(match: re.Match[str]) -> str:
        return chr(int(match[1] or match[2], 16)) if match[1] or match[2] else _ESCAPED.get(match[3], match[3])

    return _ESCAPE.sub(unescaped, quoted[1:-1])
