"""Rate limits: the address that counts behind proxies, and that no count is lost."""

import threading
import uuid
from ipaddress import ip_network
from typing import Any

import pytest
from allauth.account.adapter import get_adapter
from allauth.core.internal.ratelimit import get_ip
from django.conf import settings as configured
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from annotation import checks
from annotation.models import Annotator, CacheEntry
from annotation.studies.sharing import Role
from annotation.studies.tokens import Scope, create_token
from annotation.web.access import rate_limit
from annotation.web.access.who_may import MOST_A_MINUTE
from config.environment import Environment
from tests.factories import make_study, member

PEER = "10.0.0.5"
NETWORKS = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
LONG = ", ".join(["6.6.6.6"] * 900)


def counted(settings: Settings, trusted: Any, forwarded: str | None, peer: str = PEER) -> str:
    settings.TRUSTED_PROXIES = trusted
    request = RequestFactory().get("/", REMOTE_ADDR=peer)
    request.META |= {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    found = rate_limit.visitor_address(request)
    assert get_adapter().get_client_ip(request) == get_ip(request) == found, "logins are counted by the same"
    return found


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        ([], None, PEER),
        ([], "1.2.3.4", PEER),  # no proxy is named, so the header is not trusted
        (1, "1.2.3.4", "1.2.3.4"),
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (1, f"{LONG},1.2.3.4", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 10.0.0.6", "1.2.3.4"),
        (2, "1.2.3.4", PEER),  # too short
        (1, None, PEER),
        (1, "", PEER),
        (1, "1.2.3.4,", PEER),
        (1, "unknown", PEER),
        (1, "1.2.3.4\r\n", "1.2.3.4"),
        (1, "9" * 5000, PEER),
        (1, "1.2.3.4.5", PEER),
        (1, "\x00\xff, \u0661.2.3.4", PEER),
        (1, "1.2.3.4:5678", "1.2.3.4"),
        (1, "[::1]:80", "::"),
        (1, "[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::"),
        (1, "[]:80", PEER),
        (1, "2001:db8:1:2:ffff::9", "2001:db8:1:2::"),
        (1, "fe80::1%eth0", "fe80::"),
        (1, "fe80::1%" + "x" * 4000, PEER),
        (1, "::ffff:1.2.3.4", "1.2.3.4"),
        (1, "[::ffff:1.2.3.4]:443", "1.2.3.4"),
        (NETWORKS, "6.6.6.6, 1.2.3.4, 10.1.1.1", "1.2.3.4"),
        (NETWORKS, "6.6.6.6, 1.2.3.4, ::ffff:10.1.1.1", "1.2.3.4"),
        (NETWORKS, "10.7.7.7, 10.1.1.1", PEER),  # nothing but proxies
        (NETWORKS, "1.2.3.4, garbage, 10.1.1.1", PEER),
        (NETWORKS, None, PEER),
    ],
)
def test_the_address_that_counts(settings: Settings, trusted: Any, forwarded: str | None, address: str) -> None:
    assert counted(settings, trusted, forwarded) == address


def test_a_connection_from_an_unknown_proxy_counts_itself(settings: Settings) -> None:
    assert counted(settings, NETWORKS, "1.2.3.4", peer="7.7.7.7") == "7.7.7.7"
    assert counted(settings, [], None, peer="::ffff:7.7.7.7") == "7.7.7.7"


def test_behind_a_socket_without_an_address(settings: Settings) -> None:
    assert counted(settings, 1, "1.2.3.4", peer="") == "1.2.3.4"
    assert counted(settings, 1, None, peer="") == rate_limit.UNKNOWN


@pytest.mark.parametrize(("value", "trusted"), [("", []), ("0", 0), ("2", 2), ("10.0.0.0/8,fd00::/8", NETWORKS)])
def test_the_setting_of_the_proxies_is_read(monkeypatch: pytest.MonkeyPatch, value: str, trusted: Any) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", value)
    assert Environment().proxies("TRUSTED_PROXIES") == trusted


@pytest.mark.parametrize("value", ["caddy", "-1", "1,2", "10.0.0.1/8"])
def test_what_is_neither_a_number_nor_networks_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", value)
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES must be how many proxies stand in front"):
        Environment().proxies("TRUSTED_PROXIES")


def test_counters_of_one_process_give_a_warning(settings: Settings) -> None:
    assert checks.counters_are_shared() == []
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert [one.id for one in checks.counters_are_shared()] == ["semblance.W002"]


