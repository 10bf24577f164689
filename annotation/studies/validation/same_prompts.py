"""Prompts that differ in nothing a model sees: blanks, case, invisible signs, the spelling of a sign. Pure."""

import unicodedata
from collections.abc import Iterable, Iterator

# Blank or invisible, though Unicode counts them as letters, marks or symbols.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(code) for code in range(0xFE00, 0xFE10)}


def key(prompt: str) -> str:
    """The prompt without those differences."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", prompt).casefold())
    return "".join(sign for sign in text if not _is_blank(sign)) or prompt


def _is_blank(sign: str) -> bool:
    return sign.isspace() or sign in _BLANK or unicodedata.category(sign) in ("Cf", "Zs", "Zl", "Zp")


def pairs(prompts: Iterable[str | None]) -> Iterator[tuple[int, int]]:
    """The positions of each prompt that is the same as an earlier one, the earlier first; None is passed over.

    >>> list(pairs(["a cat", "a dog", "A  cat"]))
    [(0, 2)]
    """
    first_at: dict[str, int] = {}
    for index, prompt in enumerate(prompts):
        if prompt is not None and (earlier := first_at.setdefault(key(prompt), index)) != index:
            yield earlier, index
