"""docker-compose.yml: each of its commands, with its environment and health check, on local services.

Docker is not needed: only the file's host names, ports and folders are replaced.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml
from django.conf import settings

from annotation.management.commands.worker import SECONDS_TO_END
from annotation.management.processes import SECONDS_TO_GIVE_BACK
from tests.services.servers import free_port, fresh_broker, fresh_database

PATIENCE_SECONDS = 900
COMPOSE_FILE = settings.BASE_DIR / "docker-compose.yml"
SECRETS = ("SECRET_KEY", "SITE_HOST", "POSTGRES_PASSWORD", "REDIS_PASSWORD")
OURS = ("migrate", "web", "worker", "worker-gpu", "worker-endpoints")
ENDPOINTS = '[painter]\nadapter = "semblance"\nurl = "https://images.example/paint"\n'


def read_compose(variables: dict[str, str]) -> dict[str, Any]:
    """The services, with ${NAME}, ${NAME:-default} and ${NAME:?message} filled in as compose does."""

    def fill(match: re.Match[str]) -> str:
        name, operator, word = match.groups()
        if name in variables:
            return variables[name]
        assert operator == ":-", f"{name} has neither a value nor a default"
        return str(word)

    text, count = COMPOSE_FILE.read_text(), 1
    while count:  # a default may hold another variable
        text, count = re.subn(r"\$\{(\w+)(?:(:[-?])([^${}]*))?\}", fill, text)
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return services


class Composition:
    """The application's services of docker-compose.yml, on this machine."""

    def __init__(self, database_url: str, broker_url: str, folder: Path) -> None:
        database = urlsplit(database_url)
        self.port = free_port()
        self.services = read_compose(
            {
                "SECRET_KEY": "a-key-for-this-test-alone-" * 3,
                "SITE_HOST": "semblance.example",
                "POSTGRES_USER": str(database.username),
                "POSTGRES_PASSWORD": database.password or "trusted",
                "POSTGRES_DB": database.path.lstrip("/"),
                "REDIS_PASSWORD": "a-password",
            }
        )
        # Longest first, so that no replacement cuts into another.
        self.replacements = {
            "@postgres:5432/": f"@{database.hostname}:{database.port}/",
            "redis://:a-password@redis:6379/0": broker_url,
            "0.0.0.0:8000": f"127.0.0.1:{self.port}",
            "127.0.0.1:8000": f"127.0.0.1:{self.port}",
            "/var/lib/semblance": str(folder / "var"),
            "/app/staticfiles": str(folder / "static"),
            "/etc/semblance/endpoints": str(folder),
        }

    def here(self, text: str) -> str:
        for there, here in self.replacements.items():
            text = text.replace(there, here)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """As in the container: PATH leads to the installed programs first, and nothing of ours leaks in."""
        given = {key: self.here(value) for key, value in self.services[name]["environment"].items()}
        return {"PATH": f"{settings.BASE_DIR}/.venv/bin:{os.environ['PATH']}", **given}

    def command(self, name: str) -> list[str]:
        return [self.here(part) for part in self.services[name]["command"]]

    def is_healthy(self, name: str) -> bool:
        kind, *words = self.services[name]["healthcheck"]["test"]
        # Compose writes $$ for a dollar sign of the shell.
        parts = [self.here(word).replace("$$", "$") for word in words]
        command = ["sh", "-c", parts[0]] if kind == "CMD-SHELL" else parts
        return subprocess.run(command, env=self.environment(name), capture_output=True).returncode == 0

    @contextmanager
    def up(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            self.command(name), cwd=settings.BASE_DIR, env=self.environment(name), start_new_session=True
        )
        try:
            yield process
            process.send_signal(signal.SIGTERM)  # what `docker compose stop` sends
            assert process.wait() == 0
        finally:
            with_nobody_left(process)


