"""System checks: `manage.py check` names a configuration that would fail later with a less clear message."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.files)
def var_folder_is_writable(**_: Any) -> list[CheckMessage]:
    """Refuse a var folder that cannot be written: images, the embedded database and the queue are stored in it."""
    folder = Path(settings.VAR_DIR)
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(nearest, os.W_OK | os.X_OK):
        return []
    return [
        Error(
            f"{folder} cannot be written to.",
            hint="Set SEMBLANCE_VAR to another folder, or make it writable.",
            id="semblance.E001",
        )
    ]


@register()
def heartbeat_fits_the_lease(**_: Any) -> list[CheckMessage]:
    """Refuse a lease so short that a healthy worker loses its job between two heartbeats."""
    lease, heartbeat = settings.JOB_LEASE_SECONDS, settings.JOB_HEARTBEAT_SECONDS
    if 0 < 3 * heartbeat <= lease:
        return []
    message = f"JOB_HEARTBEAT_SECONDS ({heartbeat}) must be above 0 and at most a third of JOB_LEASE_SECONDS ({lease})."
    return [Error(message, hint="One or two heartbeats may be late on a busy machine.", id="semblance.E002")]


@register(Tags.database, deploy=True)
def one_machine_or_servers(**_: Any) -> list[CheckMessage]:
    """Warn if only one of database and queue is a file: processes on another machine would not share it."""
    is_sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    is_embedded = settings.CELERY_BROKER_URL.startswith("sqla")
    if is_sqlite == is_embedded:
        return []
    embedded, served = ("DATABASE_URL", "queue") if is_sqlite else ("CELERY_BROKER_URL", "database")
    message = f"The {served} is a server, but {embedded} is a file on this machine only."
    return [checks.Warning(message, hint=f"Set {embedded} if workers run on another machine.", id="semblance.W001")]


@register(Tags.caches, deploy=True)
def counters_are_shared(**_: Any) -> list[CheckMessage]:
    """Warn if attempts are counted in each process: the limits are then multiplied by the number of web processes."""
    backend = settings.CACHES["default"]["BACKEND"]
    if not backend.endswith(("LocMemCache", "DummyCache")):
        return []
    message = "Each web process counts logins, resume codes and open links by itself: the limits are multiplied."
    return [checks.Warning(message, hint="Leave CACHE_URL out, or name a Redis.", id="semblance.W002")]
