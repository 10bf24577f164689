"""Database, disk, Redis and queue away: 503 with a sentence, one line in the log, and never a traceback."""

import errno
import logging
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import redis
from celery.signals import task_failure, task_prerun
from django.conf import settings
from django.core.cache.backends.redis import RedisCache
from django.db import DatabaseError, DataError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from kombu.exceptions import OperationalError as BrokerAway
from pytest_django.fixtures import Settings

from annotation.models import Study
from annotation.tasks import advance_study, tick
from annotation.web.access.who_may import ADDRESSES, Access, Who
from config import celery, outages, urls
from config.celery import touch_alive_file
from config.outages import DATABASE, DISK, QUEUE, outage
from config.postgresql.base import Breaker
from generation.models import GenerationJob
from jobs import messages
from jobs.leases import Lease
from jobs.work import work_next
from tests.generation.planned_sets import planned

handler500 = urls.handler500
PATIENCE_SECONDS = 600  # with a busy machine; nothing asserts a duration
FAULT: list[BaseException] = []


def faulty(_request: HttpRequest) -> HttpResponse:
    raise FAULT[-1]


def store_much(_request: HttpRequest) -> HttpResponse:
    Path(settings.VAR_DIR, "much").write_bytes(b"x" * 2**20)
    return HttpResponse("stored")


urlpatterns = [
    path("page/", faulty, name="faulty"),
    path("api/v1/verb", faulty, name="faulty"),
    path("store/", store_much, name="faulty"),
    *urls.urlpatterns,
]


@pytest.fixture
def client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setitem(ADDRESSES, "faulty", Access(Who.ANYONE))
    settings.ROOT_URLCONF = __name__
    outages._logged_at.clear()
    return Client(raise_request_exception=False)


def caused_by(error: type[BaseException], cause: BaseException) -> BaseException:
    """Return an error with a cause, as Django raises errors of the database."""
    made = error(str(cause))
    made.__cause__ = cause
    return made


def sqlite_error(name: str) -> BaseException:
    import sqlite3

    cause = sqlite3.OperationalError("as SQLite says it")
    cause.sqlite_errorname = name
    return caused_by(OperationalError, cause)


def postgresql_error(kind: type[psycopg.Error]) -> BaseException:
    return caused_by(OperationalError, kind("as PostgreSQL says it"))


CASES: list[tuple[BaseException, Any]] = [
    (sqlite_error("SQLITE_BUSY"), DATABASE),
    (sqlite_error("SQLITE_BUSY_SNAPSHOT"), DATABASE),
    (sqlite_error("SQLITE_LOCKED"), DATABASE),
    (sqlite_error("SQLITE_FULL"), DISK),
    (sqlite_error("SQLITE_IOERR_WRITE"), DISK),
    (sqlite_error("SQLITE_READONLY"), DISK),
    (sqlite_error("SQLITE_CANTOPEN"), DISK),
    (sqlite_error("SQLITE_ERROR"), None),  # no such table
    (postgresql_error(psycopg.OperationalError), DATABASE),  # no connection
    (postgresql_error(psycopg.errors.AdminShutdown), DATABASE),
    (postgresql_error(psycopg.errors.CannotConnectNow), DATABASE),
    (postgresql_error(psycopg.errors.TooManyConnections), DATABASE),
    (postgresql_error(psycopg.errors.ReadOnlySqlTransaction), DATABASE),
    (postgresql_error(psycopg.errors.DeadlockDetected), DATABASE),
    (postgresql_error(psycopg.errors.DiskFull), DISK),
    (postgresql_error(psycopg.errors.UndefinedTable), None),
    (OSError(errno.ENOSPC, "No space left on device"), DISK),
    (OSError(errno.EFBIG, "File too large"), DISK),  # the process may write no larger file
    (OSError(errno.EROFS, "Read-only file system"), DISK),
    (PermissionError(errno.EACCES, "Permission denied"), DISK),
    (OSError(errno.EMFILE, "Too many open files"), QUEUE),
    (FileNotFoundError(errno.ENOENT, "No such file"), None),
    (redis.ConnectionError("refused"), QUEUE),
    (redis.TimeoutError("too late"), QUEUE),
    (BrokerAway("refused"), QUEUE),
    (ValueError("a fault of the program"), None),
]


@pytest.mark.parametrize(("error", "sentence"), CASES, ids=[repr(case[0])[:50] for case in CASES])
def test_what_counts_as_an_outage(error: BaseException, sentence: Any) -> None:
    found = outage(error)
    assert (found and found.sentence) == sentence


