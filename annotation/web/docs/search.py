"""The search over the headings and passages of all documents."""

import re
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotation.web.docs.documents import DOCUMENTS, Document, pages_text
from annotation.web.docs.markup import Section

MOST_LETTERS = 100  # of a query
MOST_WORDS = 8
MOST_FOUND = 40
LETTERS_BEFORE = 60  # of a passage, before the first word that was found
LETTERS_SHOWN = 240


@dataclass(frozen=True)
class Found:
    """A section in which every word of a query stands."""

    document: Document
    section: Section
    words: tuple[str, ...]

    @property
    def title(self) -> SafeString:
        """Return the heading with the words marked."""
        return _with_marks(self.section.title, self.words)

    @property
    def excerpt(self) -> SafeString:
        """Return the part of the section that holds most of the words, with the words marked."""
        best = max(self.section.passages, key=lambda passage: _how_many(self.words, passage), default="")
        return _with_marks(_cut(" ".join(best.split()), self.words), self.words)

    @property
    def rank(self) -> tuple[int, int]:
        """Return what found sections are ordered by: words in the heading, then words in one passage."""
        in_passages = (_how_many(self.words, passage) for passage in self.section.passages)
        return -_how_many(self.words, self.section.title), -max(in_passages, default=0)


def find(query: str) -> list[Found]:
    """Return the sections that hold every word of the query, also as a part of other words; the best first."""
    words = tuple(dict.fromkeys(query[:MOST_LETTERS].casefold().split()))[:MOST_WORDS]
    if not words:
        return []
    found = [
        Found(document, section, words)
        for document in DOCUMENTS
        for section in pages_text(document.name).sections
        if _how_many(words, " ".join((section.title, *section.passages))) == len(words)
    ]
    return sorted(found, key=lambda one: one.rank)


def _how_many(words: tuple[str, ...], text: str) -> int:
    folded = text.casefold()
    return sum(word in folded for word in words)


def _cut(passage: str, words: tuple[str, ...]) -> str:
    """Return the letters of a passage around the first word that was found."""
    places = [place for word in words if (place := passage.casefold().find(word)) >= 0]
    start = max(0, min(places, default=0) - LETTERS_BEFORE)
    start = passage.rfind(" ", 0, start) + 1 if start else 0  # a whole word first
    cut = passage[start : start + LETTERS_SHOWN]
    return f"{'… ' if start else ''}{cut}{' …' if start + LETTERS_SHOWN < len(passage) else ''}"


def _with_marks(text: str, words: tuple[str, ...]) -> SafeString:
    """Return the text as HTML in which each of the words is marked."""
    longest_first = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    parts = re.split(f"({longest_first})", text, flags=re.IGNORECASE)  # the words stand at the odd places
    return format_html_join(
        "", "{}", ((format_html("<mark>{}</mark>", part) if at % 2 else part,) for at, part in enumerate(parts))
    )
