"""The logs as configured: no credential at any level, no local variable, one line for a client's mistake."""

import io
import json
import logging
import logging.config
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import Resolver404, URLResolver, get_resolver, reverse
from gunicorn.config import Config
from pytest_django.fixtures import Settings

from annotation.models import Annotator, Study
from annotation.tasks import mail_password_links
from annotation.voting.annotators import invite
from annotation.web.annotator import pages as annotator_pages
from config import settings as configured
from config.gunicorn_logs import RedactingLogger
from config.logs import CREDENTIAL_NAMES, Render, redact
from tests.factories import make_study

pytestmark = pytest.mark.django_db
PLATFORM = {"id_parameter": "PROLIFIC_PID", "other_parameters": ["SESSION_ID"]}
PERSON, SESSION, RESET_KEY, IMAGE = (
    "5f0c1d2e3b4a",
    "platform-session-77",
    "1-cxyz12-0a1b2c3d4e5f",
    "imagetoken0123456789",
)
Log = Callable[..., io.StringIO]


@pytest.fixture
def log() -> Iterator[Log]:
    """Configure logging as the settings do, at a level and in a format; return the written text."""
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def configured(level: str, *, as_json: bool = False) -> io.StringIO:
        configuration, written = deepcopy(settings.LOGGING), io.StringIO()
        configuration["root"]["level"] = level
        configuration["handlers"]["console"]["stream"] = written
        configuration["formatters"]["structured"]["processors"] = [Render(as_json=as_json, colors=False)]
        logging.config.dictConfig(configuration)
        return written

    yield configured
    root.handlers[:], root.level = before[0], before[1]


@pytest.fixture
def study() -> Study:
    return make_study(comparisons=1, platform=PLATFORM)


@pytest.fixture
def ada(study: Study) -> Annotator:
    return invite(study=study, label="Ada")


@pytest.fixture
def broken_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*, annotator: Annotator, **_: Any) -> None:
        local_marker = "a local " + "variable"
        raise ValueError(f"no place for Key (token)=({annotator.token})", len(local_marker))

    monkeypatch.setattr(annotator_pages, "next_page", broken)


def visitor(**options: Any) -> Client:
    return Client(raise_request_exception=False, **options)


def staff() -> Client:
    client = visitor()
    client.force_login(User.objects.get_or_create(username="viewer", is_staff=True)[0])
    return client


def admin() -> Client:
    client = visitor()
    client.force_login(User.objects.get_or_create(username="admin", is_staff=True, is_superuser=True)[0])
    return client


def mistakes(study: Study, ada: Annotator) -> dict[str, Callable[[], Any]]:
    """Make the mistakes of strangers; each is answered with a status of 400 to 499."""
    link, api, client = f"/a/{ada.token}/", f"/api/v1/annotators/{ada.token}/", visitor()
    query, csrf = f"?PROLIFIC_PID={PERSON}&SESSION_ID={SESSION}", visitor(enforce_csrf_checks=True)
    many = f"{query}&{'&'.join(f'x{number}=1' for number in range(1100))}"
    crooked = "multipart/form-data; boundary="
    return {
        "a mistyped link": lambda: client.get(f"{link[:-2]}/"),
        "an unknown page behind a link": lambda: client.get(f"{link}nothing/here/{query}"),
        "a link twice": lambda: client.get(f"/a{link}"),
        "a wrong method": lambda: client.post(link),
        "no such open link": lambda: client.get(f"/join/{study.open_link_token}x/{query}"),
        "an open link without an id": lambda: client.get(f"/join/{study.open_link_token}/?SESSION_ID={SESSION}"),
        "no CSRF token": lambda: csrf.post(f"{link}withdraw/", HTTP_REFERER=f"http://elsewhere{link}"),
        "another site's form": lambda: csrf.post(f"{link}stop/", HTTP_ORIGIN="http://elsewhere.test"),
        "another host": lambda: client.get(link, HTTP_HOST="elsewhere.test"),
        "a refused filter of the admin": lambda: admin().get("/admin/annotation/annotator/?token__startswith=5"),
        "a body that is too long": lambda: client.post("/resume/", {"code": "x" * 3_000_000}),
        "too many fields": lambda: client.post("/resume/", {str(number): "" for number in range(1100)}),
        "a query of too many fields": lambda: client.get(f"/join/{study.open_link_token}/{many}"),
        "a wrong method with such a query": lambda: client.post(f"{link}{many}"),
        "a crooked form": lambda: client.post("/resume/", b"x", content_type=crooked),
        "a wrong code": lambda: client.post("/resume/", {"code": "BCDFGHJKM9"}),
        "no such image": lambda: client.get(f"/i/{IMAGE}.grid"),
        "a line break": lambda: client.get(f"/a/{ada.token}%0aCRITICAL/"),
        "API: no such place": lambda: client.post(f"{api[:-2]}/next"),
        "API: no such operation": lambda: client.post(f"{api}nothing"),
        "API: a body that does not fit": lambda: client.post(f"{api}votes", {}, content_type="application/json"),
        "API: another's comparison": lambda: client.post(f"{api}release", {"assignment": "x"}, "application/json"),
        "staff without the permission": lambda: staff().get(f"/studies/{study.slug}/invitations.csv"),
    }


