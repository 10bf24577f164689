"""What an endpoint may not do: lead to the inside network, redirect, fill the memory, hold a thread for ever."""

import socket
from ipaddress import ip_network
from pathlib import Path

import pytest

from generation.endpoints import addresses
from generation.endpoints.addresses import find_place, is_allowed
from generation.endpoints.definitions import Endpoint, read_definitions
from generation.endpoints.exchanges import Bounds, Reply, exchange
from generation.endpoints.outcomes import TemporaryFailure
from generation.endpoints.replies import LONGEST_WISH, retry_after
from generation.tables.foreign_values import bounded
from jobs.refusals import Refused
from tests.generation.endpoints.fake_endpoint import Response, fake_endpoint

HERE = Bounds(5, 10_000, (ip_network("127.0.0.0/8"),))


def answer_with(response: Response, bounds: Bounds = HERE) -> bytes:
    with fake_endpoint(lambda _request: response) as server:
        return exchange("POST", server.address, bounds=bounds, owner="The endpoint x", sent={}).body


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo: 127.0.0.1
        "::7f00:1",
        "not an address",
    ],
)
def test_an_inside_address_is_refused(address: str) -> None:
    assert not is_allowed(address, ())


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_allowed(address, ())


def test_a_listed_address_is_allowed_and_its_neighbour_is_not() -> None:
    listed = (ip_network("10.1.2.3/32"),)
    assert is_allowed("10.1.2.3", listed)
    assert is_allowed("::ffff:10.1.2.3", listed)
    assert not is_allowed("10.1.2.4", listed)


@pytest.mark.parametrize("found", [["10.0.0.1"], ["93.184.215.14", "127.0.0.1"]])
def test_a_name_that_resolves_inside_is_refused(found: list[str]) -> None:
    with pytest.raises(Refused, match=r"leads to an address that is not public"):
        find_place("images.example.org", 443, allowed=(), owner="The endpoint x", resolve=lambda _host, _port: found)


def test_the_checked_address_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to another address the second time is asked only once."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    monkeypatch.setattr(addresses, "resolved", resolve)
    with fake_endpoint(lambda _request: Response(200, b"{}")) as server:
        port = server.server.server_address[1]
        exchange("GET", f"http://images.example.org:{port}/a?b=1", bounds=HERE, owner="x")
    assert asked == ["images.example.org"]
    assert server.requests[0].headers["host"] == f"images.example.org:{port}"
    assert server.requests[0].path == "/a?b=1"


def test_a_server_of_this_machine_is_refused_unless_listed() -> None:
    with (
        fake_endpoint(lambda _request: Response()) as server,
        pytest.raises(Refused, match="private_addresses in the file of endpoints does not list it"),
    ):
        exchange("GET", server.address, bounds=Bounds(5, 100), owner="The endpoint x")
    assert server.requests == []


def test_environment_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert answer_with(Response(200, b"{}")) == b"{}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with pytest.raises(Refused, match=rf"answers with a redirect \({status}\), and none is followed"):
        answer_with(Response(status, b"", {"Location": "http://169.254.169.254/"}))


def test_a_huge_body() -> None:
    with pytest.raises(Refused, match="larger than 10,000 bytes"):
        answer_with(Response(200, b"x" * 10_001))


def test_a_huge_body_without_a_length() -> None:
    chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
    chunked = Response(200, chunk * 3, {"Transfer-Encoding": "chunked"})
    with pytest.raises(Refused, match="larger than 10,000 bytes"):
        answer_with(chunked)


def test_a_packed_body() -> None:
    with pytest.raises(Refused, match="packs its answer"):
        answer_with(Response(200, b"x", {"Content-Encoding": "gzip"}))


def test_a_cut_body() -> None:
    with pytest.raises(TemporaryFailure, match="dropped the connection"):
        answer_with(Response(200, b"abc", stated=10))


def test_a_body_that_drips() -> None:
    """Each byte comes in time, all together do not."""
    with pytest.raises(TemporaryFailure, match=r"did not answer within 0\.3 s"):
        answer_with(Response(200, b"x" * 100, drip=0.05), Bounds(0.3, 1000, HERE.private_addresses))


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TemporaryFailure, match="did not answer within"):
            exchange("GET", address, bounds=Bounds(0.2, 100, HERE.private_addresses), owner="x")


