"""The Celery application: its settings are the CELERY_ names of config.settings."""

import logging
import os
import time
import warnings
from pathlib import Path
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]  # missing in celery-types
from celery.signals import heartbeat_sent
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
TRANSPORT_ALIASES["sqla"] = "config.embedded_broker:Transport"
# Said to whoever is root, because of pickled messages; ours are JSON only.
warnings.filterwarnings("ignore", category=SecurityWarning)

logger = logging.getLogger(__name__)
_next_sign_at = 0.0

app = Celery("semblance")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@heartbeat_sent.connect
def leave_sign_of_life(sender: Any, **_: object) -> None:
    """Touch var/alive/<queue>@<host>: the event loop turns and reaches the broker. Health checks look at its age."""
    folder = Path(settings.VAR_DIR) / "alive"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / sender.eventer.hostname).touch()
    except OSError as error:  # the file grows old, and the health check says it
        logger.error("%s cannot be written to: %s", folder, error.strerror)
    _tell_the_database(sender.eventer.hostname)


def _tell_the_database(name: str) -> None:
    """The same for pages and commands, which may be on another machine: a row, written now and then."""
    global _next_sign_at
    from generation.workers import SECONDS_BETWEEN_SIGNS, leave_sign  # models: Django is set up by now

    if time.monotonic() < _next_sign_at:
        return
    _next_sign_at = time.monotonic() + SECONDS_BETWEEN_SIGNS
    try:
        leave_sign(name=name, now=timezone.now())
    except DatabaseError as error:
        logger.warning("no sign of life from %s: %s", name, error)
    finally:
        connection.close()
