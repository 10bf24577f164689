"""The web server's answer while its database is not of this version: a sentence and 503, and one line in the log."""

import json
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from django.db import DatabaseError, close_old_connections

from config.database_version import version_fault

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
logger = logging.getLogger(__name__)

SENTENCE = "Semblance is being brought up to date. Nothing is lost; please try again in a few minutes."
PAGE = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Not ready yet</title><p>{SENTENCE}</p></html>'


class VersionGate:
    """A WSGI application in front of another: it lets requests through once the database was seen to fit."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._is_open = False
        self._last_fault = ""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Look at the database until it fits, and never again: a newer version is a new process."""
        if self._is_open or not self._fault():
            return self._application(environ, start_response)
        return _refuse(environ, start_response)

    def _fault(self) -> str:
        try:
            fault = version_fault()
        except DatabaseError:  # it does not answer: the application says so; look again at the next request
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
