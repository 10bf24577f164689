"""The Celery application, configured by the CELERY_ names of config.settings."""

import logging
import os
import time
import warnings
from pathlib import Path
from typing import Any

from celery import Celery
from celery.bootsteps import StartStopStep
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]  # missing in celery-types
from celery.signals import heartbeat_sent, task_failure, task_postrun, task_prerun, worker_process_shutdown
from django.conf import settings
from django.db import DatabaseError, OperationalError, close_old_connections, connection
from kombu.transport import TRANSPORT_ALIASES

from config.one_message import OneMessageAtATime

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
TRANSPORT_ALIASES["sqla"] = "config.embedded_broker:Transport"
# Celery warns a worker that runs as root of pickled messages; ours are JSON only.
warnings.filterwarnings("ignore", category=SecurityWarning)

logger = logging.getLogger(__name__)

SECONDS_BEFORE_SENDING_AGAIN = 1.0

app = Celery("semblance")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@heartbeat_sent.connect
def touch_alive_file(sender: Any, **_: object) -> None:
    """Touch var/alive/<queue>@<host>: the event loop runs and reaches Redis. Health checks read the file's age."""
    folder = Path(settings.VAR_DIR) / "alive"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / sender.eventer.hostname).touch()
    except OSError as error:  # the file gets old, and the health check reports it
        logger.error("%s cannot be written to: %s", folder, error.strerror)


@task_prerun.connect
@task_postrun.connect
def renew_connections(task: Any, **_: object) -> None:
    """Give the database's connection back after each task, and drop one that an outage has broken.

    Celery's own handlers of these signals are installed before a fork, and a spawned process lacks them: it would keep
    a broken connection for ever, and fail with every message that it takes.
    """
    if not task.request.is_eager:
        close_old_connections()


@task_failure.connect
def keep_message(sender: Any, exception: BaseException, args: Any, kwargs: Any, **_: object) -> None:
    """Send a task's message again, after a pause, if the database was away: a queue would lose them all in seconds.

    Messages that expire are sent regularly anyway.
    """
    from jobs import messages  # models: Django is set up by now

    if isinstance(exception, OperationalError) and sender.request.expires is None and not sender.request.is_eager:
        time.sleep(SECONDS_BEFORE_SENDING_AGAIN)
        messages.send(sender.signature(args, kwargs))


@worker_process_shutdown.connect
def give_back_jobs(sender: str | None, **_: object) -> None:
    """Give the jobs back that this pool process still holds when it ends."""
    from jobs.work import give_back_all  # models: Django is set up by now

    if sender:
        give_back_all(sender)


class SignOfLife(StartStopStep):
    """Write the process's sign of life to the database regularly, for pages and commands on any machine.

    Celery's heartbeat is not used, because the embedded broker sends none.
    """

    requires = ("celery.worker.consumer.connection:Connection",)  # by name: a web process needs none of it

    def __init__(self, parent: Any, **options: Any) -> None:
        self.repetition: Any = None
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:
        """Start when the process has connected to its broker."""
        from generation.machines.workers import SECONDS_BETWEEN_SIGNS  # models: Django is set up by now

        tell_the_database(parent.hostname, has_started=True)
        self.repetition = parent.timer.call_repeatedly(SECONDS_BETWEEN_SIGNS, tell_the_database, (parent.hostname,))

    def stop(self, parent: Any) -> None:
        """Stop when the connection ends."""
        if self.repetition:
            self.repetition.cancel()


app.steps["consumer"].add(SignOfLife)
app.steps["consumer"].add(OneMessageAtATime)


def tell_the_database(name: str, *, has_started: bool = False) -> None:
    """Write the sign of life of the process `<queue>@<host>`; a database outage is ignored."""
    from generation.machines.workers import leave_sign

    try:
        leave_sign(name=name, has_started=has_started)
    except DatabaseError as error:
        logger.warning("no sign of life from %s: %s", name, error)
    finally:
        connection.close()
