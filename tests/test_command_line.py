"""manage.py on the command line: every fault ends in one sentence, never in a traceback."""

import ast
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.db import DataError, OperationalError, connection
from django.db.backends.signals import connection_created
from django.db.migrations.recorder import MigrationRecorder

import annotation.migrations
from config import command_line
from config.command_line import run
from config.database_version import VersionGate, version_fault
from config.environment import Environment, writable_folder
from jobs.wording import command

# The newest migration: a database without it is of an older version.
NEWEST = "annotation", max(path.stem for path in Path(annotation.migrations.__path__[0]).glob("0*.py"))
COMMAND = re.compile(r"((?:docker compose exec web |\.venv/bin/)?(?:python )?)manage\.py [a-z]")
TYPED = [sys.executable, "manage.py"]


def manage(var: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with these variables only."""
    clean = {"PATH": os.environ["PATH"], "SEMBLANCE_VAR": str(var), **environment}
    folder = project_settings.BASE_DIR
    return subprocess.run([*TYPED, *arguments], cwd=folder, env=clean, capture_output=True, text=True, check=False)


@pytest.fixture
def without_traces() -> Iterator[None]:
    """Undo the changes of `run` to the process: it is made for one command."""
    before = connection_created.receivers[:]
    yield
    connection_created.receivers = before
    connection_created.sender_receivers_cache.clear()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Return the exit status of a command and its standard error."""
    with pytest.raises(SystemExit) as ended:
        run(["manage.py", *arguments])
    return int(str(ended.value.code)), capsys.readouterr().err


def test_a_fresh_clone_says_the_one_command_to_type(tmp_path: Path) -> None:
    ended = manage(tmp_path, "create_study", "docs/studies/demo.toml", PWD=str(project_settings.BASE_DIR))
    assert ended.returncode == 1
    [sentence] = ended.stderr.splitlines()
    assert sentence.startswith("CommandError: There is no database yet; make it with `")
    assert sentence.endswith("manage.py migrate`.")
    assert "Traceback" not in ended.stderr


def test_the_command_is_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project_settings.BASE_DIR
    monkeypatch.setenv("PWD", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / ".venv" / "bin" / "python"))
    monkeypatch.setattr(sys, "argv", ["manage.py"])
    assert command("report", "a study") == ".venv/bin/python manage.py report 'a study'"
    monkeypatch.setenv("PWD", "/elsewhere")
    assert command("migrate") == f"{folder}/.venv/bin/python {folder}/manage.py migrate"
    monkeypatch.setattr(sys, "argv", ["gunicorn"])
    assert command("migrate") == ".venv/bin/python manage.py migrate", "a page names no folder of the server"
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert command("migrate") == "python manage.py migrate"


def test_commands_are_spelt_so_that_they_can_be_pasted() -> None:
    folder = project_settings.BASE_DIR
    texts = [folder / "README.md", *(folder / "docs").glob("*.md"), *(folder / "templates").rglob("*.html")]
    found = [(path.name, spelling) for path in texts for spelling in COMMAND.findall(path.read_text(encoding="utf-8"))]
    assert ("README.md", ".venv/bin/python ") in found
    assert {spelling for _, spelling in found} <= {".venv/bin/python ", "docker compose exec web python "}, found


