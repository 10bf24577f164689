"""Throw-away PostgreSQL and Redis: private servers on random ports, from local binaries or else Docker.

A developer's own servers are never touched: only what TEST_DATABASE_URL or TEST_BROKER_URL names is used.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypedDict

import psycopg
import redis

WHAT_TO_INSTALL = (
    "The service tests need a PostgreSQL and a Redis, and neither TEST_DATABASE_URL and TEST_BROKER_URL nor local "
    "binaries nor Docker gives them. Install them with: apt-get install -y postgresql redis-server"
)
PATIENCE_SECONDS = 600
OURS = "semblance-tests"  # the process that sets this key in a database of Redis may use the database
Argument = str | Path


class ServicesMissingError(Exception):
    """This machine has no PostgreSQL or Redis, and no Docker to run them."""


def free_port() -> int:
    """Return a TCP port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def services() -> Iterator[dict[str, str]]:
    """The environment of the service tests: TEST_DATABASE_URL and TEST_BROKER_URL.

    Raises:
        ServicesMissingError: with the sentence that says what to install.
    """
    with ExitStack() as stack:
        database = os.environ.get("TEST_DATABASE_URL") or stack.enter_context(postgresql())
        broker = os.environ.get("TEST_BROKER_URL") or stack.enter_context(redis_server())
        yield {"TEST_DATABASE_URL": database, "TEST_BROKER_URL": broker}


@contextmanager
def fresh_database() -> Iterator[str]:
    """An empty database of the server at TEST_DATABASE_URL, dropped afterwards."""
    server, name = os.environ["TEST_DATABASE_URL"], f"semblance_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def fresh_broker() -> Iterator[str]:
    """Yield an empty database of the Redis at TEST_BROKER_URL, marked with the key OURS; empty it again afterwards.

    Raises:
        ServicesMissingError: every database holds something; what others left there is never flushed.
    """
    addresses = [f"{os.environ['TEST_BROKER_URL'].rpartition('/')[0]}/{number}" for number in range(15, -1, -1)]
    for url in addresses:
        with redis.Redis.from_url(url) as client:
            if client.dbsize() == 0 and client.set(OURS, os.getpid(), nx=True):
                try:
                    yield url
                finally:
                    client.flushdb()
                return
    raise ServicesMissingError("Every database of the Redis at TEST_BROKER_URL holds something; give an empty one.")


@contextmanager
def postgresql() -> Iterator[str]:
    """A private PostgreSQL; the address of its empty database."""
    folder = _postgresql_binaries()
    if folder is not None:
        with local_postgresql(folder) as server:
            yield server.url
    elif _has_docker():
        with _container("postgres:17-alpine", 5432, "POSTGRES_HOST_AUTH_METHOD=trust") as port:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            _wait_until(lambda: _postgresql_answers(url), "PostgreSQL in Docker")
            yield url
    else:
        raise ServicesMissingError(WHAT_TO_INSTALL)


@contextmanager
def redis_server() -> Iterator[str]:
    """A private Redis that keeps nothing; its address."""
    binary = _redis_binary()
    if binary is not None:
        with local_redis(binary) as server:
            yield server.url
    elif _has_docker():
        with _container("redis:8-alpine", 6379) as port:
            url = f"redis://127.0.0.1:{port}/0"
            _wait_until(lambda: _redis_answers(url), "Redis in Docker")
            yield url
    else:
        raise ServicesMissingError(WHAT_TO_INSTALL)


def _redis_binary() -> str | None:
    return shutil.which("redis-server") or shutil.which("valkey-server")


def _postgresql_binaries() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    # Debian keeps the server's programs off PATH; the newest version is the last.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    return versions[-1].parent if versions else None


class Identity(TypedDict, total=False):
    """The account of a child process; empty: the current one."""

    user: int
    group: int


