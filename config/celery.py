"""The Celery application: its settings are the CELERY_ names of config.settings."""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]  # missing in celery-types
from celery.signals import heartbeat_sent
from django.conf import settings
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
TRANSPORT_ALIASES["sqla"] = "config.embedded_broker:Transport"
# Said to whoever is root, because of pickled messages; ours are JSON only.
warnings.filterwarnings("ignore", category=SecurityWarning)

logger = logging.getLogger(__name__)
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
