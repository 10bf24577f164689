"""The documents that are shipped: each link leads somewhere, and the container image has them."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from annotation.web.docs.pages import DOCUMENTS, Document, document_of, pages_text

ROOT = Path(settings.BASE_DIR)
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)


@each_document
def test_each_link_leads_to_a_section_or_names_a_file(document: Document) -> None:
    html = pages_text(document.name).html
    for name, anchor in re.findall(r'href="(?:/docs/([^/"]+)/)?(?:#([^"]*))?"', html):
        target = document_of(name or document.name)
        assert target is not None, name
        anchors = [section.anchor for section in pages_text(target.name).sections]
        assert not anchor or anchor in anchors, f"{document.name} links to {target.name}#{anchor}"
    for path in re.findall(r"\(<code>([^<]+)</code> in the repository\)", html):
        assert (ROOT / path).exists(), path


@each_document
def test_each_document_has_a_title_a_summary_and_contents(document: Document) -> None:
    first = pages_text(document.name).sections[0]
    assert first.level == 1
    assert len(document.contents) > 2
    assert document.summary.endswith(".")


def test_the_container_image_has_the_documents() -> None:
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for folder in (*copied, "docs"):
        assert folder in copied
        assert f"!{folder}" in ignored
