"""Login by OpenID Connect: what is refused of an ID token, which account it opens, and that it is off by default."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Barrier, BrokenBarrierError
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client, override_settings

from annotation.models import AuditEntry
from annotation.studies.installation.accounts import is_same_email, with_email
from annotation.web.access.single_sign_on.claims import TokenRefused, is_verified_email, verified_claims
from config.environment import Environment
from config.single_sign_on import APPS, SingleSignOn, single_sign_on
from tests.annotation.web.access.fake_issuer import (
    CLIENT,
    SECRET,
    FakeIssuer,
    fake_issuer,
    key_set,
    switched_on,
    token,
    variables,
)

BEGIN, BACK = "/accounts/single-sign-on/", "/accounts/single-sign-on/callback/"
TABS = 4
ADA = {"email": "ada@lab.example", "email_verified": True}


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    with fake_issuer() as running:
        yield running


# --- ID tokens, without a server --------------------------------------------------------------------
REFUSED: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "another issuer": {"iss": "https://evil.example"},
    "another client": {"aud": "another"},
    "another party among several": {"aud": [CLIENT, "another"], "azp": "another"},
    "several clients and no party": {"aud": [CLIENT, "another"]},
    "expired": {"exp": 1_000_000_000},
    "without an end": {"exp": None},
    "of the future": {"iat": 4_000_000_000},
    "of nobody": {"sub": ""},
    "without a name": {"sub": None},
}


def checked(issuer: FakeIssuer, id_token: str, nonce: str = "n1") -> dict[str, Any]:
    keys = key_set(issuer.key)
    return verified_claims(id_token, keys=keys, issuer=issuer.address, client_id=CLIENT, nonce=nonce)


@pytest.mark.parametrize("claims", REFUSED.values(), ids=REFUSED.keys())
def test_a_token_that_proves_nothing_is_refused(issuer: FakeIssuer, claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        checked(issuer, issuer.token({"nonce": "n1"} | claims))


def test_a_token_counts_by_the_signature_of_the_issuers_key_only(issuer: FakeIssuer) -> None:
    good = issuer.token({"nonce": "n1"})
    assert checked(issuer, good)["sub"] == "person-1"
    claims, ours = {"nonce": "n1"}, partial(token, issuer=issuer.address)
    stranger = FakeIssuer(issuer.address).key
    head, body, signature = good.split(".")
    forged = [
        ours(claims, key=stranger),
        ours(claims, key=issuer.key, headers={"kid": "k2"}),
        ours(claims, key=SECRET, algorithm="HS256"),
        ours(claims, key="", algorithm="none"),
        f"{head}.{body}.",
        f"{head}.{body[:-2]}xx.{signature}",
        *("", "a.b.c", "not a token"),
    ]
    for one in forged:
        with pytest.raises(TokenRefused):
            checked(issuer, one)
    with pytest.raises(TokenRefused):
        checked(issuer, issuer.token({"nonce": ""}), nonce="")
    with pytest.raises(TokenRefused):
        verified_claims(good, keys={"keys": "none"}, issuer=issuer.address, client_id=CLIENT, nonce="n1")


def test_letters_that_a_database_takes_for_others_make_another_email() -> None:
    assert is_same_email("Ada@Lab.example", "ada@lab.example")
    assert is_same_email("ada@läb.example", "ada@läb.example")
    for other in ("ada@l\u0131b.example", "\u212aim@lib.example", "\u017fam@lib.example"):
        assert not is_same_email(other, other.upper().lower())


def test_an_email_counts_only_if_the_issuer_says_that_it_is_verified() -> None:
    said = (True, "true", False, "false", None, 1, "yes")
    assert [is_verified_email({"email": "a@b.c", "email_verified": one}) for one in said] == [
        *(True, True, False, False, False),
        *(True, False),  # 1 == True in JSON of some issuers
    ]
    assert not is_verified_email({"email_verified": True})


# --- the whole login --------------------------------------------------------------------------------
@pytest.fixture
def on(issuer: FakeIssuer, transactional_db: None) -> Iterator[FakeIssuer]:
    with switched_on(issuer):
        yield issuer


def person(name: str = "ada", email: str = "ada@lab.example", **more: Any) -> User:
    return User.objects.create_user(name, email=email, **{"is_staff": True, **more})


def begun(client: Client, query: str = "") -> dict[str, str]:
    """Begin a login, and return the parameters with which the browser goes to the issuer."""
    sent = client.get(BEGIN + query)
    assert sent.status_code == 302, sent.content.decode()
    return {name: values[0] for name, values in parse_qs(urlsplit(sent["Location"]).query).items()}


def login(issuer: FakeIssuer, client: Client, claims: dict[str, Any], query: str = "") -> Any:
    """Log in as the person of these claims, and return the answer to the way back."""
    sent = begun(client, query)
    issuer.claims = {"nonce": sent["nonce"]} | claims
    return client.get(BACK, {"code": "c", "state": sent["state"]})


def who(client: Client) -> str:
    """Return the name of the account that the client is logged in to; empty if none."""
    number = client.session.get("_auth_user_id")
    return str(User.objects.get(pk=number)) if number else ""


def test_a_person_logs_in_by_a_verified_email_and_afterwards_by_the_issuers_name_of_them(on: FakeIssuer) -> None:
    from allauth.socialaccount.models import SocialAccount, SocialToken

    ada, client = person(), Client()
    page = client.get("/accounts/login/?next=/studies/plan/").content.decode()
    assert 'href="/accounts/single-sign-on/?next=/studies/plan/">Log in with Lab<' in page
    sent = begun(client)
    assert (sent["client_id"], sent["response_type"], sent["code_challenge_method"]) == (CLIENT, "code", "S256")
    assert set(sent["scope"].split()) == {"openid", "email"}
    assert sent["redirect_uri"] == f"http://testserver{BACK}"
    answer = login(on, client, ADA, "?next=/studies/plan/")
    assert (answer.status_code, answer["Location"], who(client)) == (302, "/studies/plan/", "ada")
    (path, asked) = on.asked[-1]
    assert (path, asked["code_verifier"] != "", asked["client_secret"]) == ("/token", True, SECRET)
    assert client.get("/studies/").status_code == 200
    assert client.get("/accounts/2fa/").status_code == 200
    assert AuditEntry.objects.get(verb="logged in").detail == {"by": ["single sign-on"]}
    bound = SocialAccount.objects.get()
    assert (bound.user, bound.uid, bound.extra_data, SocialToken.objects.count()) == (ada, "person-1", {}, 0)
    person("grace", "grace@lab.example")
    again = Client()
    login(on, again, {"email": "grace@lab.example", "email_verified": True})
    assert who(again) == "ada", "a changed e-mail at the issuer opens no other account"
    for target in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"):
        assert login(on, Client(), ADA, f"?next={target}")["Location"] == "/studies/", target
    begged = begun(Client(), "?auth_params=nonce%3Dmine&scope=admin&process=connect")
    assert begged["nonce"] != "mine"
    assert "admin" not in begged["scope"]


def test_who_is_refused(on: FakeIssuer) -> None:
    from allauth.socialaccount.models import SocialAccount

    person()
    person("root", "root@lab.example", is_superuser=True)
    person("gone", "gone@lab.example", is_active=False)
    person("guest", "guest@lab.example", is_staff=False)
    person("one", "two@lab.example")
    person("two", "TWO@lab.example")

    def said(claims: dict[str, Any]) -> str:
        cache.clear()  # which counts the tries
        client = Client()
        answer = login(on, client, {"sub": "new", **claims})
        assert (answer.status_code, who(client)) == (403, ""), claims
        return str(re.findall(r"<h1>You are not logged in</h1>\s*<p>([^<]+)</p>", answer.content.decode())[0])

    def verified(name: str) -> dict[str, Any]:
        return {"email": f"{name}@lab.example", "email_verified": True}

    assert "has not verified" in said(ADA | {"email_verified": False})
    assert "has not verified" in said({"email": "ada@lab.example"})
    assert "has not verified" in said({})
    assert "No account here" in said(verified("nobody"))
    assert "Admins log in with their password" in said(verified("root"))
    assert "is deactivated" in said(verified("gone"))
    assert "is deactivated" in said(verified("guest"))
    assert "Several accounts" in said(verified("two"))
    for attack in ({"nonce": "other"}, {"iss": "https://evil.example"}, {"aud": "x"}, {"exp": 1}):
        assert "cancelled" in said(ADA | attack)
    on.changes = {"/userinfo": {"sub": "somebody else", **ADA}}
    assert "cancelled" in said({})
    on.changes = {"/userinfo": {"sub": "new", **verified("nobody")}}
    assert "No account here" in said({}), "userinfo of the same person counts"
    on.changes = {"/token": {"access_token": "a"}, "/userinfo": {"sub": "new", **ADA}}
    assert "cancelled" in said({}), "without an ID token nothing counts"
    on.changes = {}
    assert not SocialAccount.objects.exists()
    with override_settings(SINGLE_SIGN_ON=replace(configured.SINGLE_SIGN_ON, domains=("other.example",))):
        assert "domain" in said(ADA)
    client = Client()
    assert login(on, client, ADA).status_code == 302
    User.objects.filter(username="ada").update(is_superuser=True)
    answer = login(on, Client(), ADA)
    assert (answer.status_code, "Admins log in" in answer.content.decode()) == (403, True), "bound before"
    assert AuditEntry.objects.filter(verb="login refused").count() == 11


def test_a_way_back_without_its_own_beginning_leads_nowhere(on: FakeIssuer) -> None:
    person()
    mine, theirs = Client(), Client()
    sent = begun(theirs)
    on.claims = ADA | {"nonce": sent["nonce"]}
    query = {"code": "c", "state": sent["state"]}
    assert mine.get(BACK, query).status_code == 403, "begun in another browser"
    assert theirs.get(BACK, query).status_code == 302
    assert who(theirs) == "ada"
    assert theirs.get(BACK, query).status_code == 403, "a second time"
    for query in ({}, {"error": "access_denied", "state": begun(mine)["state"]}, {"state": begun(mine)["state"]}):
        assert mine.get(BACK, query).status_code == 403
    assert who(mine) == ""
    assert mine.post(BEGIN).status_code == 405
    on.changes = {"/.well-known/openid-configuration": {"issuer": "https://evil.example"}}
    away = mine.get(BEGIN)
    assert (away.status_code, "Lab gives no usable answer" in away.content.decode()) == (503, True)
    documents: list[Any] = [[], {"issuer": on.address}]
    for document in documents:
        on.changes = {"/.well-known/openid-configuration": document}
        assert mine.get(BEGIN).status_code == 503
    on.changes = {}
    state = begun(mine)["state"]
    on.changes = {"/keys": None}
    assert mine.get(BACK, {"code": "c", "state": state}).status_code == 503
    statuses = [mine.get(BEGIN).status_code for _ in range(30)]
    assert statuses[-1] == 429, "each try asks the issuer, so tries are limited"


def test_accounts_are_made_at_the_first_login_if_the_settings_say_so(on: FakeIssuer) -> None:
    ours = replace(configured.SINGLE_SIGN_ON, creates_accounts=True, domains=("lab.example",))
    with override_settings(SINGLE_SIGN_ON=ours):
        client = Client()
        brien = {"sub": "s", "email": "o'brien@Lab.example", "email_verified": True}
        assert login(on, client, brien).status_code == 302
        assert login(on, Client(), {"sub": "t", **ADA, "email": "a@evil.example"}).status_code == 403
    made = User.objects.get()
    assert (made.username, made.is_staff, made.is_superuser) == ("obrien@Lab.example", True, False)
    assert not made.has_usable_password()
    assert not made.has_perm("annotation.add_study")


def test_first_logins_of_one_person_at_once_all_succeed(on: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    from allauth.socialaccount.models import SocialAccount

    from annotation.web.access.single_sign_on import admission, provider

    # One nonce for all: the issuer of the tests answers all of them with the same token.
    monkeypatch.setattr(provider, "secrets", SimpleNamespace(token_urlsafe=lambda _bytes: "the nonce"))
    on.claims = {"email": "grace@lab.example", "email_verified": True, "sub": "person-2", "nonce": "the nonce"}
    ours = replace(configured.SINGLE_SIGN_ON, creates_accounts=True, domains=("lab.example",))
    together, find = Barrier(TABS), with_email

    def found_together(email: str) -> list[User]:
        """Look the account up; no tab goes on before all have looked."""
        found = find(email)
        with suppress(BrokenBarrierError):  # the second look of a tab has no partner
            together.wait(timeout=5)
        together.abort()
        return found

    monkeypatch.setattr(admission, "with_email", found_together)

    def log_in(tab: tuple[Client, str]) -> tuple[int, str]:
        try:
            answer = tab[0].get(BACK, {"code": "c", "state": tab[1]})
            return answer.status_code, who(tab[0])
        finally:
            connection.close()

    with override_settings(SINGLE_SIGN_ON=ours):
        tabs = [(client, begun(client)["state"]) for client in (Client() for _tab in range(TABS))]
        with ThreadPoolExecutor(TABS) as pool:
            answers = list(pool.map(log_in, tabs))
    assert answers == [(302, "grace@lab.example")] * TABS
    assert User.objects.count() == SocialAccount.objects.count() == 1


@pytest.mark.parametrize("is_on", [True, False])
@pytest.mark.parametrize("by", ["its page", "the list"])
def test_an_account_with_a_binding_is_deleted_also_while_the_login_is_off(on: FakeIssuer, is_on: bool, by: str) -> None:
    from allauth.socialaccount.models import SocialAccount

    root = person("root", "root@lab.example", is_superuser=True)
    ada, grace = person(), person("grace", "grace@lab.example")
    for account in (ada, grace):
        SocialAccount.objects.create(user=account, provider="single-sign-on", uid=account.username)
    client = Client()
    client.force_login(root)
    apps = [app for app in configured.INSTALLED_APPS if is_on or app not in APPS]
    with override_settings(INSTALLED_APPS=apps):
        if by == "its page":
            answer = client.post(f"/admin/auth/user/{ada.pk}/delete/", {"post": "yes"})
        else:
            chosen = {"action": "delete_selected", "_selected_action": [ada.pk], "post": "yes"}
            answer = client.post("/admin/auth/user/", chosen)
        assert answer.status_code == 302
        connection.check_constraints()
    assert set(User.objects.values_list("username", flat=True)) == {"root", "grace"}
    assert list(SocialAccount.objects.values_list("uid", flat=True)) == ["grace"]


@pytest.mark.django_db
def test_it_is_off_without_an_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert single_sign_on(Environment()) == SingleSignOn()
    assert not {*APPS} & {*configured.INSTALLED_APPS}
    assert Client().get(BEGIN).status_code == Client().get(BACK).status_code == 404
    assert "Log in with" not in Client().get("/accounts/login/").content.decode()


WRONG = {
    "the address of an issuer": {"OIDC_ISSUER": "http://login.example"},
    "OIDC_CLIENT_ID is needed": {"OIDC_CLIENT_ID": ""},
    "OIDC_CLIENT_SECRET is needed": {"OIDC_CLIENT_SECRET": " "},
    "name your e-mail domains": {"OIDC_CREATE_ACCOUNTS": "1"},
}


@pytest.mark.parametrize(("said", "changes"), WRONG.items())
def test_settings_that_would_go_wrong_are_refused(
    monkeypatch: pytest.MonkeyPatch, said: str, changes: dict[str, str]
) -> None:
    for name, value in (variables("https://login.example") | changes).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=said):
        single_sign_on(Environment())
