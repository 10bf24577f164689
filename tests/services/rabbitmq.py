"""A throw-away RabbitMQ on random ports, from the binaries of Debian's rabbitmq-server, with a short patience."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from amqp import Connection

from tests.services.servers import ServicesMissingError, _temporary_folder, _wait_until, free_port

# Debian's /usr/sbin/rabbitmq-server wants to become another user; this one does not.
BINARIES = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/sbin/rabbitmq-server")


@contextmanager
def rabbitmq(*, unacknowledged_seconds: float) -> Iterator[str]:
    """A private RabbitMQ that closes a channel with a message left unacknowledged for so long; its address."""
    binary = next((path for path in BINARIES if Path(path).exists()), None) or shutil.which("rabbitmq-server")
    if binary is None:
        raise ServicesMissingError("The slow service tests need RabbitMQ: apt-get install -y rabbitmq-server")
    port, epmd, distribution = free_port(), free_port(), free_port()
    with _temporary_folder({}) as folder:
        (folder / "advanced.config").write_text(
            f'[{{rabbit, [{{tcp_listeners, [{{"127.0.0.1", {port}}}]}}, {{channel_tick_interval, 500}}, '
            f"{{consumer_timeout, {round(1000 * unacknowledged_seconds)}}}]}}]."
        )
        (folder / "enabled_plugins").write_text("[].")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"semblance{port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none-either"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(distribution),
            "ERL_EPMD_PORT": str(epmd),
        }
        log = (folder / "output").open("wb")
        process = subprocess.Popen([binary], env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            url = f"amqp://guest:guest@127.0.0.1:{port}//"
            _wait_until(lambda: _answers(port), f"RabbitMQ ({folder}/output)")
            yield url
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            # Erlang's port mapper refuses until it has noticed that the server is gone.
            _wait_until(lambda: _has_ended(environment), "the end of Erlang's port mapper")
            log.close()


def _answers(port: int) -> bool:
    try:
        with Connection(f"127.0.0.1:{port}", userid="guest", password="guest", connect_timeout=5):
            return True
    except OSError:
        return False


def _has_ended(environment: dict[str, str]) -> bool:
    """Ask the port mapper to end; return whether it has."""
    subprocess.run(["epmd", "-kill"], env=environment, capture_output=True)
    return subprocess.run(["epmd", "-names"], env=environment, capture_output=True).returncode != 0
