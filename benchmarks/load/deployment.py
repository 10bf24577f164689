"""Semblance as in production, in its own folder: gunicorn, the whole middleware, a durable database."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path

from tests.services.servers import Server, descendants, free_port, kill_9, local_postgresql, local_redis

PROJECT = Path(__file__).resolve().parents[2]
HOST = "semblance.example"
PATIENCE_SECONDS = 60
# Variables that name a developer's own servers or change ours; they are removed.
FOREIGN = ("DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "LOG_LEVEL", "WEB_THREADS")


class Deployment:
    """The web server over its database (None: SQLite) and its Redis (None: the embedded queue)."""

    def __init__(self, folder: Path, *, processes: int, database: Server | None, broker: Server | None) -> None:
        self.database, self.broker, self.port = database, broker, free_port()
        self._log = folder / "web.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in FOREIGN},
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SEMBLANCE_VAR": str(folder),
            "ALLOWED_HOSTS": HOST,
            "CSRF_TRUSTED_ORIGINS": f"https://{HOST}",
            "HTTPS": "1",
            "LOG_FORMAT": "json",
            "WEB_CONCURRENCY": str(processes),
        }
        if database:
            self.environment["DATABASE_URL"] = database.url
        if broker:
            self.environment["CELERY_BROKER_URL"] = broker.url

    def manage(self, *arguments: str) -> None:
        """Run a command of manage.py without its output, which would stand between the benchmark's lines."""
        command = [sys.executable, "manage.py", *arguments]
        subprocess.run(command, cwd=PROJECT, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Start the web server, as docker-compose.yml does, and wait until it is healthy."""
        bind = ("--bind", f"127.0.0.1:{self.port}")
        command = [sys.executable, "-m", "gunicorn", "--config", "python:config.gunicorn", *bind, "config.wsgi"]
        with self._log.open("ab") as log:
            self.web = subprocess.Popen(
                command, cwd=PROJECT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._is_healthy():
            if time.monotonic() > deadline or self.web.poll() is not None:
                raise SystemExit(f"The web server did not come up: {self._log.read_text()[-2000:]}")
            time.sleep(0.1)

    def _is_healthy(self) -> bool:
        line = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            line.request("GET", "/healthz")
            return line.getresponse().status == 200
        except OSError:
            return False
        finally:
            line.close()

    def kill_one_process(self) -> None:
        """Kill one of the web processes by kill -9; gunicorn replaces it."""
        os.kill(descendants(self.web.pid)[0], 9)

    def kill(self) -> None:
        """Kill the whole web server by kill -9."""
        kill_9(self.web)

    def end(self) -> None:
        """Stop the web server gracefully."""
        self.web.terminate()
        try:
            self.web.wait(timeout=30)
        except subprocess.TimeoutExpired:
            kill_9(self.web)

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time used so far by the web processes and by the database server."""
        used = {"web": _cpu_seconds(self.web.pid)}
        return used | ({"database": _cpu_seconds(self.database.pid)} if self.database else {})


def _cpu_seconds(root: int) -> float:
    """Return the CPU time of the process and its living descendants."""
    ticks = 0
    for pid in [root, *descendants(root)]:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))  # user and system time, also of children that ended
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def deployment(*, database: str, processes: int) -> Iterator[Deployment]:
    """Make an empty, migrated installation that does not serve yet: `sqlite`, or `postgresql` with a Redis."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="semblance-load-")))
        on_postgresql = database == "postgresql"
        made = Deployment(
            folder,
            processes=processes,
            database=stack.enter_context(local_postgresql(is_durable=True)) if on_postgresql else None,
            broker=stack.enter_context(local_redis()) if on_postgresql else None,
        )
        made.manage("migrate", "--verbosity", "0")
        made.manage("collectstatic", "--no-input", "--verbosity", "0")
        yield made
