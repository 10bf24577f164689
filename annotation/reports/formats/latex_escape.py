"""Text as LaTeX prints it unchanged. Pure."""

import re
import unicodedata

_NO_LIGATURE = "\u2060"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "χ": r"$\chi$",
    "−": "$-$",
    "–": "--",
    "\u00a0": "~",
    "\u202f": r"\,",
    "\u200b": r"\allowbreak{}",
    _NO_LIGATURE: "{}",
    **{sign: f"\\{sign}" for sign in "#$%&_"},
}
# Two of these in a row would be printed as another sign: the options of a prompt such as --ar as a dash.
_LIGATURE = re.compile(r"(?<=[-'`,!?])(?=[-'`,])")
_LONG_WORD, _PIECE = 17, 8  # letters
_LONG, _PIECES = re.compile(rf"\S{{{_LONG_WORD},}}"), re.compile(f".{{1,{_PIECE}}}")
_SELECTORS = re.compile("[\ufe00-\ufe0f]")  # they choose how the sign before them is drawn
_BLANKS = re.compile(r"[^\S\u00a0\u202f]+")  # a line break or an empty line would end a paragraph


def escape(text: str) -> str:
    """Return text that LaTeX prints unchanged, on one line.

    >>> escape("50 % of {a_b}, --ar 16:9")
    '50 \\\\% of \\\\{a\\\\_b\\\\}, -{}-ar 16:9'
    """
    whole = _BLANKS.sub(" ", _SELECTORS.sub("", unicodedata.normalize("NFC", text)))
    printable = (sign for sign in _LIGATURE.sub(_NO_LIGATURE, _breakable(whole)) if _is_printed(sign))
    return "".join(_SPECIAL.get(sign, sign) for sign in printable)


def _is_printed(sign: str) -> bool:
    return sign.isprintable() or sign in _SPECIAL


def unbroken(word: str) -> int:
    """Return how many letters of a word stay on one line."""
    return len(word) if len(word) < _LONG_WORD else _PIECE


def _breakable(text: str) -> str:
    """Let words that are longer than a column break every eight characters."""
    return _LONG.sub(lambda word: "\u200b".join(_PIECES.findall(word.group())), text)
