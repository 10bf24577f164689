"""Input that no database can hold, and the API's responses to invalid input: never a server error."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import URLResolver, get_resolver, reverse
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from pytest_django.fixtures import Settings

from annotation.models import Annotator
from annotation.voting.annotators import invite
from tests.factories import make_study

NUL, HUGE, NEGATIVE = "%00", "99999999999999999999", "-99999999999999999999"
HALF_A_PAIR = "%ED%A0%80"
HOSTILE = (NUL, f"a{NUL}b", HUGE, NEGATIVE, HALF_A_PAIR, "%FF", "9" * 400, "%F0%9F%A6%86", "%0A", "..%2F..")
pytestmark = pytest.mark.both_databases


def addresses(patterns: list[Any], before: str = "/") -> Iterator[str]:
    """Return each route, with <kind:name> for its variable parts."""
    for pattern in patterns:
        here = before + str(pattern.pattern).lstrip("^").replace("\\Z", "")
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, here)
        elif "(?P" not in here:
            yield here


def filled(route: str, value: str) -> str:
    """Return the route with the value in place of all variable parts."""
    parts = route.split("<")
    return parts[0] + "".join(value + part.partition(">")[2] for part in parts[1:])


ROUTES = sorted(set(addresses(get_resolver().url_patterns)))
VARYING = [route for route in ROUTES if "<" in route]


@pytest.fixture
def researcher(db: None) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("researcher"))
    return client


def test_the_addresses_are_all_there() -> None:
    assert len(VARYING) > 60
    assert {"/a/<str:token>/", "/join/<str:open_link_token>/", "/api/v1/annotators/<token>/votes"} <= set(VARYING)


def test_no_address_holds_nul(researcher: Client) -> None:
    assert {route: researcher.get(filled(route, NUL)).status_code for route in VARYING} == dict.fromkeys(VARYING, 404)


def test_a_number_that_no_row_has_is_not_found(researcher: Client) -> None:
    numbered = [route.replace("<slug:slug>", "study") for route in VARYING if "<int:" in route]
    statuses = {route: researcher.get(filled(route, HUGE)).status_code for route in numbered}
    statuses |= {
        one: researcher.get(f"/admin/{one}/{HUGE}/change/").status_code for one in ("annotation/study", "auth/user")
    }
    own = [f"/admin/annotation/{one}/{value}/delete/" for one in ("study", "import") for value in (HUGE, "x")]
    statuses |= {address: researcher.get(address).status_code for address in own}
    assert {key: status for key, status in statuses.items() if status >= 500} == {}


@pytest.mark.slow
@pytest.mark.parametrize("value", HOSTILE)
def test_no_address_is_our_fault(researcher: Client, value: str) -> None:
    statuses = {}
    for route in VARYING:
        for method in ("get", "post"):
            address = filled(route, value)
            statuses[method, address] = getattr(researcher, method)(address).status_code
    assert {key: status for key, status in statuses.items() if status >= 500} == {}


@pytest.mark.slow
@pytest.mark.parametrize("value", HOSTILE)
def test_no_query_is_our_fault(researcher: Client, value: str) -> None:
    study = make_study(comparisons=1)
    names = ("q", "p", "o", "state__exact", "id__exact", "study__id__exact", "page", "metric", "order", "next", "after")
    pages = [f"/admin/{one._meta.app_label}/{one._meta.model_name}/" for one in admin.site._registry]
    pages += ["/studies/", "/resume/", "/accounts/login/", "/plan/"]
    pages += [f"/studies/{study.slug}/{end}" for end in ("", "report/", "explore/", "reported/", "report/download/csv")]
    pages += [f"/join/{study.open_link_token}/"]
    statuses = {}
    for page in pages:
        for name in names:
            statuses[page, name] = researcher.get(f"{page}?{name}={value}").status_code
    assert {key: status for key, status in statuses.items() if status >= 500} == {}
    if NUL in value:
        assert set(statuses.values()) == {400}


@pytest.mark.parametrize("cookie", ['sessionid="a\\000b"', 'annotator="\\000"', "csrftoken=\x00"])
def test_no_cookie_is_our_fault(db: None, cookie: str) -> None:
    answer = Client(raise_request_exception=False).get("/studies/", headers={"cookie": cookie})
    assert answer.status_code < 500


@pytest.mark.parametrize("value", ["\0", "a\0b", "\ud800", HUGE, NEGATIVE])
def test_no_form_is_our_fault(researcher: Client, value: str) -> None:
    value = value.encode("utf-8", "surrogatepass").decode("latin-1") if value == "\ud800" else value
    study = make_study(comparisons=1)
    annotator = invite(study=study, label="one")
    fields = (
        "code",
        "login",
        "password",
        "username",
        "vote",
        "count",
        "names",
        "choice",
        "text",
        "confirmed",
        "comment",
    )
    forms = dict.fromkeys((*fields, "action", "_selected_action", "name", "token", "kind", "file", "label"), value)
    pages = ["/resume/", "/accounts/login/", f"/join/{study.open_link_token}/", "/plan/"]
    pages += [f"/studies/{study.slug}/{end}" for end in ("invitations/", "returned/", "do/open/", "report/again")]
    pages += [
        f"/a/{annotator.token}/{end}/" for end in ("undo", "stop", "questions", "comment", "check", "break", "welcome")
    ]
    pages += [
        "/admin/annotation/study/",
        "/admin/annotation/study/add/",
        "/admin/annotation/annotator/",
        "/admin/auth/user/add/",
    ]
    statuses = {page: researcher.post(page, forms).status_code for page in pages}
    assert {key: status for key, status in statuses.items() if status >= 500} == {}


@pytest.mark.parametrize("value", ["abc", "a\0b", HUGE, NEGATIVE, "9" * 10_000])
def test_no_row_chosen_in_the_admin_is_our_fault(researcher: Client, value: str) -> None:
    statuses = {}
    request = RequestFactory().get("/")
    request.user = User.objects.get(is_superuser=True)
    for model, listed in admin.site._registry.items():
        page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for action in listed.get_actions(request):
            statuses[model, action] = researcher.post(page, {"action": action, "_selected_action": value}).status_code
    assert len(statuses) > 2
    assert {key: status for key, status in statuses.items() if status >= 500} == {}


@pytest.fixture
def someone(db: None) -> Annotator:
    return invite(study=make_study(comparisons=1), label="one")


WRONG = {
    "NUL": '{"assignment": "\\u0000", "vote_id": "\\u0000"}',
    "half a pair": '{"assignment": "\\ud800", "choice": "\\udfff", "\\ud800": 1}',
    "a huge number": '{"response_ms": 99999999999999999999, "n": 1e400, "assignment": "a"}',
    "no JSON": "{",
    "not UTF-8": b"\xff\xfe",
    "no object": "[1]",
    "deep": "[" * 100_000,
    "NaN": '{"response_ms": NaN, "n": Infinity}',
    "many digits": '{"response_ms": ' + "9" * 10_000 + "}",
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_a_wrong_body_gets_a_sentence_in_json(someone: Annotator, body: str) -> None:
    client = Client(raise_request_exception=False)
    for verb in ("votes", "release", "reports", "undo"):
        answer = client.post(f"/api/v1/annotators/{someone.token}/{verb}", body, content_type="application/json")
        assert (answer.status_code in (400, 422), list(answer.json())) == (True, ["message"])


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("get", "/api/v1/nothing", 404),
        ("get", "/api/", 404),
        ("post", "/api/v1", 404),
        ("get", "/api/v1", 404),
        ("post", "/api/v1/annotators/%00/next", 404),
        ("post", "/api/v1/annotators/nobody/next", 404),
        ("post", "/api/v1/annotators/nobody/next?a=%00", 400),
        ("get", "/api/v1/annotators/nobody/next", 405),
        ("delete", "/api/v1/annotators/nobody/votes", 405),
    ],
)
def test_every_error_of_the_api_is_json(db: None, method: str, address: str, status: int) -> None:
    answer = getattr(Client(raise_request_exception=False, enforce_csrf_checks=True), method)(address)
    kind = "application/json" if address.startswith("/api/v1/annotators/") else "application/problem+json"
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (status, kind)
    assert answer.json()["message"]
    assert ("Allow" in answer.headers) is (status == 405)


@pytest.mark.parametrize(
    ("address", "status"), [("/nothing/", 404), ("/studies/?q=%00", 400), ("/resume/", 400), ("/api/v1/x?q=%00", 400)]
)
def test_a_form_that_cannot_be_read_is_no_fault_of_ours(db: None, address: str, status: int) -> None:
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    client.get("/resume/")
    assert client.cookies["csrftoken"], "only with it does Django look into the body"
    answer = client.generic("POST", address, b"{", content_type="multipart/form-data")  # without a boundary
    assert answer.status_code == status


def test_a_body_that_is_too_large_is_refused_in_json(someone: Annotator, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    client, body = Client(raise_request_exception=False), json.dumps({"assignment": "a" * 200})
    answer = client.post(f"/api/v1/annotators/{someone.token}/votes", body, content_type="application/json")
    assert (answer.status_code, list(answer.json())) == (413, ["message"])


def test_a_strange_host_is_refused_in_json(db: None) -> None:
    answer = Client(raise_request_exception=False).post("/api/v1/annotators/nobody/next", headers={"host": "elsewhere"})
    assert (answer.status_code, list(answer.json())) == (400, ["message"])


class TestAnyAddress(TestCase):
    """Any text in the URLs and bodies that are open to strangers."""

    @given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=12))
    @hypothesis_settings(max_examples=25)
    def test_strangers(self, text: str) -> None:
        from urllib.parse import quote

        part = quote(text.encode("utf-8", "surrogatepass"), safe="")
        client = Client(raise_request_exception=False)
        for address in (
            f"/a/{part}/",
            f"/join/{part}/",
            f"/i/{part}.grid",
            f"/studies/{part}/",
            f"/resume/?next={part}",
        ):
            assert client.get(address).status_code < 500
        body = json.dumps({"assignment": text, "vote_id": text, "choice": text})
        answer = client.post(f"/api/v1/annotators/{part}/votes", body, content_type="application/json")
        assert answer.status_code in (301, 404, 422)
