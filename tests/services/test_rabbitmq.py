"""RabbitMQ as the queue: its limit of unacknowledged messages is respected, and a study is made."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.models import tiny_models
from tests.services.rabbitmq import rabbitmq
from tests.services.servers import fresh_database
from tests.test_crash import PLANNED, STUDY, Machine

__all__ = ["tiny_models"]
pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 900
LIMIT = 12.0  # seconds, above what a pool process takes to start; RabbitMQ has 30 minutes


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with rabbitmq(unacknowledged_seconds=LIMIT) as url:
        yield url


def test_jobs_that_take_longer_than_the_limit_and_those_behind_them(broker: str, tmp_path: Path) -> None:
    done = tmp_path / "done"
    environment = {
        **os.environ,
        "CELERY_BROKER_URL": broker,
        "SEMBLANCE_VAR": str(tmp_path / "var"),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    environment.pop("DATABASE_URL", None)
    send = (
        "import tests.services.slow_app as slow\n"
        f"for name in 'ab': slow.sleep_and_note.apply_async(({1.5 * LIMIT}, name, {str(done)!r}), queue='control')"
    )
    subprocess.run([sys.executable, "-c", send], cwd=settings.BASE_DIR, env=environment, check=True)
    log = (tmp_path / "log").open("wb")
    command = ["-m", "celery", "-A", "tests.services.slow_app", "worker", "-Q", "control", "--concurrency", "1"]
    worker = subprocess.Popen(
        [sys.executable, *command, "--without-gossip", "--without-mingle", "--loglevel", "WARNING"],
        cwd=settings.BASE_DIR,
        env=environment,
        stderr=log,
        stdout=log,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (done.read_text() if done.exists() else "") != "a\nb\n":
            assert worker.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(LIMIT)
        assert worker.poll() is None
        assert done.read_text() == "a\nb\n"  # none was delivered again
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        log.close()
    assert "PRECONDITION_FAILED" not in (tmp_path / "log").read_text()


def test_a_study_is_made_although_its_worker_is_killed(broker: str, tmp_path: Path, tiny_models: Path) -> None:
    with fresh_database() as database:
        machine = Machine(tmp_path, {"DATABASE_URL": database, "CELERY_BROKER_URL": broker})
        try:
            machine.manage("migrate", "--verbosity", "0")
            study = tmp_path / "study.toml"
            study.write_text(STUDY.format(models=tiny_models))
            machine.manage("create_study", study)
            worker = machine.start_worker()
            machine.start("manage.py", "run_study", "crash")
            machine.await_images(3)
            machine.kill_worker(worker)
            machine.start_worker()
            machine.manage("run_study", "crash")
            assert machine.image_count() == PLANNED
            assert machine.query("SELECT count(*) FROM scoring_setscore") == [(6,)]
        finally:
            for process in machine.running:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
