"""The page of a study's uploads and what its script sends, by session and not by token."""

import hashlib
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotation import tasks
from annotation.models import Study, Upload
from tests.factories import make_researcher, make_study

pytestmark = pytest.mark.django_db
VOTES = b"annotator,prompt,choice\nAda,prompt 1,Alpha\n"


@pytest.fixture
def browser() -> Client:
    """A researcher's browser, which needs a CSRF token as a real one does."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_researcher())
    return client


def post(browser: Client, address: str, body: Any = b"", **headers: str) -> Any:
    page = browser.get("/studies/study/uploads/").content.decode()
    token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    content, kind = (
        (body, "application/octet-stream") if isinstance(body, bytes) else (json.dumps(body), "application/json")
    )
    return browser.post(f"/studies/study/uploads/{address}", content, kind, headers={"X-CSRFToken": token} | headers)


def test_a_file_goes_from_the_page_to_its_import(browser: Client) -> None:
    make_study(source="external", comparisons=1, has_scores=False)
    body = {"kind": "votes", "files": [{"path": "votes.csv", "bytes": len(VOTES)}]}
    begun = post(browser, "begin", body)
    assert (begun.status_code, begun.json()["missing"]) == (201, {"file": 0, "piece": 0})
    address = begun.json()["id"]
    wrong = post(browser, f"{address}/pieces/0/0", VOTES, **{"X-Piece-SHA256": "0" * 64})
    assert (wrong.status_code, "its SHA-256" in wrong.json()["detail"]) == (409, True)
    assert "Incomplete" in browser.get("/studies/study/uploads/states").content.decode()
    digest = hashlib.sha256(VOTES).hexdigest()
    assert post(browser, f"{address}/pieces/0/0", VOTES, **{"X-Piece-SHA256": digest}).status_code == 204
    assert post(browser, f"{address}/import").json()["state"] == "queued"
    assert "Waiting for a worker" in browser.get("/studies/study/uploads/states").content.decode()
    tasks.import_upload()
    assert "1 vote of 1 new annotator imported" in browser.get("/studies/study/uploads/").content.decode()
    assert post(browser, f"{address}/delete").status_code == 204
    assert not Upload.objects.exists()


def test_what_the_page_cannot_send_is_refused_by_name(browser: Client) -> None:
    make_study(state="draft")
    refused = post(browser, "begin", {"kind": "images", "files": [{"path": "../a.zip", "bytes": 3}]})
    assert (refused.status_code, "must not leave" in refused.json()["detail"]) == (409, True)
    wrongs: tuple[Any, ...] = ({"kind": "cats", "files": []}, {}, [], b"\xff{")
    for wrong in wrongs:
        assert post(browser, "begin", wrong).status_code == 422
    assert post(browser, "99/import").status_code == 404
    assert browser.post("/studies/study/uploads/begin", "{}", "application/json").status_code == 403, "no token"


def test_the_page_offers_images_until_the_study_is_ready(browser: Client) -> None:
    make_study(state="draft")
    page = browser.get("/studies/study/uploads/").content.decode()
    assert 'value="images"' in page
    assert "Nothing has been uploaded yet" in page
    Study.objects.update(state="open")
    assert 'value="images"' not in browser.get("/studies/study/uploads/").content.decode()


def test_the_page_costs_few_queries(browser: Client) -> None:
    study = make_study(state="draft")
    owner = study.shares.get().account
    for number in range(30):
        files = [{"path": f"{number}.zip", "bytes": 9}]
        common = {"study": study, "account": owner, "kind": "images", "byte_count": 9, "folder": f"{number}"}
        Upload.objects.create(files=files, files_sha256=f"{number}", **common)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert browser.get("/studies/study/uploads/").status_code == 200
    assert len(queries) < 12