def test_messages_take_the_spelling_of_commands_from_one_place() -> None:
    folder = project_settings.BASE_DIR
    rooms = ("annotation", "config", "generation", "jobs", "scoring")
    for path in (path for room in rooms for path in (folder / room).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [(id(node), node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        said = [text for key, text in texts if isinstance(text, str) and key not in docstrings]
        assert [text for text in said if COMMAND.search(text)] == [], path


@pytest.mark.django_db
@pytest.mark.both_databases
def test_a_database_of_an_older_or_a_newer_version_is_named() -> None:
    assert version_fault() == ""
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied(*NEWEST)
    assert "The database is of an older version (" in version_fault()
    assert version_fault(may_be_behind=True) == ""
    recorder.record_applied(*NEWEST)
    recorder.record_applied("annotation", "9999_of_tomorrow")
    assert "does not know its migration annotation.9999_of_tomorrow" in version_fault(may_be_behind=True)


@pytest.mark.django_db
def test_an_app_that_was_taken_out_makes_no_database_newer() -> None:
    MigrationRecorder(connection).record_applied("an_app_of_others", "0001_initial")
    assert version_fault() == ""


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*, may_be_behind: bool = False) -> str:
        return "" if may_be_behind else "The database is old."

    monkeypatch.setattr(command_line, "version_fault", fault)


@pytest.mark.usefixtures("transactional_db", "older", "without_traces")
@pytest.mark.parametrize(
    "command", [("study_status",), ("createsuperuser", "--no-input"), ("worker",), ("report", "x")]
)
def test_every_command_that_wants_the_database_hears_it(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    connection.close()
    assert said(capsys, *command) == (1, "CommandError: The database is old.\n")


@pytest.mark.usefixtures("transactional_db", "older", "without_traces")
@pytest.mark.parametrize(
    "command", [("showmigrations", "annotation"), ("migrate", "annotation", "--verbosity", "0"), ("help",)]
)
def test_those_that_mend_it_run(capsys: pytest.CaptureFixture[str], command: tuple[str, ...]) -> None:
    connection.close()
    run(["manage.py", *command])
    assert "old" not in capsys.readouterr().err


@pytest.mark.usefixtures("without_traces")
@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (KeyboardInterrupt(), 130, "Stopped."),
        (OperationalError("connection refused\nIs it running?"), 1, "The database does not answer as it should: conn"),
        (DataError("value too long"), 1, "The database cannot hold one of the values: value too long."),
        (ImproperlyConfigured("Set X."), 1, "Set X."),
        (CommandError("No."), 1, "No."),
        (PermissionError(13, "Permission denied", "/a/file"), 1, "/a/file: Permission denied."),
        (OSError(28, "No space left on device"), 1, "No space left on device."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_happens_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    sentence: str,
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(command_line, "execute_from_command_line", fail)
    ended, text = said(capsys, "study_status")
    assert (ended, text.count("\n")) == (status, 1)
    assert text.startswith(sentence)
    if status == 1:
        with pytest.raises(type(error)):
            run(["manage.py", "study_status", "--traceback"])


@pytest.mark.usefixtures("without_traces")
@pytest.mark.parametrize("name", ["SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_READONLY"])
def test_a_full_or_read_only_disk_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    def fail(_: object) -> None:
        cause = sqlite3.OperationalError("disk I/O error")
        cause.sqlite_errorname = name
        raise OperationalError("disk I/O error") from cause

    monkeypatch.setattr(command_line, "execute_from_command_line", fail)
    ended, text = said(capsys, "study_status")
    assert (ended, text.count("\n")) == (1, 1)
    assert text.startswith("The disk of the database is full or cannot be written to (disk I/O error). It is ")
    assert text.endswith(": make room or set its owner, and run the command again.\n")


def test_a_reader_that_is_gone_ends_it_silently(tmp_path: Path) -> None:
    """A pipe that is closed before anything is written, as by `| head -0`."""
    read, write = os.pipe()
    os.close(read)
    clean = {"PATH": os.environ["PATH"], "SEMBLANCE_VAR": str(tmp_path)}
    ended = subprocess.run(
        [*TYPED, "help"],
        cwd=project_settings.BASE_DIR,
        env=clean,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize(
    "url",
    ["mysql://me:secret@host/name", "postgres//secret", "postgresql://me:secret@host:port/name", "secret"],
)
def test_a_wrong_address_of_the_database_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL is not the address of a database") as refused:
        Environment().database("DATABASE_URL", default="sqlite:////x")
    assert "secret" not in str(refused.value)


def test_other_values_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LEASE", "long"), ("LOG", "loud"), ("BROKER", "post://x"), ("EMPTY", "")):
        monkeypatch.setenv(name, value)
    env = Environment()
    with pytest.raises(ImproperlyConfigured, match="LEASE has a value that cannot be used"):
        env.int("LEASE")
    with pytest.raises(ImproperlyConfigured, match="LOG must be DEBUG, INFO"):
        env.log_level("LOG")
    with pytest.raises(ImproperlyConfigured, match="BROKER begins with no kind of broker"):
        env.broker("BROKER", default="redis://x")
    assert env.database("EMPTY", default="sqlite:////x")["NAME"] == "/x"
    assert env.broker("EMPTY", default="redis://x") == "redis://x"


def test_a_var_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImproperlyConfigured, match=r"cannot be made .*; set SEMBLANCE_VAR to one that can"):
        writable_folder(tmp_path / "file" / "var")


class Page:
    """A stand-in for the web application."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"a page"]

    def start_response(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, dict(headers)


@pytest.fixture
def same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the gate from closing the connection whose transaction is the test's."""
    monkeypatch.setattr("config.database_version.close_old_connections", lambda: None)


@pytest.mark.django_db
@pytest.mark.usefixtures("same_connection")
def test_pages_wait_for_the_database_s_version(caplog: pytest.LogCaptureFixture) -> None:
    page = Page()
    gate = VersionGate(page)
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied(*NEWEST)
    for _ in range(2):
        [body] = gate({"PATH_INFO": "/"}, page.start_response)
    assert page.status == "503 Service Unavailable"
    assert b"try again in a few minutes" in body
    [body] = gate({"PATH_INFO": "/api/v1/x"}, page.start_response)
    assert "try again" in json.loads(body)["message"]
    assert [line for line in caplog.messages if "older version" in line] == caplog.messages[:1]
    recorder.record_applied(*NEWEST)
    assert gate({"PATH_INFO": "/"}, page.start_response) == [b"a page"]
    recorder.record_unapplied(*NEWEST)
    assert gate({"PATH_INFO": "/"}, page.start_response) == [b"a page"]  # it checks the version only until it fits


@pytest.mark.usefixtures("same_connection")
def test_a_database_that_does_not_answer_is_the_application_s_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise OperationalError("connection refused")

    monkeypatch.setattr("config.database_version.version_fault", fail)
    page = Page()
    assert VersionGate(page)({"PATH_INFO": "/"}, page.start_response) == [b"a page"]
