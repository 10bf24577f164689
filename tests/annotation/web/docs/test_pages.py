"""The pages of the documents: for strangers and researchers, with a sentence for a wrong address."""

import pytest
from django.test import Client
from django.urls import reverse

from annotation.web.docs.pages import DOCUMENTS, Document
from tests.factories import make_researcher

pytestmark = pytest.mark.django_db


def shown(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, address
    assert "'unsafe-inline'" not in answer["Content-Security-Policy"]
    return answer.content.decode()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_stranger_reads_every_document(document: Document, client: Client) -> None:
    page = shown(client, document.address)
    assert 'aria-current="page"' in page
    for section in document.contents:
        assert f'href="#{section.anchor}"' in page
        assert f'id="{section.anchor}"' in page
    assert "style=" not in page


def test_the_docs_are_linked_from_the_first_pages(client: Client) -> None:
    assert f'href="{reverse("docs")}"' in shown(client, "/")
    assert reverse("document", args=["study-guide"]) in shown(client, "/")
    client.force_login(make_researcher())
    assert reverse("document", args=["study-guide"]) in shown(client, "/studies/"), "where there is no study yet"


def test_an_unknown_document_gets_the_list(client: Client) -> None:
    page = shown(client, "/docs/<b>nothing</b>/".replace("/b", "b"), 404)
    assert "There is no document called “&lt;b&gt;nothing&lt;b&gt;”." in page
    assert DOCUMENTS[-1].address in page


def test_the_name_of_a_file_leads_to_its_page(client: Client) -> None:
    assert client.get("/docs/report.md", follow=True).redirect_chain[-1][0] == "/docs/report/"


def test_a_search_shows_what_it_found_or_what_to_do(client: Client) -> None:
    page = shown(client, "/docs/?q=resample")
    assert "with “resample”" in page
    assert "/docs/report/#" in page
    assert "Nothing found" in shown(client, "/docs/?q=<zyzzyva>")
    assert "&lt;zyzzyva&gt;" in shown(client, "/docs/?q=<zyzzyva>")
    assert "Bring images" in shown(client, "/docs/?q=%20")