def _unprivileged() -> Identity:
    """Return the account for initdb and postgres, which refuse root: `postgres` or `nobody` if we are root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid}
    raise ServicesMissingError("PostgreSQL refuses to run as root: make a user `postgres` that it can run as.")


class Server:
    """A server process of ours, which can be killed and started again on the same data and address."""

    def __init__(self, url: str, command: list[Argument], *, folder: Path, identity: Identity) -> None:
        self.url, self._command, self._folder, self._identity = url, command, folder, identity
        self._answers = _postgresql_answers if url.startswith("postgresql") else _redis_answers

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=log, **self._identity)
        _wait_until(lambda: self._answers(self.url), str(self._command[0]))

    @property
    def pid(self) -> int:
        """The id of its process while it runs."""
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL to it and to everything it started."""
        kill_9(self._process)

    def end(self) -> None:
        """Stop it gracefully by SIGINT: PostgreSQL then does not wait for clients; Redis ends too."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            kill_9(self._process)


def kill_9(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the process and everything it started, as the out-of-memory killer or a power cut would."""
    for pid in [process.pid, *descendants(process.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = [child for child, parent in parents if parent == pid]
    return found + [grandchild for child in found for grandchild in descendants(child)]


@contextmanager
def local_postgresql(binaries: Path | None = None, *, is_durable: bool = False) -> Iterator[Server]:
    """A private PostgreSQL from local binaries; durable: what it has committed survives a power cut."""
    binaries = binaries or _postgresql_binaries()
    if binaries is None:
        raise ServicesMissingError(WHAT_TO_INSTALL)
    port, identity = free_port(), _unprivileged()
    with _temporary_folder(identity) as folder:
        _initdb(binaries, folder, identity)
        options: dict[str, object] = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "on" if is_durable else "off",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command: list[Argument] = [binaries / "postgres", "-D", folder / "data", *arguments]
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        with _running(Server(url, command, folder=folder, identity=identity)) as server:
            yield server


def _initdb(binaries: Path, folder: Path, identity: Identity) -> None:
    command: list[Argument] = [binaries / "initdb", "--pgdata", folder / "data", "--auth=trust", "--username=postgres"]
    made = subprocess.run(
        [*command, "--encoding=UTF8", "--locale=C", "--no-sync"],
        cwd=folder,
        capture_output=True,
        text=True,
        **identity,
    )
    if made.returncode:
        raise ServicesMissingError(f"initdb failed: {made.stderr.strip()}")


@contextmanager
def local_redis(binary: str | None = None) -> Iterator[Server]:
    """A private Redis from a local binary; it keeps nothing."""
    binary = binary or _redis_binary()
    if binary is None:
        raise ServicesMissingError(WHAT_TO_INSTALL)
    port = free_port()
    with _temporary_folder({}) as folder:
        command: list[Argument] = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with _running(Server(f"redis://127.0.0.1:{port}/0", command, folder=folder, identity={})) as server:
            yield server


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.end()


@contextmanager
def _container(image: str, port: int, *environment: str) -> Iterator[int]:
    """Run a private container and return its port on this machine."""
    settings = [part for pair in environment for part in ("--env", pair)]
    run = ["docker", "run", "--detach", "--rm", "--publish", f"127.0.0.1::{port}", *settings, image]
    started = subprocess.run(run, capture_output=True, text=True)
    if started.returncode:
        raise ServicesMissingError(f"{WHAT_TO_INSTALL}\n(Docker was tried: {started.stderr.strip()})")
    name = started.stdout.strip()
    try:
        where = subprocess.run(["docker", "port", name, str(port)], check=True, capture_output=True, text=True).stdout
        yield int(where.split()[0].rpartition(":")[2])
    finally:
        subprocess.run(["docker", "stop", name], check=False, capture_output=True)


def _has_docker() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True).returncode == 0


@contextmanager
def _temporary_folder(identity: Identity) -> Iterator[Path]:
    # Short, directly below /tmp: the path of a Unix socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="semblance-services-", dir="/tmp"))
    try:
        if identity:
            os.chown(folder, identity["user"], identity["group"])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until(answers: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not answers():
        if time.monotonic() > deadline:
            raise ServicesMissingError(f"{what} did not answer within {PATIENCE_SECONDS} seconds.")
        time.sleep(0.1)


def _postgresql_answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=60).close()
    except psycopg.OperationalError:
        return False
    return True


def _redis_answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=60)
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
    finally:
        client.close()
