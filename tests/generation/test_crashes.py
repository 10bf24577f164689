"""kill -9 in the middle of generation, then another worker: exactly the planned images, nothing else."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from generation.renditions import SIZES
from tests.generation.doomed_worker import SEEDS
from tests.generation.material import files_below
from tests.models import ROOT


class Machine:
    """A machine with nothing on it but a database and a media folder, on which workers come and go."""

    def __init__(self, var: Path) -> None:
        self.media = var / "media"
        self._database = var / "semblance.sqlite3"
        self._environment = {**os.environ, "SEMBLANCE_VAR": str(var), "DJANGO_SETTINGS_MODULE": "config.settings"}

    def worker(self, *arguments: str) -> int:
        """Run a worker to its end, or to its death; its exit status."""
        command = [sys.executable, "-m", "tests.generation.doomed_worker", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self._environment, check=False).returncode

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._database)) as connection:
            return connection.execute(sql).fetchall()

    def job(self) -> tuple[Any, ...]:
        return self.query("SELECT state, attempt_count FROM generation_generationjob")[0]

    def images(self) -> list[tuple[Any, ...]]:
        return self.query("SELECT seed, path, sha256 FROM generation_generatedimage ORDER BY seed")


def test_killed_twice_and_done_again(tmp_path: Path, tiny_models: Path) -> None:
    machine = Machine(tmp_path / "var")
    assert machine.worker("plan", str(tiny_models / "sdxl")) == 0

    assert machine.worker("run", "before") == -signal.SIGKILL
    assert (machine.job(), len(machine.images())) == (("running", 1), 4)
    assert any(name.endswith(".part") for name in files_below(machine.media))

    assert machine.worker("run", "after") == -signal.SIGKILL
    assert (machine.job(), len(machine.images())) == (("running", 2), 8)
    assert len(list(machine.media.glob("image_sets/*/*.png"))) == 9  # one without its row, for now

    assert machine.worker("run") == 0
    assert machine.job() == ("done", 3)
    images = machine.images()
    assert [seed for seed, _, _ in images] == SEEDS
    for _, path, sha256 in images:
        assert hashlib.sha256((machine.media / path).read_bytes()).hexdigest() == sha256
    (uid,) = {path.split("/")[1] for _, path, _ in images}
    renditions = [f"renditions/{uid}/{seed}-{name}-{side}.webp" for seed in SEEDS for name, side in SIZES.items()]
    assert files_below(machine.media) == sorted([*(path for _, path, _ in images), *renditions])
