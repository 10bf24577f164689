"""The pages of the documents, for researchers and strangers alike: nothing in them is secret."""

import re
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from annotation.web.access.guard import researcher_page
from annotation.web.docs.markup import FOLDER, Marked, Section, marked

MOST_LETTERS = 100  # of a query
MOST_WORDS = 8
MOST_FOUND = 40
LETTERS_BEFORE = 60  # of a passage, before the first word that was found
LETTERS_SHOWN = 240


@dataclass(frozen=True)
class Document:
    """A document of docs/: the name of its file, a short title, and whom it is for."""

    name: str
    title: str
    summary: str

    @property
    def address(self) -> str:
        """Return the address of its page."""
        return reverse("document", args=[self.name])

    @property
    def contents(self) -> list[Section]:
        """Return the sections that its table of contents lists."""
        return [section for section in pages_text(self.name).sections if section.level in (2, 3)]


DOCUMENTS = (
    Document("study-guide", "Study guide", "Write a study, run it, and use its report: every key of the study file."),
    Document("your-own-data", "Your own data", "Bring images, votes or scores that were made elsewhere."),
    Document("report", "Report", "What each number, figure and file of the report means, and how it is computed."),
    Document("metrics", "Metrics", "Judge further metrics by the same votes, also one of your own."),
    Document("accounts", "Accounts", "Who sees and changes a study, links to its report, and its history."),
    Document("api", "API", "The whole of a study from a script, and the Python client."),
    Document("operations", "Operations", "Run the machine: processes, variables, backup, limits, and what may fail."),
    Document("endpoints", "Endpoints", "Let another program or server make the images."),
)
_BY_NAME = {document.name: document for document in DOCUMENTS}


def document_of(name: str) -> Document | None:
    """Return the document of this name, or None."""
    return _BY_NAME.get(name)


@lru_cache(maxsize=len(DOCUMENTS))
def pages_text(name: str) -> Marked:
    """Return the text of a document as a page shows it. `name`: of one of DOCUMENTS."""
    text = (settings.BASE_DIR / FOLDER / f"{name}.md").read_text(encoding="utf-8")
    return marked(text, address=_address)


def _address(file: str) -> str | None:
    document = document_of(file.removesuffix(".md"))
    return document.address if document else None


@require_safe
@researcher_page
def docs(request: HttpRequest) -> HttpResponse:
    """Show the list of documents, or what a search found in them."""
    query = request.GET.get("q", "").strip()[:MOST_LETTERS]
    if not query:
        return render(request, "web/docs/docs.html", {"documents": DOCUMENTS})
    found = find(query)
    context = {"documents": DOCUMENTS, "query": query, "found": found[:MOST_FOUND], "count": len(found)}
    return render(request, "web/docs/search.html", context)


@require_safe
@researcher_page
def document(request: HttpRequest, name: str) -> HttpResponse:
    """Show a document; for an unknown name, the list of all documents."""
    shown = document_of(name.removesuffix(".md"))
    if shown is None:
        return render(request, "web/docs/docs.html", {"documents": DOCUMENTS, "missing": name}, status=404)
    if shown.name != name:  # a message of the program names docs/report.md
        return redirect(shown.address)
    context = {"documents": DOCUMENTS, "document": shown, "html": pages_text(name).html}
    return render(request, "web/docs/document.html", context)


urlpatterns: list[URLPattern] = [
    path("docs/", docs, name="docs"),
    path("docs/<str:name>/", document, name="document"),
]


# --- search -------------------------------------------------------------------------------------
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