AWAY = [case for case in CASES if case[1] is not None]


@pytest.mark.parametrize("error", [case[0] for case in AWAY[:1] + AWAY[3:4] + AWAY[-1:]])
def test_people_get_a_page_programs_get_json_and_the_log_one_line(
    client: Client, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    FAULT[:] = [error]
    found = outage(error)
    assert found
    page = client.get("/page/", headers={"accept-language": "de-CH,de"})
    assert (page.status_code, page["Retry-After"], page["Content-Language"]) == (503, "5", "de")
    assert "Derzeit nicht erreichbar" in page.content.decode()
    answer = client.post("/api/v1/verb", "{}", content_type="application/json")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json()["message"].startswith(str(found.sentence))
    (record,) = [one for one in caplog.records if one.name == "config.outages"]
    assert record.getMessage() == str(found)
    assert not [one for one in caplog.records if one.exc_info]
    assert "/page/" not in caplog.text


def test_a_fault_of_the_program_stays_one(client: Client) -> None:
    FAULT[:] = [ValueError("wrong")]
    assert client.get("/page/").status_code == 500
    answer = client.post("/api/v1/verb")
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert "wrong" not in answer.content.decode()


@pytest.mark.parametrize(
    "error",
    [
        caused_by(DataError, psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")),
        OverflowError("Python int too large to convert to SQLite INTEGER"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    ],
)
def test_what_a_database_cannot_hold_is_the_request_s_fault(client: Client, error: BaseException) -> None:
    FAULT[:] = [error]
    assert client.get("/page/").status_code == 400
    assert client.post("/api/v1/verb").json()["status"] == 400


def test_a_fault_in_the_middleware_is_told_apart_as_well(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise FAULT[-1]

    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", away)
    client.cookies[settings.SESSION_COOKIE_NAME] = "some-session"
    FAULT[:] = [postgresql_error(psycopg.OperationalError)]
    answer = client.get("/studies/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_an_outage_is_logged_without_its_traceback() -> None:
    error = OSError(errno.ENOSPC, "No space left on device")
    record = logging.LogRecord("name", logging.ERROR, "path", 1, "failed", (), (OSError, error, None))
    outages.WithoutTraceback().filter(record)
    assert (record.exc_info, record.getMessage()) == (None, f"failed: {outage(error)}")


def test_after_a_failure_no_visitor_tries_until_a_thread_has_succeeded() -> None:
    breaker, tried, is_back, seen = Breaker(seconds=0.01), threading.Semaphore(0), threading.Event(), list[bool]()

    def attempt() -> None:
        seen.append(breaker.may_try())
        tried.release()
        if not is_back.is_set():
            raise psycopg.OperationalError("connection refused")

    assert breaker.may_try()
    breaker.failed(attempt)
    breaker.failed(attempt)
    assert not breaker.may_try()
    for _ in range(3):
        assert tried.acquire(timeout=PATIENCE_SECONDS)
    is_back.set()
    assert len([one for one in threading.enumerate() if one.name == "database breaker"]) == 1
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not breaker.may_try():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not any(seen)


def test_a_forked_process_tries_for_itself() -> None:
    breaker = Breaker(seconds=3600)
    breaker.failed(lambda: None)
    assert not breaker.may_try()
    breaker._broken_in += 1  # as a child of the process sees it, in which no thread tries again
    assert breaker.may_try()


def test_a_full_disk_is_told_to_people(
    client: Client, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.VAR_DIR = tmp_path
    (tmp_path / "much").symlink_to("/dev/full")
    answer = client.get("/store/")
    assert answer.status_code == 503
    assert str(DISK) in answer.content.decode()
    assert [record.exc_info for record in caplog.records if record.levelno >= logging.ERROR] == [None]


def test_a_command_on_a_full_disk_ends_in_a_sentence(tmp_path: Path) -> None:
    ended = run_with_limit(100_000, tmp_path / "var", "manage.py", "migrate", "--verbosity", "0")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert "(disk I/O error). It is the file" in ended.stderr
    ended = run_with_limit(0, tmp_path / "other", "manage.py", "check")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert "The var folder cannot be used" in ended.stderr
    assert not list((tmp_path / "other").glob("secret_key*"))


def test_the_web_server_says_in_one_line_that_its_folder_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run(tmp_path / "file" / "var", "-m", "gunicorn", "--config", "python:config.gunicorn", "config.wsgi")
    assert ended.returncode != 0
    assert "SEMBLANCE_VAR" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["WEB_THREADS", "REQUEST_HEAD_SECONDS", "REQUEST_MOST_BYTES"])
def test_the_web_server_names_a_variable_that_it_cannot_use(tmp_path: Path, name: str) -> None:
    serve = ("-m", "gunicorn", "--config", "python:config.gunicorn", "config.wsgi")
    ended = run(tmp_path, *serve, **{name: "many"})
    assert ended.returncode != 0
    assert f"{name} has a value that cannot be used" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def run_manage(var: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(var, "manage.py", *arguments, **environment)


def run(var: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_with_limit(resource.RLIM_INFINITY, var, *arguments, **environment)


def run_with_limit(
    most_file_bytes: int, var: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with a var folder and a limit on the size of files, as if the disk were full."""
    clean = {"PATH": os.environ["PATH"], "SEMBLANCE_VAR": str(var), **environment}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env=clean,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_file_bytes, most_file_bytes)),
    )


def test_no_vote_is_stored_without_the_lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from annotation.voting.storage import sqlite_queue

    writer, fault = sqlite_queue._Writer(), OSError(errno.EROFS, "Read-only file system")

    def refuse(_database: object) -> Callable[[], Any]:
        raise fault

    monkeypatch.setattr(sqlite_queue, "_lock_of", refuse)
    for _ in range(2):
        with pytest.raises(OSError, match="Read-only"), writer():
            pytest.fail("came in without the lock")


def test_a_cache_that_accepts_and_never_answers_keeps_nobody_waiting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with pytest.raises(redis.TimeoutError):
            RedisCache(url, {"OPTIONS": {"socket_timeout": 0.2}}).add("tries", 1)


def test_every_wait_for_redis_has_an_end(tmp_path: Path) -> None:
    said = "from django.conf import settings as s; print(s.CELERY_BROKER_TRANSPORT_OPTIONS, s.CACHES['default'])"
    urls = dict.fromkeys(("CELERY_BROKER_URL", "CACHE_URL"), "redis://127.0.0.1:1/0")
    ended = run_manage(tmp_path, "shell", "-c", said, **urls)
    assert ended.stdout.count("socket_connect_timeout") == ended.stdout.count("socket_timeout") == 2


def test_a_worker_whose_folder_is_full_goes_on(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.VAR_DIR = tmp_path / "file" / "var"
    (tmp_path / "file").touch()
    touch_alive_file(SimpleNamespace(eventer=SimpleNamespace(hostname="gpu@here")))
    assert [record.getMessage().partition(" cannot")[0] for record in caplog.records] == [f"{settings.VAR_DIR}/alive"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.services
def test_a_task_does_not_go_on_with_a_connection_that_an_outage_broke() -> None:
    connection.ensure_connection()
    connection.connection.close()
    with pytest.raises(DatabaseError):
        Study.objects.exists()
    with pytest.raises(DatabaseError):  # and it stays so
        Study.objects.exists()
    task_prerun.send(sender=tick, task=tick)
    assert not Study.objects.exists()


@pytest.mark.parametrize(
    ("error", "sent"), [(OperationalError("the database is starting up"), 1), (ValueError("a fault of the program"), 0)]
)
def test_a_message_is_sent_again_if_the_database_was_away(
    monkeypatch: pytest.MonkeyPatch, error: Exception, sent: int
) -> None:
    kept: list[tuple[str, object, object]] = []
    monkeypatch.setattr(celery, "SECONDS_BEFORE_SENDING_AGAIN", 0)
    monkeypatch.setattr(messages, "send", lambda one: kept.append((one.task, one.args, one.options.get("expires"))))
    task_failure.send(sender=advance_study, exception=error, args=(7,), kwargs={})
    assert kept == [("annotation.tasks.advance_study", (7,), None)] * sent


@pytest.mark.django_db(transaction=True)
@pytest.mark.services
def test_a_job_whose_connection_breaks_is_queued_again_at_once() -> None:
    planned()

    def breaking(_job: GenerationJob, _lease: Lease) -> None:
        connection.connection.close()
        GenerationJob.objects.exists()

    work_next(GenerationJob.objects.all(), breaking)
    job = GenerationJob.objects.get()
    assert (job.state, job.attempt_count) == (GenerationJob.State.QUEUED, 1)
    assert "the connection is closed" in job.error
