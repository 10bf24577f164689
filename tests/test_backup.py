"""The rehearsed backup: made while people vote, restored into an empty installation, and people vote on."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from tests.backup_steps import COMPARISONS, PEOPLE
from tests.object_storage import ObjectStorage, object_storage_server
from tests.services.servers import fresh_database

pytestmark = pytest.mark.slow
VOTES = PEOPLE * COMPARISONS
PATIENCE_SECONDS = 600


class Installation:
    """An installation of its own: its var folder, its database, where its images lie."""

    def __init__(self, var: Path, **addresses: str) -> None:
        self.var = var
        self.addresses = addresses
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CELERY_BROKER_URL")},
            **addresses,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SEMBLANCE_VAR": str(var),
            "ALLOWED_HOSTS": "testserver",
        }

    def run(self, *arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=settings.BASE_DIR, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def step(self, *arguments: str) -> Any:
        return json.loads(self.run("-m", "tests.backup_steps", *arguments).splitlines()[-1])

    def start_voting(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.backup_steps", "vote"]
        return subprocess.Popen(command, cwd=settings.BASE_DIR, env=self.environment, stdout=subprocess.DEVNULL)

    def vote_count(self) -> int:
        statement = "SELECT count(*) FROM annotation_vote"
        if url := self.addresses.get("DATABASE_URL"):
            with psycopg.connect(url) as postgresql:
                return int(postgresql.execute(statement).fetchone()[0])  # type: ignore[index]
        with closing(sqlite3.connect(self.var / "semblance.sqlite3")) as sqlite:
            return int(sqlite.execute(statement).fetchone()[0])


def back_up_database(source: Installation, backup: Path) -> None:
    """Copy the database as docs/operations.md says."""
    if url := source.addresses.get("DATABASE_URL"):
        subprocess.run(["pg_dump", "--format=custom", "--file", backup / "semblance.dump", url], check=True)
        return
    live, copy = (sqlite3.connect(folder / "semblance.sqlite3") for folder in (source.var, backup))
    with closing(live), closing(copy):
        live.backup(copy)


def restore_database(backup: Path, target: Installation) -> None:
    if url := target.addresses.get("DATABASE_URL"):
        subprocess.run(["pg_restore", "--no-owner", "--dbname", url, backup / "semblance.dump"], check=True)
    else:
        shutil.copy(backup / "semblance.sqlite3", target.var / "semblance.sqlite3")


def rehearse(source: Installation, target: Installation, tmp_path: Path, s3: ObjectStorage | None = None) -> None:
    """Back up while people vote, restore, verify, and vote to the end."""
    backup = tmp_path / "backup"
    backup.mkdir()
    source.run("manage.py", "migrate", "--verbosity", "0")
    address = source.step("make")["address"]
    voting = source.start_voting()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while source.vote_count() < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    back_up_database(source, backup)
    if s3:
        copy_objects(s3, "source", "target")
    else:
        shutil.copytree(source.var / "media", backup / "media")
    shutil.copy(source.var / "secret_key", backup / "secret_key")
    assert voting.wait(PATIENCE_SECONDS) == 0

    target.var.mkdir()
    shutil.copy(backup / "secret_key", target.var / "secret_key")
    restore_database(backup, target)
    if not s3:
        shutil.copytree(backup / "media", target.var / "media")
    target.run("manage.py", "migrate", "--verbosity", "0")
    images = 2 * COMPARISONS * 2
    assert target.run("manage.py", "verify_images") == f"{images} images and {3 * images} renditions verified.\n"
    found = target.step("finish", address)
    assert 3 <= found["before"] <= VOTES
    assert found["accepted"] == VOTES - found["before"]
    assert (found["after"], found["finished"], found["state"]) == (VOTES, PEOPLE, "open")
    assert found["image"] == [200, "image/webp"]  # an address that was handed out before the backup


def copy_objects(s3: ObjectStorage, source: str, target: str) -> None:
    client = s3.client()
    for one in client.list_objects_v2(Bucket=source)["Contents"]:
        client.copy_object(Bucket=target, Key=one["Key"], CopySource={"Bucket": source, "Key": one["Key"]})
    client.close()


def test_embedded(tmp_path: Path) -> None:
    rehearse(Installation(tmp_path / "source"), Installation(tmp_path / "target"), tmp_path)


@pytest.fixture
def s3() -> Iterator[ObjectStorage]:
    with object_storage_server() as server:
        client = server.client()
        for bucket in ("source", "target"):
            client.create_bucket(Bucket=bucket)
        client.close()
        yield server


def test_images_in_an_object_storage(tmp_path: Path, s3: ObjectStorage) -> None:
    source, target = (Installation(tmp_path / name, **s3.variables(name)) for name in ("source", "target"))
    rehearse(source, target, tmp_path, s3)
    assert not (target.var / "media").exists()


@pytest.mark.services
def test_postgresql(tmp_path: Path) -> None:
    with fresh_database() as one, fresh_database() as other:
        source = Installation(tmp_path / "source", DATABASE_URL=one)
        rehearse(source, Installation(tmp_path / "target", DATABASE_URL=other), tmp_path)
