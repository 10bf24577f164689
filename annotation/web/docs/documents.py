"""The documents that have a page, each read from docs/ once in a process."""

from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.urls import reverse

from annotation.web.docs.markup import FOLDER, Marked, Section, marked


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
