"""The start page: a way on for strangers, annotators and researchers, in English and German."""

from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from tests.factories import make_researcher

pytestmark = pytest.mark.django_db


def landing(client: Client, **headers: str) -> str:
    return client.get("/", headers=headers).content.decode()


def test_a_stranger_is_led_to_the_login_the_sample_the_guide_and_the_own_place(client: Client) -> None:
    page = landing(client)
    for address in ("/accounts/login/", "/sample-report/", "/docs/study-guide/"):
        assert f'class="button{" primary" if "login" in address else ""}" href="{address}"' in page
        assert client.get(address).status_code == 200
    assert 'action="/resume/"' in page
    assert page.count("button primary") == 1


def test_a_researcher_is_led_to_the_studies(client: Client) -> None:
    client.force_login(make_researcher())
    page = landing(client)
    assert 'class="button primary" href="/studies/"' in page
    assert "/accounts/login/" not in page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pictures_are_small_files_of_ours(client: Client, scheme: str) -> None:
    name = f"landing/comparison-{scheme}.webp"
    found = finders.find(name)
    assert found is not None
    assert name in landing(client)
    assert 0 < Path(found).stat().st_size < 100_000


def test_a_german_visitor_reads_german(client: Client) -> None:
    page = landing(client, accept_language="de")
    assert "Eine Studie in drei Schritten" in page
    assert "Dokumentation" in page
    assert "A study in three steps" not in page