@pytest.mark.django_db
def test_the_database_holds_the_counters_without_a_further_step() -> None:
    assert configured.CACHES["default"]["LOCATION"] == CacheEntry._meta.db_table
    cache.set("a", 1, timeout=100)
    before = CacheEntry.objects.get()
    assert (cache.incr("a", 2), cache.get("a")) == (3, 3)
    assert CacheEntry.objects.get().expires == before.expires, "a window ends when it was to end"
    CacheEntry.objects.update(expires=before.expires.replace(year=2020))
    with pytest.raises(ValueError, match="no such key"):
        cache.incr("a")
    assert cache.add("a", 1, timeout=100)
    cache.delete("a")
    assert cache.get("a") is None


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_no_count_is_lost_when_many_try_at_once() -> None:
    request = RequestFactory().get("/")
    allowed: list[bool] = []

    def try_often() -> None:
        allowed.extend(rate_limit.is_allowed(request, action="test", most=17, seconds=600) for _ in range(5))
        connections.close_all()

    threads = [threading.Thread(target=try_often) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(allowed), sum(allowed)) == (30, 17)


@pytest.mark.parametrize("error", [OperationalError("disk full"), ConnectionRefusedError()])
def test_everything_is_allowed_if_the_counters_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any) -> int:
        raise error

    monkeypatch.setattr(cache, "incr", fail)
    assert rate_limit.is_allowed(RequestFactory().get("/"), action="test", most=0, seconds=600)


@pytest.mark.django_db
def test_an_open_link_limits_joins_from_one_address(settings: Settings) -> None:
    assert settings.OPEN_LINK_JOINS_PER_MINUTE == 300, "a lecture hall behind one address"
    settings.OPEN_LINK_JOINS_PER_MINUTE = 3
    link = f"/join/{make_study(texts={'language': 'de'}).open_link_token}/"

    def join(peer: str) -> Any:
        return Client(REMOTE_ADDR=peer).post(link, {"form": uuid.uuid4().hex[:22]})

    assert [join("1.2.3.4").status_code for _ in range(4)] == [302, 302, 302, 429]
    refused = join("1.2.3.4")
    assert refused["Retry-After"] == "60"
    assert "Bitte warten Sie eine Minute" in refused.content.decode()
    assert f'href="{link}"' in refused.content.decode()
    assert Client(REMOTE_ADDR="1.2.3.4").get(link).status_code == 200, "looking is not counted"
    assert join("1.2.3.5").status_code == 302
    assert Annotator.objects.count() == 4


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["login", "reset_password"])
def test_accounts_are_limited_by_the_same_address(settings: Settings, action: str) -> None:
    settings.TRUSTED_PROXIES, settings.ACCOUNT_RATE_LIMITS = 1, {action: "2/m/ip"}
    address = {"login": "/accounts/login/", "reset_password": "/accounts/password/reset/"}[action]

    def send(forwarded: str) -> int:
        form = {"login": "nobody", "password": "wrong", "email": "nobody@semblance.test"}
        return Client(REMOTE_ADDR=PEER, HTTP_X_FORWARDED_FOR=forwarded).post(address, form).status_code

    assert [send("1.2.3.4") for _ in range(3)][-1] == 429
    assert send("6.6.6.6, 1.2.3.4:99") == 429
    assert {send("1.2.3.5"), send(""), send("garbage")} <= {200, 302}


def test_an_account_may_export_and_invite_so_often_a_minute(client: Client, db: None) -> None:
    study = make_study()
    owner, other = member(study, Role.OWNER), member(study, Role.EDITOR)
    client.force_login(owner)
    address = f"{study.get_absolute_url()}payment.csv?rate=12"
    found = [client.get(address) for _ in range(MOST_A_MINUTE + 1)]
    assert [answer.status_code for answer in found] == [200] * MOST_A_MINUTE + [429]
    assert "wait a minute" in found[-1].content.decode()
    _row, token = create_token(account=owner, name="t", scopes=Scope.values, days=1)
    head = {"Authorization": f"Bearer {token}"}
    sent: dict[str, Any] = {"data": {"count": 1}, "content_type": "application/json", "headers": head}
    invited = [client.post("/api/v1/studies/study/invitations", **sent).status_code for _ in range(MOST_A_MINUTE + 1)]
    assert invited == [201] * MOST_A_MINUTE + [429]
    client.force_login(other)
    assert client.get(address).status_code == 200, "each account has its own count"
