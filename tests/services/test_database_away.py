"""A PostgreSQL that stops and starts beneath the real web server: 503 at once, and back by itself."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db.utils import ConnectionHandler
from psycopg_pool import PoolTimeout

from config.environment import Environment
from config.postgresql.base import BREAKER, DatabaseWrapper
from tests.services.servers import Server, free_port, kill_9, local_postgresql

PATIENCE_SECONDS = 600  # with a busy machine; nothing asserts a duration
MANY = 50
Answer = tuple[int, str, bytes]


class Site:
    """The web server with its own PostgreSQL, and fewer threads than visitors."""

    def __init__(self, database: Server, folder: Path) -> None:
        self.database, self.port, self.log = database, free_port(), folder / "web.log"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SEMBLANCE_VAR": str(folder),
            "DATABASE_URL": database.url,
            "WEB_CONCURRENCY": "1",
            "WEB_THREADS": "4",
        }
        for command in (["migrate"], ["collectstatic", "--no-input"]):
            subprocess.run(
                [sys.executable, "manage.py", *command, "--verbosity", "0"],
                cwd=settings.BASE_DIR,
                env=self.environment,
                check=True,
            )
        serve = [sys.executable, "-m", "gunicorn", "--config", "python:config.gunicorn", "config.wsgi", "--bind"]
        with self.log.open("wb") as log:
            self.web = subprocess.Popen(
                [*serve, f"127.0.0.1:{self.port}"],
                cwd=settings.BASE_DIR,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_for(200)

    def ask(self, path: str, method: str = "GET") -> Answer:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)) as line:
            line.request(method, path, "{}" if method == "POST" else None, {"Content-Type": "application/json"})
            answer = line.getresponse()
            return answer.status, str(answer.getheader("Content-Type")), answer.read()

    def wait_for(self, status: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._health() != status:
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.1)

    def _health(self) -> int:
        try:
            return self.ask("/healthz")[0]
        except OSError:
            return 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with local_postgresql() as database:
        made = Site(database, tmp_path_factory.mktemp("site"))
        try:
            yield made
        finally:
            kill_9(made.web)


def test_everybody_is_answered_while_the_database_is_away_and_served_when_it_is_back(site: Site) -> None:
    site.database.kill()
    with ThreadPoolExecutor(MANY) as visitors:
        answers = list(visitors.map(lambda _: site.ask("/api/v1/annotators/nobody/next", "POST"), range(MANY)))
    page, health = site.ask("/a/nobody/"), site.ask("/healthz")
    assert {(status, kind) for status, kind, _ in answers} == {(503, "application/json")}
    assert all(list(json.loads(body)) == ["message"] for *_, body in answers)
    assert (page[0], page[1], health[0]) == (503, "text/html; charset=utf-8", 503)
    log = site.log.read_text()
    assert "Traceback" not in log
    assert "nobody" not in log
    site.database.start()
    site.wait_for(200)
    assert site.ask("/a/nobody/")[0] == 404


def test_connections_that_the_server_closed_are_not_used(site: Site) -> None:
    """After a restart of the server, or one of its `pg_terminate_backend`, the next visitor notices nothing."""
    with ThreadPoolExecutor(8) as visitors:
        assert {status for status, *_ in visitors.map(lambda _: site.ask("/a/nobody/"), range(40))} == {404}
    others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    with psycopg.connect(site.database.url, autocommit=True) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) {others}")
        while connection.execute(f"SELECT 1 {others}").fetchone():
            time.sleep(0.05)
    assert [site.ask("/a/nobody/")[0] for _ in range(8)] == [404] * 8


def test_a_pool_that_is_busy_is_no_server_that_is_away() -> None:
    with local_postgresql() as database:
        described = Environment().db_url_config(database.url)
        described |= {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"min_size": 1, "max_size": 1, "timeout": 0.2}}}
        databases = ConnectionHandler({"default": {}, "busy": described})
        one = DatabaseWrapper(databases.settings["busy"], "busy")
        try:
            connection = one.get_new_connection(one.get_connection_params())
            with pytest.raises(PoolTimeout):
                one.get_new_connection(one.get_connection_params())
            assert BREAKER.may_try()
            database.kill()
            connection.close()
            one.pool.putconn(connection)
            with pytest.raises(PoolTimeout):
                one.get_new_connection(one.get_connection_params())
            assert not BREAKER.may_try()
        finally:
            one.close_pool()
            BREAKER.succeeded()


def test_a_database_that_may_only_be_read_is_an_outage(site: Site) -> None:
    with psycopg.connect(site.database.url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        try:
            ended = subprocess.run(
                [sys.executable, "manage.py", "shell", "-c", "from annotation.models import Study; Study().save()"],
                cwd=settings.BASE_DIR,
                env=site.environment,
                capture_output=True,
                text=True,
            )
        finally:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "read-only transaction" in ended.stderr.splitlines()[-1]
