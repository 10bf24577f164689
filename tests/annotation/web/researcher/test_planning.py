"""The page that plans a study."""

import re
from typing import Any

import pytest
from django.test import Client

from tests.factories import make_study

pytestmark = pytest.mark.django_db

PAGE, CURVES = "/studies/plan/", "/studies/plan/curves.svg"
ASKED: dict[str, Any] = {
    "prompts": 40,
    "images": 20,
    "overlap": 3,
    "comparisons_per_annotator": 40,
    "annotators": "",
    "allocation": "even",
    "endpoint": "strict",
    "level": 0.95,
    "cluster_size": 1,
    "cluster_correlation": 0.5,
    "agreement": 0.94,
    "baseline": 0.85,
    "person": 0.9,
    "flips": 0.02,
    "power": 0.8,
    "width": 0.1,
    "significance_level": 0.05,
    "simulations": 20,
    "seed": 1,
}


def test_it_is_for_staff(outsider: Client) -> None:
    for address in (PAGE, CURVES):
        assert Client().get(address).status_code == 302
        assert outsider.get(address).status_code == 404


def test_at_first_there_is_the_form_with_the_defaults(researcher: Client) -> None:
    page = researcher.get(PAGE).content.decode()
    assert 'name="agreement"' in page
    assert 'value="0.94"' in page
    assert "Answer" not in page
    questions, others = page.split("<summary>Assumptions")
    fields = re.compile(r'<(?:input|select)[^>]* name="(\w+)"')
    assert fields.findall(questions) == ["agreement", "baseline", "person", "overlap"]
    assert len(fields.findall(others)) == 22


def test_the_answer_has_the_exact_numbers_tables_and_a_drawing_of_its_own(researcher: Client) -> None:
    response = researcher.get(PAGE, ASKED)
    page = response.content.decode()
    assert "76 comparisons are the first number" in page
    assert "from 85 on" in page
    assert page.count("<table") == 4
    assert "40 (planned)" in page
    for forbidden in ("<style", " style=", "<script", "<svg"):
        assert forbidden not in page
    assert "About 3 hours of voting in all, at 15 s a vote, assumed." in page
    first = researcher.get(CURVES, ASKED | {"curve": "first"}).content.decode()
    assert "Prompts" in first
    assert "Annotators" not in first
    drawing = researcher.get(CURVES, ASKED)
    assert "Annotators" in drawing.content.decode()
    assert drawing["Content-Type"] == "image/svg+xml"
    assert "default-src 'none'" in drawing["Content-Security-Policy"]
    assert b"<svg" in drawing.content


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"flips": 0.3}, "cannot agree on 0.94"),
        ({"prompts": 1_000_000}, "The number of prompts must be between"),
        ({"prompts": "many"}, "Enter a whole number."),
        ({"endpoint": "maybe"}, "Select a valid choice"),
        ({"width": "nan"}, "Enter a number."),
        ({"prompts": 2000, "simulations": 101}, "ask for at most 100 simulations, or run the command plan_study."),
        ({"early_stopping": "on", "prompts": 2000}, "This takes too long for a page: run the command plan_study."),
        ({"comparisons_per_annotator": 0}, "comparisons for each annotator must be"),
    ],
)
def test_what_has_no_answer_says_why_beside_the_form(researcher: Client, change: dict[str, Any], sentence: str) -> None:
    response = researcher.get(PAGE, ASKED | change)
    assert response.status_code == 400
    assert sentence in response.content.decode()
    assert researcher.get(CURVES, ASKED | change).status_code == 404


def test_a_fault_in_a_folded_field_opens_the_fold_and_has_the_focus(researcher: Client) -> None:
    """The browser checks nothing by itself: it could not focus a field of a closed fold, and would say nothing."""
    page = researcher.get(PAGE, ASKED | {"level": "", "power": ""}).content.decode()
    assert re.search(r'<form method="get"[^>]* novalidate>', page)
    assert "<details open>\n  <summary>Assumptions" in page
    assert re.findall(r'name="(\w+)"[^>]* autofocus', page) == ["level"]
    assert "autofocus" not in researcher.get(PAGE).content.decode()


def test_a_study_s_page_leads_to_the_form_with_its_design(researcher: Client) -> None:
    study = make_study(comparisons=4, annotation={"overlap": 3, "early_stopping": True, "allocation": "split"})
    address = f"{PAGE}?study={study.slug}"
    assert f'href="{address}"' in researcher.get(f"/studies/{study.slug}/").content.decode()
    page = researcher.get(address).content.decode()
    assert 'name="prompts" value="4"' in page
    assert '<option value="split" selected>' in page
    assert re.search(r'<input type="checkbox" name="early_stopping"[^>]* checked', page)
    assert "Answer" not in page
    assert researcher.get(PAGE, {"study": "nowhere"}).status_code == 404


def test_early_stopping_is_asked_for_with_a_tick(researcher: Client) -> None:
    page = researcher.get(PAGE, ASKED | {"early_stopping": "on"}).content.decode()
    assert "or fewer once its winner is certain" in page


def test_the_list_of_studies_leads_there(researcher: Client) -> None:
    assert f'href="{PAGE}"' in researcher.get("/studies/").content.decode()


def test_an_address_of_an_earlier_version_still_has_its_answer(researcher: Client) -> None:
    earlier = {name: value for name, value in ASKED.items() if not name.startswith("cluster_")}
    page = researcher.get(PAGE, earlier)
    assert page.status_code == 200
    assert researcher.get(CURVES, earlier).content == researcher.get(CURVES, ASKED).content
    emptied = researcher.get(PAGE, ASKED | {"agreement": ""})
    assert emptied.status_code == 400
    assert "This field is required" in emptied.content.decode()