def secrets_of(study: Study, ada: Annotator, *clients: Client) -> list[str]:
    cookies = [one.value for client in clients for one in client.cookies.values()]
    return [ada.token, ada.resume_code, study.open_link_token, PERSON, SESSION, RESET_KEY, IMAGE, *cookies]


def test_a_stranger_s_mistake_is_one_line_without_a_credential(log: Log, study: Study, ada: Annotator) -> None:
    for name, mistake in mistakes(study, ada).items():
        written = log("WARNING")
        assert 400 <= mistake().status_code < 500, name
        assert written.getvalue().count("\n") == 1, f"{name}: {written.getvalue()}"
        assert "[warning" in written.getvalue(), f"{name}: {written.getvalue()}"
        assert [one for one in secrets_of(study, ada) if one in written.getvalue()] == [], name


def test_a_stranger_s_mistake_is_silent_where_only_errors_are_written(log: Log, study: Study, ada: Annotator) -> None:
    for name, mistake in mistakes(study, ada).items():
        written = log("ERROR")
        mistake()
        assert written.getvalue() == "", name


@pytest.mark.parametrize("as_json", [False, True])
def test_no_line_of_any_level_holds_a_credential(
    log: Log, study: Study, ada: Annotator, broken_page: None, as_json: bool
) -> None:
    written, client, viewer = log("DEBUG", as_json=as_json), visitor(), staff()
    for mistake in mistakes(study, ada).values():
        mistake()
    client.get(f"/join/{study.open_link_token}/?PROLIFIC_PID={PERSON}&SESSION_ID={SESSION}")
    client.post(f"/api/v1/annotators/{ada.token}/next")
    client.post("/resume/", {"code": ada.resume_code})
    client.get(f"/accounts/password/reset/key/{RESET_KEY}/")
    client.get(f"/a/{ada.token}")
    client.get(f"/a/{ada.token}/?metric={SESSION}", HTTP_USER_AGENT="a browser")
    viewer.get(f"/studies/?next=/a/{ada.token}/")
    viewer.post("/accounts/login/", {"login": "viewer", "password": "a-wrong-password"})
    structlog.get_logger("anything").error("asked", address=f"https://semblance.test/a/{ada.token}/stop/")
    logging.getLogger("django.server").info('"GET /a/%s/?x=1 HTTP/1.1" 200 512', ada.token)
    text = written.getvalue()
    assert [one for one in secrets_of(study, ada, client, viewer) if one in text] == []
    assert "a-wrong-password" not in text
    assert "GET /a/<str:token>/" in text, "the address is named by its route"
    if as_json:
        assert all(json.loads(line)["event"] for line in text.splitlines())


@pytest.mark.parametrize("as_json", [False, True])
def test_a_real_fault_keeps_its_whole_traceback_once_without_variables(
    log: Log, ada: Annotator, broken_page: None, as_json: bool
) -> None:
    written = log("WARNING", as_json=as_json)
    assert visitor().get(f"/a/{ada.token}/").status_code == 500
    text = written.getvalue()
    assert text.count("Traceback (most recent call last)") == 1
    assert "ValueError: ('no place for Key (token)=(…)" in text
    assert "in broken" in text
    assert "a local variable" not in text
    assert ada.token not in text


