"""Check that the database has the tables of this version of Semblance.

`version_fault` names the command that makes them; `VersionGate` is the web server's answer until they exist.
"""

import json
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from django.db import DatabaseError, close_old_connections, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from jobs.wording import command, counted

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
logger = logging.getLogger(__name__)

SENTENCE = "Semblance is being brought up to date. Nothing is lost; please try again in a few minutes."
PAGE = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Not ready yet</title><p>{SENTENCE}</p></html>'


def version_fault(*, may_be_behind: bool = False) -> str:
    """Return a sentence if the database is of another version (`may_be_behind`: of a newer one); empty if it fits."""
    executor = MigrationExecutor(connection)
    return _newer(executor.loader) or ("" if may_be_behind else _behind(executor))


def _newer(loader: MigrationLoader) -> str:
    known = set(loader.disk_migrations).union(*(migration.replaces for migration in loader.replacements.values()))
    apps = {app for app, _ in known}
    strange = sorted(key for key in loader.applied_migrations or () if key[0] in apps and key not in known)
    if not strange:
        return ""
    return (
        f"The database belongs to a newer version of Semblance than this one, which does not know its migration "
        f"{'.'.join(strange[-1])}; nothing was changed. Update the code with `git pull`."
    )


def _behind(executor: MigrationExecutor) -> str:
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not missing:
        return ""
    if not executor.loader.applied_migrations:
        return f"There is no database yet; make it with `{command('migrate')}`."
    steps = counted(len(missing), "step")
    return f"The database is of an older version ({steps} behind); bring it up to date with `{command('migrate')}`."


class VersionGate:
    """A WSGI application around another one: it answers 503, and logs one line, until the database fits."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._is_open = False
        self._last_fault = ""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Check the database until it fits, and never again: a newer version is a new process."""
        if self._is_open or not self._fault():
            return self._application(environ, start_response)
        return _refuse(environ, start_response)

    def _fault(self) -> str:
        try:
            fault = version_fault()
        except DatabaseError:  # the application reports the outage; the next request checks again
            return ""
        finally:
            close_old_connections()
        self._is_open = not fault
        if fault and fault != self._last_fault:
            logger.error("every request is answered 503: %s", fault)
        self._last_fault = fault
        return fault


def _refuse(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    is_api = environ.get("PATH_INFO", "").startswith("/api/")
    body = (json.dumps({"message": SENTENCE}) if is_api else PAGE).encode()
    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers = [
        ("Content-Type", "application/json" if is_api else "text/html; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Retry-After", "30"),
    ]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