def test_a_port_that_nobody_serves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TemporaryFailure, match="x: the server accepts no connection") as raised:
        exchange("GET", f"http://127.0.0.1:{port}", bounds=HERE, owner="x")
    assert raised.value.was_refused


def test_reported_json_is_bounded() -> None:
    nested: dict[str, object] = {}
    for _ in range(50):
        nested = {"a": nested}
    known = bounded({"deep": nested, "long": "x" * 10**6, "many": list(range(10**5)), "n": 10**30})
    assert len(str(known)) < 10_000


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e308, float("inf"), float("nan")])
def test_numbers_that_no_database_holds_become_texts(number: float) -> None:
    assert isinstance(bounded([number])[0], str)


@pytest.mark.parametrize("text", ["9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_a_wish_for_centuries_is_a_wish_for_a_day(text: str) -> None:
    assert retry_after(Reply(429, {"retry-after": text}, b"")) == LONGEST_WISH


@pytest.mark.parametrize("text", ["", "soon", "-5", "²", "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"])
def test_a_wish_that_says_nothing(text: str) -> None:
    assert retry_after(Reply(429, {"retry-after": text}, b"")) is None


GOOD = '[x]\nadapter = "semblance"\nurl = "https://images.example.org/paint"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1", "x must be a table like [x]"),
        ("[x", "is not TOML"),
        ("x = " + "[" * 5000, "is not TOML"),
        ("x = " + "9" * 5000, "is not TOML"),
        ('[x]\nadapter = "soap"\n', "[x] adapter: Input should be"),
        ('[x]\nadapter = "semblance"\n', "[x] url must be a whole address that begins with https:// or http://"),
        ('[x]\nadapter = "semblance"\nurl = "file:///etc/passwd"\n', "url must be a whole address"),
        ('[x]\nadapter = "semblance"\nurl = "http://me:secret@host/"\n', "url must hold no user, password or fragment"),
        ('[x]\nadapter = "command"\n', "command is missing"),
        ('[x]\nadapter = "command"\ncommand = ["paint"]\n', "command must begin with the absolute path"),
        ('[x]\nadapter = "images-api"\nurl = "https://a.example"\n', "model is missing"),
        ('[x]\nadapter = "comfyui"\nurl = "https://a.example"\n', "workflow, the file of a workflow"),
        (GOOD + "cost_per_image = 0.1\n", "cost_limit is missing"),
        (GOOD + "prise = 1\n", "[x] prise: Extra inputs are not permitted"),
        (GOOD + 'private_addresses = ["10.0.0.1/8"]\n', "[x] private_addresses.0"),
        (GOOD + "extra = {since = 1979-05-27}\n", "[x] extra: JSON cannot say what it holds"),
        (GOOD + "extra = {scale = inf}\n", "[x] extra: JSON cannot say what it holds"),
        (GOOD + "requests_per_minute = 1e-300\n", "[x] requests_per_minute: Input should be greater"),
        ('[x]\nadapter = "command"\ncommand = ["/bin/a\\u0000b"]\n', "[x] command: no program or argument"),
        (GOOD.replace("[x]", '["../x"]'), "[../x] name: String should match pattern"),
    ],
)
def test_a_faulty_file_is_refused_with_its_place(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "endpoints.toml"
    file.write_text(text)
    with pytest.raises(Refused) as raised:
        read_definitions(file)
    assert sentence in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_key_in_a_file_and_one_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("abc\n")
    of_file = Endpoint(name="x", adapter="semblance", url="https://a.example", key_file=tmp_path / "key")
    assert of_file.key() == "abc"
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    missing = Endpoint(name="x", adapter="semblance", url="https://a.example", key_environment="NO_SUCH_KEY")
    with pytest.raises(Refused, match="has no key: the worker's NO_SUCH_KEY is empty"):
        missing.key()
    (tmp_path / "key").write_text("abc\r\nX-Other: 1\n")
    with pytest.raises(Refused, match="characters that no header may hold"):
        of_file.key()