def test_every_address_with_a_credential_is_known_to_the_redaction() -> None:
    def routes(patterns: list[Any], before: str) -> Iterator[tuple[str, set[str]]]:
        for one in patterns:
            if isinstance(one, URLResolver):
                yield from routes(one.url_patterns, before + str(one.pattern))
            else:
                yield before + str(one.pattern), set(one.pattern.regex.groupindex)

    found = [
        (route, names)
        for route, names in routes(get_resolver().url_patterns, "/")
        if names & CREDENTIAL_NAMES or "token" in route.replace("tokens/", "")  # the pages of API tokens hold none
    ]
    assert len(found) > 20
    for route, names in found:
        assert names & CREDENTIAL_NAMES, f"{route} names its credential otherwise"
        before = re.split(rf"<(?:\w+:)?(?:{'|'.join(CREDENTIAL_NAMES)})>|\(\?P", route.replace("^", ""))[0]
        prefix = re.sub("<.*?>", "x", before)
        assert redact(f"GET {prefix}SECRET/more") == f"GET {prefix}…/more", route
    assert redact(reverse("image", args=["SECRET", "grid"])) == "/i/…"
    assert redact("?next=/a/SECRET/ //a//SECRET /A%2FSECRET%2fx") == "?… //a//… /A%2F…%2fx"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_fault_while_a_404_is_answered_does_not_tell_the_address(as_json: bool) -> None:
    for path in ("A/secrettoken/", "it's a/secrettoken", "/a/\"'secrettoken", "a}\n/secrettoken"):
        try:
            try:
                raise Resolver404({"tried": [], "path": path})
            except Resolver404:
                raise ValueError("no icon.svg")  # noqa: B904 - as it happens within Django's handler
        except ValueError as error:
            record = logging.makeLogRecord({})
            event = {"event": "x", "exc_info": (ValueError, error, error.__traceback__), "_record": record}
        line = Render(as_json=as_json, colors=False)(None, "error", event | {"_from_structlog": False})
        assert "Resolver404: " in line
        assert "no icon.svg" in line
        assert "secrettoken" not in line


def test_gunicorn_s_own_lines_hold_no_credential() -> None:
    configuration = Config()
    configuration.set("accesslog", "-")
    configuration.set("access_log_format", '%(r)s %(U)s?%(q)s "%(f)s" %({cookie}i)s %({location}o)s')
    configuration.set("loglevel", "debug")
    log, written = RedactingLogger(configuration), io.StringIO()
    for handler in (*log.access_log.handlers, *log.error_log.handlers):
        handler.stream = written
    link = "/a/secrettoken"
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": f"{link}/?PROLIFIC_PID={PERSON}", "SERVER_PROTOCOL": "HTTP/1.1"}
    environ |= {"PATH_INFO": f"{link}/", "QUERY_STRING": f"PROLIFIC_PID={PERSON}", "HTTP_REFERER": f"http://x{link}/"}
    response = SimpleNamespace(status="302 Found", sent=1, headers=[("Location", link)])
    request = SimpleNamespace(headers=[("COOKIE", f"annotator={SESSION}")])
    log.access(response, request, environ, timedelta(seconds=1))
    log.debug("%s %s", "GET", f"{link}/")
    try:
        raise ValueError(f"Invalid HTTP request line: 'GET {link}/'")
    except ValueError:
        log.exception("Error handling request %s", f"{link}/?PROLIFIC_PID={PERSON}")
    for path in ("A/secrettoken/", "it's a/secrettoken", "/a/\"'secrettoken"):
        try:
            raise Resolver404({"tried": [], "path": path})
        except Resolver404:
            log.exception("Error handling request")
    for place in ("/a//secrettoken/", "/a%2Fsecrettoken/", "/resume/secrettoken", "/secrettoken", "//a/secrettoken/"):
        log.debug("%s %s", "GET", place)
    log.warning("Invalid request from ip=1.2.3.4: Invalid HTTP header name: 'Referer secrettoken'")
    log.info("Listening at: %s (%s)", "http://127.0.0.1:8000", 1)
    text = written.getvalue()
    assert "GET /a/<str:token>/ HTTP/1.1 /a/<str:token>/" in text
    assert "Invalid HTTP header name\n" in text
    assert "Listening at: http://127.0.0.1:8000" in text
    assert [one for one in ("secrettoken", PERSON, SESSION) if one in text] == []
    assert "Traceback" in text


def test_without_a_mail_server_a_reset_waits_in_a_file_that_only_its_owner_reads(
    log: Log, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = configured.EMAIL_BACKEND, tmp_path / "mail"
    settings.EMAIL_FILE_PATH.mkdir(mode=0o755)  # as an earlier version left it
    User.objects.create_user("lost", email="lost@semblance.test")
    written = log("DEBUG")
    mail_password_links("lost@semblance.test", "http://testserver")
    (mail,) = settings.EMAIL_FILE_PATH.iterdir()
    key = re.search(r"/accounts/password/reset/key/(\S+)/", mail.read_text())
    assert key
    assert key[1] not in written.getvalue() + "".join(capsys.readouterr())
    assert "a mail waits in" in written.getvalue()
    assert settings.EMAIL_FILE_PATH.stat().st_mode & 0o077 == 0
