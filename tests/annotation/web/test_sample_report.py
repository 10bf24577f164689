"""The sample report: simulated and labelled as such, for strangers, with nothing of this installation in it."""

import pytest
from django.conf import settings
from django.test import Client

from annotation.web.sample_report import FILE

pytestmark = pytest.mark.django_db


def test_a_stranger_sees_that_it_is_simulated(client: Client) -> None:
    answer = client.get("/sample-report/")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "This is a sample, made by the demonstration" in page
    assert "votes were made by a program, not by a person" in page
    assert "The models of this study are miniatures" in page
    assert "How the study was run" in page
    assert "/studies/" not in page, "nothing leads further in"
    assert "'unsafe-inline'" not in answer["Content-Security-Policy"]


def test_its_figures_are_drawn_for_light_and_dark_pages(client: Client) -> None:
    light, dark = (client.get(f"/sample-report/agreement.svg{query}") for query in ("", "?theme=dark"))
    assert light["Content-Type"] == "image/svg+xml"
    assert light.content.count(b"<svg") == 1
    assert light.content != dark.content
    assert client.get("/sample-report/nothing.svg").status_code == 404


def test_the_file_is_small() -> None:
    assert (settings.BASE_DIR / FILE).stat().st_size < 1_000_000
