"""kill -9 of the worker, of the web server, then of both, while images are made: nothing is lost or made twice."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from tests.models import tiny_models  # noqa: F401 - a fixture
from tests.services.servers import fresh_broker, fresh_database, kill_9
from tests.settings import ON_SERVICES

# PostgreSQL and Redis are killed in `tests/services/test_fifty_kills.py` too, which is as slow.
pytestmark = [pytest.mark.both_databases, *([pytest.mark.slow] if ON_SERVICES else [])]
PATIENCE_SECONDS = 3000
PLANNED = 2 * 3 * 8  # models, prompts, seeds
STUDY = """
name = "Crash"
slug = "crash"
[models.a]
name = "One"
checkpoint = "{models}/sdxl"
[models.b]
name = "Other"
checkpoint = "{models}/pixart"
[prompts]
list = ["a red bicycle", "a paper boat", "a blue door"]
[images]
per_set = 8
seeds = 7
[sampling]
width = 64
height = 64
num_inference_steps = 25
[encoder]
kind = "clip"
checkpoint = "{models}/clip"
"""


class Machine:
    """One machine that runs Semblance: its folder, its database, its processes."""

    def __init__(self, folder: Path, addresses: dict[str, str]) -> None:
        self.var = folder / "var"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CELERY_BROKER_URL")},
            **addresses,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SEMBLANCE_VAR": str(self.var),
        }
        self.running: list[subprocess.Popen[bytes]] = []

    def manage(self, *arguments: object) -> None:
        command = [sys.executable, "manage.py", *map(str, arguments)]
        subprocess.run(command, cwd=settings.BASE_DIR, env=self.environment, check=True, timeout=PATIENCE_SECONDS)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=settings.BASE_DIR, env=self.environment, start_new_session=True
        )
        self.running.append(process)
        return process

    def start_worker(self) -> subprocess.Popen[bytes]:
        return self.start("manage.py", "worker")

    def start_web(self) -> subprocess.Popen[bytes]:
        return self.start("-m", "gunicorn", "--config", "python:config.gunicorn", "--bind=127.0.0.1:0", "config.wsgi")

    def kill_worker(self, worker: subprocess.Popen[bytes]) -> None:
        """Kill the worker, and let its lease of a minute end at once."""
        kill_9(worker)
        self.execute("UPDATE generation_generationjob SET lease_expires_at = '2026-01-01' WHERE state = 'running'")

    def query(self, sql: str) -> list[Any]:
        url = self.environment.get("DATABASE_URL")
        if url:
            with psycopg.connect(url) as database:
                return list(database.execute(sql))
        with closing(self._file()) as file:
            return list(file.execute(sql))

    def execute(self, sql: str) -> None:
        url = self.environment.get("DATABASE_URL")
        if url:
            with psycopg.connect(url) as database:
                database.execute(sql)
            return
        with closing(self._file()) as file:
            file.execute(sql)
            file.commit()

    def _file(self) -> sqlite3.Connection:
        return sqlite3.connect(self.var / "semblance.sqlite3", timeout=600)

    def image_count(self) -> int:
        return int(self.query("SELECT count(*) FROM generation_generatedimage")[0][0])

    def await_images(self, count: int) -> None:
        """Wait until so many images exist, and not all: the moment to kill."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (there := self.image_count()) < count:
            assert time.monotonic() < deadline, f"{there} images, waiting for {count}"
            time.sleep(0.05)
        assert there < PLANNED, "generation was over before the kill: plan more images"

    def files(self) -> dict[str, str]:
        """Return the files of the media folder's image sets: path -> hash."""
        media = self.var / "media"
        found = [path for path in (media / "image_sets").rglob("*") if path.is_file()]
        return {str(path.relative_to(media)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}

    def renditions(self) -> list[Path]:
        """Check the renditions: each image in three sizes, and no half-written file."""
        media = self.var / "media"
        return [path for path in media.rglob("*") if path.is_file() and not path.is_relative_to(media / "image_sets")]


@contextmanager
def machine_with_study(folder: Path, variables: dict[str, str], models: Path) -> Iterator[Machine]:
    """Yield a machine with the study, and kill its processes at the end."""
    machine = Machine(folder, variables)
    machine.manage("migrate", "--verbosity", "0")
    study = folder / "study.toml"
    study.write_text(STUDY.format(models=models))
    machine.manage("create_study", study)
    yield machine
    for process in machine.running:
        if process.poll() is None:
            kill_9(process)


@pytest.fixture
def addresses() -> Iterator[dict[str, str]]:
    """Yield the variables of the database and the broker: none for the embedded ones, else PostgreSQL and Redis."""
    if not ON_SERVICES:
        yield {}
        return
    with fresh_database() as database, fresh_broker() as broker:
        yield {"DATABASE_URL": database, "CELERY_BROKER_URL": broker}


@pytest.fixture
def machine(tmp_path: Path, addresses: dict[str, str], tiny_models: Path) -> Iterator[Machine]:  # noqa: F811
    with machine_with_study(tmp_path, addresses, tiny_models) as machine:
        yield machine


def test_a_study_killed_three_times_has_exactly_the_planned_images(machine: Machine) -> None:
    web, worker = machine.start_web(), machine.start_worker()
    watching = machine.start("manage.py", "run_study", "crash")
    machine.await_images(3)
    machine.kill_worker(worker)
    worker = machine.start_worker()
    machine.await_images(machine.image_count() + 3)
    kill_9(web)
    web = machine.start_web()
    machine.await_images(machine.image_count() + 3)
    kill_9(watching)
    machine.kill_worker(worker)
    kill_9(web)

    machine.start_worker()
    machine.manage("run_study", "crash")

    rows = machine.query("SELECT image_set_id, seed, path, sha256 FROM generation_generatedimage")
    assert len(rows) == PLANNED
    assert len({(image_set, seed) for image_set, seed, _, _ in rows}) == PLANNED
    assert machine.files() == {path: sha256 for _, _, path, sha256 in rows}  # no orphan, none missing, none torn
    assert len(machine.renditions()) == 3 * PLANNED
    assert machine.query("SELECT count(*) FROM scoring_setscore") == [(6,)]
    assert machine.query("SELECT state FROM annotation_study") == [("ready",)]
