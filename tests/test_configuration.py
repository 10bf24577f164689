"""Settings that would go wrong later are refused or named at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as project_settings
from django.test import Client
from pytest_django.fixtures import Settings

from annotation.checks import heartbeat_fits_the_lease, var_folder_is_writable
from config.environment import Environment


def manage(var: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """manage.py with nothing but these variables."""
    clean = {"PATH": os.environ["PATH"], "SEMBLANCE_VAR": str(var), **environment}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=project_settings.BASE_DIR, env=clean, capture_output=True, text=True)


def test_any_host_name_is_refused(tmp_path: Path) -> None:
    refused = manage(tmp_path, "check", ALLOWED_HOSTS="*")
    assert refused.returncode != 0
    assert "ALLOWED_HOSTS holds *" in refused.stderr


@pytest.mark.parametrize("variable", ["DEBUG", "HTTPS", "HSTS_INCLUDE_SUBDOMAINS", "HSTS_PRELOAD"])
def test_a_boolean_that_is_neither_true_nor_false_is_one_sentence(tmp_path: Path, variable: str) -> None:
    refused = manage(tmp_path, "check", **{variable: "maybe"})
    assert refused.returncode != 0
    sentence = f"{variable} has a value that cannot be used: 'maybe' is neither true nor false; write 1 or 0."
    assert refused.stderr.strip().endswith(sentence)
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1", True),
        (" True", True),
        ("YES", True),
        ("on", True),
        ("0", False),
        ("No", False),
        ("off", False),
    ],
)
def test_the_words_for_true_and_false(monkeypatch: pytest.MonkeyPatch, word: str, value: bool) -> None:
    monkeypatch.setenv("HTTPS", word)
    assert Environment().bool("HTTPS", default=not value) is value


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_variable_counts_as_missing(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    monkeypatch.setenv("SOME", empty)
    env = Environment()
    assert (env.str("SOME", default="a"), env.int("SOME", default=8), env.float("SOME", default=0.5)) == ("a", 8, 0.5)
    assert (env.bool("SOME", default=True), env.bool("SOME", default=False)) == (True, False)
    assert env.list("SOME", default=["localhost"]) == ["localhost"]
    assert env.database("SOME", default="sqlite:////x/y.sqlite3")["NAME"] == "/x/y.sqlite3"


def test_an_empty_var_folder_is_the_default_one(tmp_path: Path) -> None:
    show = "from django.conf import settings; print(settings.VAR_DIR, settings.STATIC_ROOT)"
    shown = subprocess.run(
        [sys.executable, "-c", show],
        cwd=project_settings.BASE_DIR,
        env={
            "PATH": os.environ["PATH"],
            "SEMBLANCE_VAR": "",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SECRET_KEY": "a-key-of-this-test",
            "DATABASE_URL": f"sqlite:///{tmp_path}/database.sqlite3",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    var = project_settings.BASE_DIR / "var"
    assert shown.stdout.split() == [str(var), str(var / "static")]


def test_a_secret_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    assert manage(tmp_path, "check").returncode == 0
    key = tmp_path / "secret_key"
    first = key.read_text()
    assert manage(tmp_path, "check").returncode == 0
    assert key.read_text() == first
    assert len(first) >= 50
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_database_server_with_an_embedded_queue_is_warned_of(tmp_path: Path) -> None:
    checked = manage(tmp_path, "check", "--deploy", DATABASE_URL="postgresql://semblance@nowhere/semblance")
    assert "semblance.W001" in checked.stderr


@pytest.mark.parametrize(
    ("broker", "is_warned_of"), [("redis://broker/0", True), ("sqla+sqlite:////tmp/broker", False)]
)
def test_a_queue_server_with_an_embedded_database_is_warned_of(tmp_path: Path, broker: str, is_warned_of: bool) -> None:
    checked = manage(tmp_path, "check", "--deploy", CELERY_BROKER_URL=broker)
    assert ("semblance.W001" in checked.stderr) is is_warned_of


@pytest.mark.parametrize(
    ("heartbeat", "faults"), [(10, []), (20, []), (21, ["semblance.E002"]), (0, ["semblance.E002"])]
)
def test_heartbeats_must_fit_into_the_lease(settings: Settings, heartbeat: int, faults: list[str]) -> None:
    settings.JOB_LEASE_SECONDS, settings.JOB_HEARTBEAT_SECONDS = 60, heartbeat
    assert [message.id for message in heartbeat_fits_the_lease()] == faults


def test_a_var_folder_that_cannot_be_written_is_an_error(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VAR_DIR = tmp_path / "not" / "there" / "yet"
    assert var_folder_is_writable() == []
    monkeypatch.setattr("annotation.checks.os.access", lambda path, mode: path != tmp_path)  # root may write anywhere
    assert [message.id for message in var_folder_is_writable()] == ["semblance.E001"]


@pytest.mark.django_db
def test_health_needs_no_host_name_and_no_tls(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    answer = Client().get("/healthz", headers={"host": "10.0.0.7"})
    assert (answer.status_code, answer.content) == (200, b"ok")


def test_health_says_when_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError, connection

    def away() -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(connection, "cursor", away)
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.content) == (503, b"no database")
