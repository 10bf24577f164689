"""Fifty times kill -9, at random moments and of random processes, while studies are made: nothing is lost or left.

The victims are the worker and its processes, a PostgreSQL and a Redis of the test's own.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings

from tests.models import tiny_models
from tests.services.servers import Server, descendants, kill_9, local_postgresql, local_redis
from tests.test_crash import PATIENCE_SECONDS, STUDY, Machine

__all__ = ["tiny_models"]
pytestmark = pytest.mark.slow
KILLS = 50
SETS_PER_KILL = 2  # of eight images: enough that no study is finished before the last kill
LONGEST_PAUSE = 3.0  # seconds from the first image after a kill to the next kill
RETRY = (
    "import django; django.setup(); from annotation.models import Study; "
    "from annotation.studies.lifecycle.pipeline_jobs import retry_failed; print(retry_failed(Study.objects.get()))"
)


class Fleet:
    """A machine with its worker, and the servers that it needs."""

    def __init__(self, machine: Machine, database: Server, broker: Server) -> None:
        self.machine, self.database, self.broker = machine, database, broker
        self.killed: Counter[str] = Counter()
        self.worker = machine.start_worker()
        self.watching = machine.start("manage.py", "run_study", "crash")

    def kill(self, victim: str) -> None:
        """Kill a process, and start again what has no supervisor."""
        if victim in ("postgresql", "redis"):
            server = self.database if victim == "postgresql" else self.broker
            server.kill()
            server.start()
        elif victim == "worker":
            kill_9(self.worker)
            self.worker = self.machine.start_worker()
        elif not self._kill_child(victim):
            return
        self.killed[victim] += 1
        self._let_time_pass()
        if self.watching.poll() is not None:  # it says that the database is away, and ends
            self.watching = self.machine.start("manage.py", "run_study", "crash")

    def _kill_child(self, victim: str) -> bool:
        """Kill the process of a queue, or with the name `pool` the one of the queue gpu that makes images."""
        queue = "gpu" if victim == "pool" else victim
        of_queue = [pid for pid in descendants(self.worker.pid) if f"{queue}@%h" in _arguments(pid)]
        children = descendants(of_queue[0]) if of_queue and victim == "pool" else of_queue
        for pid in children[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
        return False  # it is being started

    def _let_time_pass(self) -> None:
        """Let leases, pauses and the patience with lost messages end at once."""
        waiting = "not_before = NULL, enqueued_at = NULL"
        for table in ("generation_generationjob", "generation_modeltrial", "scoring_scoringjob"):
            self.machine.execute(f"UPDATE {table} SET lease_expires_at = '2026-01-01' WHERE state = 'running'")
            self.machine.execute(f"UPDATE {table} SET {waiting} WHERE state = 'queued'")

    def end(self) -> None:
        for process in self.machine.running:
            if process.poll() is None:
                kill_9(process)


def _arguments(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def await_true(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def fleet(tmp_path: Path, tiny_models: Path) -> Iterator[Fleet]:
    with local_postgresql() as database, local_redis() as broker:
        machine = Machine(tmp_path, {"DATABASE_URL": database.url, "CELERY_BROKER_URL": broker.url})
        machine.manage("migrate", "--verbosity", "0")
        prompts = [f"{number} red cubes" for number in range(1, KILLS * SETS_PER_KILL // 2 + 1)]
        study = tmp_path / "study.toml"
        text = re.sub("^list = .*$", f"list = {prompts}", STUDY.format(models=tiny_models), flags=re.MULTILINE)
        study.write_text(text)
        machine.manage("create_study", study)
        fleet = Fleet(machine, database, broker)
        yield fleet
        fleet.end()


def finish(machine: Machine) -> int:
    """Watch the study to its end, and retry the jobs that used up their attempts. Return how many."""
    retried = 0
    for _ in range(KILLS):
        watched = subprocess.run(
            [sys.executable, "manage.py", "run_study", "crash"],
            cwd=settings.BASE_DIR,
            env=machine.environment,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_SECONDS,
            text=True,
        )
        if watched.returncode == 0:
            return retried
        assert "Given up after 3 attempts: " in watched.stderr, watched.stderr
        retry = [sys.executable, "-c", RETRY]
        retried += int(subprocess.check_output(retry, cwd=settings.BASE_DIR, env=machine.environment))
    raise AssertionError("the study does not end")


def test_fifty_kills(fleet: Fleet) -> None:
    machine, chance = fleet.machine, random.Random(16)
    planned = 8 * KILLS * SETS_PER_KILL
    began = time.monotonic()
    while fleet.killed.total() < KILLS:
        before = machine.image_count()
        await_true(lambda: machine.image_count() > before)  # noqa: B023 - called at once
        time.sleep(chance.uniform(0, LONGEST_PAUSE))
        assert machine.image_count() < planned, "all images were made before the last kill: plan more"
        fleet.kill(chance.choice(("pool", "pool", "gpu", "control", "worker", "postgresql", "redis")))
    killed_for = time.monotonic() - began
    there = machine.image_count()

    retried = finish(machine)
    print(
        f"\n{dict(fleet.killed)} killed in {killed_for:.0f} s at {there} of {planned} images; {retried} jobs retried; "
        f"all done after {time.monotonic() - began:.0f} s"
    )

    rows = machine.query("SELECT image_set_id, seed, path, sha256 FROM generation_generatedimage")
    assert len(rows) == planned
    assert len({(image_set, seed) for image_set, seed, _, _ in rows}) == planned
    assert machine.files() == {path: sha256 for _, _, path, sha256 in rows}  # no orphan, none missing, none torn
    assert len(machine.renditions()) == 3 * planned
    assert machine.query("SELECT count(*) FROM scoring_setscore") == [(KILLS * SETS_PER_KILL,)]
    assert machine.query("SELECT state FROM annotation_study") == [("ready",)]
    machine.manage("verify_images", "--older-than", "0")