def with_nobody_left(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def becomes_true(question: Any) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


@pytest.fixture(scope="module")
def composition(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composition]:
    with fresh_database() as database_url, fresh_broker() as broker_url:
        folder = tmp_path_factory.mktemp("composition")
        (folder / "endpoints.toml").write_text(ENDPOINTS)
        made = Composition(database_url, broker_url, folder)
        # What the image's build does.
        collect = ["python", "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
        subprocess.run(collect, cwd=settings.BASE_DIR, env=made.environment("web"), check=True)
        migrated = subprocess.run(made.command("migrate"), cwd=settings.BASE_DIR, env=made.environment("migrate"))
        assert migrated.returncode == 0
        yield made


def test_the_migration_makes_the_tables(composition: Composition) -> None:
    with psycopg.connect(composition.environment("web")["DATABASE_URL"]) as database:
        row = database.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'annotation_vote'").fetchone()
    assert row == (1,)


def test_the_web_server_serves_and_is_healthy(composition: Composition) -> None:
    with composition.up("web"):
        assert becomes_true(lambda: composition.is_healthy("web"))
        with socket.create_connection(("127.0.0.1", composition.port)) as line:
            line.sendall(b"GET / HTTP/1.1\r\nHost: semblance.example\r\nConnection: close\r\n\r\n")
            plain = line.recv(4096).decode()
        with socket.create_connection(("127.0.0.1", composition.port)) as line:
            line.sendall(
                b"GET / HTTP/1.1\r\nHost: semblance.example\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
            )
            behind_the_proxy = line.recv(4096).decode()
    assert plain.startswith("HTTP/1.1 301")
    assert behind_the_proxy.startswith("HTTP/1.1 200")
    assert "Strict-Transport-Security: max-age=31536000\r\n" in behind_the_proxy  # no other name, no preload list
    assert not composition.is_healthy("web")  # the check sees that it is gone


@pytest.mark.parametrize("name", ["worker", "worker-gpu", "worker-endpoints"])
def test_a_worker_reaches_the_broker_and_is_healthy(composition: Composition, name: str) -> None:
    assert not composition.is_healthy(name)
    with composition.up(name):
        assert becomes_true(lambda: composition.is_healthy(name))


def test_every_secret_is_asked_for() -> None:
    text = COMPOSE_FILE.read_text()
    for name in SECRETS:
        assert re.search(rf"\$\{{{name}:\?", text)
        assert re.search(rf"^{name}=$", (settings.BASE_DIR / "deploy/example.env").read_text(), flags=re.MULTILINE)
        assert not re.search(rf"\$\{{{name}(?::-[^}}]*)?\}}", text)


def test_every_service_has_limits_and_no_privilege_that_it_does_not_name() -> None:
    services = read_compose(dict.fromkeys(SECRETS, "x"))
    for service in services.values():
        assert service["mem_limit"]
        assert service["pids_limit"]
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert {name: service["cap_add"] for name, service in services.items() if "cap_add" in service} == {
        "postgres": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"],
        "proxy": ["NET_BIND_SERVICE"],
    }


def test_the_hubs_token_reaches_the_gpu_worker_and_no_other_service() -> None:
    given = {"HF_TOKEN": "hf_secret", "HTTPS_PROXY": "http://proxy:3128", "HF_ENDPOINT": "https://mirror.example"}
    services = read_compose(dict.fromkeys(SECRETS, "x") | given)
    assert given.items() <= services["worker-gpu"]["environment"].items()
    assert [name for name, service in services.items() if "HF_TOKEN" in service.get("environment", {})] == [
        "worker-gpu"
    ]
    bare = read_compose(dict.fromkeys(SECRETS, "x"))["worker-gpu"]["environment"]
    assert bare["HF_ENDPOINT"] == "https://huggingface.co"  # an empty one would be taken for an address
    assert bare["HF_TOKEN"] == ""


def test_the_keys_of_endpoints_reach_their_worker_alone() -> None:
    services = read_compose(dict.fromkeys(SECRETS, "x") | {"ENDPOINTS_FOLDER": "/srv/endpoints"})
    mounted = {
        name: [volume for volume in one.get("volumes", []) if "/srv/" in volume] for name, one in services.items()
    }
    assert {name: volumes for name, volumes in mounted.items() if volumes} == {
        "worker-endpoints": ["/srv/endpoints:/etc/semblance/endpoints:ro"]
    }
    assert "outside" in services["worker-endpoints"]["networks"]


def test_redis_asks_for_its_password(tmp_path: Path) -> None:
    service, port = read_compose(dict.fromkeys(SECRETS, "a-password"))["redis"], str(free_port())
    (kind, check), password = service["healthcheck"]["test"], service["environment"]["REDISCLI_AUTH"]
    assert kind == "CMD-SHELL"

    def is_healthy(password: str) -> bool:
        environment = {"PATH": os.environ["PATH"], "REDISCLI_AUTH": password}
        here = check.replace("redis-cli", f"redis-cli -p {port}")
        return subprocess.run(["sh", "-c", here], env=environment, capture_output=True).returncode == 0

    assert not is_healthy(password)
    process = subprocess.Popen([*service["command"], "--port", port], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        assert becomes_true(lambda: is_healthy(password))
        assert not is_healthy("another")
    finally:
        process.kill()
        process.wait()


def test_the_grace_period_is_above_the_soft_shutdown() -> None:
    services = read_compose(dict.fromkeys(SECRETS, "x"))
    for name in ("worker", "worker-gpu", "worker-endpoints"):
        grace = int(services[name]["stop_grace_period"].removesuffix("s"))
        assert grace > settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT + SECONDS_TO_END + SECONDS_TO_GIVE_BACK + 10


def test_the_web_image_holds_no_torch() -> None:
    dockerfile = (settings.BASE_DIR / "Dockerfile").read_text()
    stages = re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)[1:]
    by_name = {shlex.split(stage.splitlines()[0])[2]: stage for stage in stages}
    assert "torch" not in by_name["build"]
    assert "--from=build /venv" in by_name["web"]
    for stage in ("web", "gpu"):
        assert "USER semblance" in by_name[stage]
    services = read_compose(dict.fromkeys(SECRETS, "x"))
    assert {name: services[name]["build"]["target"] for name in OURS} == {
        "migrate": "web",
        "web": "web",
        "worker": "web",
        "worker-gpu": "gpu",
        "worker-endpoints": "web",
    }
