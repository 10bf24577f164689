"""Find prompts that differ only in blanks, case, invisible characters or Unicode spelling; pure.

A model may make the same images for them.
"""

import unicodedata
from collections.abc import Iterable, Iterator

# Blank or invisible characters that Unicode counts as letters, marks or symbols.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(code) for code in range(0xFE00, 0xFE10)}


def key(prompt: str) -> str:
    """Return the prompt without differences that nobody sees: equal keys mean the same prompt."""
    return visible(prompt) or prompt


def visible(text: str) -> str:
    """Return what is seen of a text, in one case and one Unicode spelling, without blanks.

    >>> visible("A  cat"), visible("\u3164")
    ('acat', '')
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(character for character in text if not _is_blank(character))


def _is_blank(character: str) -> bool:
    return character.isspace() or character in _BLANK or unicodedata.category(character) in ("Cf", "Zs", "Zl", "Zp")


def pairs(prompts: Iterable[str | None]) -> Iterator[tuple[int, int]]:
    """Yield the positions of an earlier prompt and of a later one that is the same. None is ignored.

    >>> list(pairs(["a cat", "a dog", "A  cat"]))
    [(0, 2)]
    """
    first_at: dict[str, int] = {}
    for index, prompt in enumerate(prompts):
        if prompt is not None and (earlier := first_at.setdefault(key(prompt), index)) != index:
            yield earlier, index
