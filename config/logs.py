"""Log lines without credentials or local variables, at any level; one line for a client's mistake.

A request is named by its route (`/a/<str:token>/`), never by its path: the path of an annotator's page is
their whole credential. In addition, `redact` removes credentials from the finished text of every record.
"""

import logging
import re
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qsl

import structlog
from django.apps import apps
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django_structlog.middlewares import RequestMiddleware

# The path segment after one of these is a credential; a test compares them with the URL patterns.
CREDENTIAL_PREFIXES = (
    "a",
    "i",
    "join",
    "shared",
    "preview/i",
    "preview",
    "api/v1/annotators",
    "accounts/password/reset/key",
    "accounts/confirm-email",
)
CREDENTIAL_NAMES = frozenset({"token", "open_link_token", "key", "uidb36"})  # parameters of routes
SECRET_FIELDS = re.compile(r"code|token|password|ids", re.IGNORECASE)  # of a form that was sent
SHORTEST_SECRET = 6  # letters; a shorter value may be an ordinary word, and stays in the log
_SLASH = "(?:/|%2f)+"
_IN_PATH = re.compile(
    rf"({_SLASH}(?:{'|'.join(CREDENTIAL_PREFIXES).replace('/', _SLASH)}){_SLASH})[^/\s\"'?#<>\\%]+", re.IGNORECASE
)
_UNKNOWN_PATH = re.compile(r"(Resolver404: ).*")  # its message holds the path, without the "/" in front
_QUERY = re.compile(r"\?[^\s\"'<>]*=[^\s\"'<>]*")
_FIRST_SEGMENT = re.compile(r"/[a-z]{1,12}/")
_REQUEST: ContextVar[HttpRequest | None] = ContextVar("request of this thread", default=None)


def route_of(request: HttpRequest) -> str:
    """Return the URL pattern of a request."""
    return f"/{request.resolver_match.route}" if request.resolver_match else route_of_path(request.path_info)


def route_of_path(path: str) -> str:
    """Return the URL pattern of a path; for an unknown path only the first segment, if it is a plain word."""
    try:
        return f"/{resolve(path).route}" if apps.ready else "/…"
    except Resolver404:
        beginning = _FIRST_SEGMENT.match(path)
        return f"{beginning.group() if beginning else '/'}…"


def redact(text: str, request: HttpRequest | None = None) -> str:
    """Remove credentials from a text: in paths, in queries, and each secret value of the request."""
    for secret in sorted(_secrets(request), key=len, reverse=True) if request else ():
        text = text.replace(secret, "…")
    return _QUERY.sub("?…", _IN_PATH.sub(r"\1…", text))


def redact_traceback(text: str) -> str:
    """Return a traceback without the path of a 404 that preceded the fault."""
    return _UNKNOWN_PATH.sub(r"\1…", text)


def _secrets(request: HttpRequest) -> Iterator[str]:
    """Return the values of a request that are credentials or identify a person."""
    match = request.resolver_match
    values = [str(value) for name, value in (match.kwargs if match else {}).items() if name in CREDENTIAL_NAMES]
    values += request.COOKIES.values()
    values += _queried(request)
    # The body is never read here: reading a refused body would raise.
    sent = getattr(request, "_post", None) or {}
    values += [value for name, value in sent.items() if SECRET_FIELDS.search(name)]
    yield from (value for value in values if len(value) >= SHORTEST_SECRET)


def _queried(request: HttpRequest) -> list[str]:
    """Return the values of the query, even of one with too many fields for Django: a log line must not refuse it."""
    try:
        return [value for _, values in request.GET.lists() for value in values]
    except SuspiciousOperation:
        return [value for _, value in parse_qsl(request.META.get("QUERY_STRING", ""))]


class RequestLogMiddleware(RequestMiddleware):
    """Logs `request_started` and `request_finished` with the route; Django itself logs the fault, once."""

    def prepare(self, request: HttpRequest) -> None:
        """Remember the request, so that lines logged during it are redacted."""
        _REQUEST.set(request)
        super().prepare(request)

    def handle_response(self, request: HttpRequest, response: Any) -> None:
        """Forget the request."""
        super().handle_response(request, response)
        _REQUEST.set(None)

    @staticmethod
    def format_request(request: HttpRequest) -> Any:
        """Return the method and the route; only called if a line is written, which is rare."""
        return _Lazy(request)

    @staticmethod
    def bind_user_id(request: HttpRequest) -> None:
        """Bind the account, if the request has already looked it up."""
        if user := getattr(request, "_cached_user", None):
            structlog.contextvars.bind_contextvars(user_id=user.pk)

    def _process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Log nothing: Django logs the same exception."""
        request._raised_exception = exception  # type: ignore[attr-defined]


class _Lazy:
    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def __repr__(self) -> str:
        return f"{self._request.method} {route_of(self._request)}"


class OneLine(logging.Filter):
    """Changes Django's line about a request: the route instead of the path, and a traceback only for real faults."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record. A client's mistake becomes a warning, even if Django logs it as an error."""
        request = getattr(record, "request", None)
        if not isinstance(request, HttpRequest):
            return True
        text = record.getMessage()
        for path in (request.path.encode("unicode_escape").decode("ascii"), request.path):
            text = text.replace(f": {path}", f": {request.method} {route_of(request)}")
        record.msg, record.args = text.replace("\n", " "), None
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = record.stack_info = None
            if record.levelno > logging.WARNING:  # another host, a refused filter
                record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
                return logging.getLogger(record.name).isEnabledFor(logging.WARNING)
        return True


class Render:
    """The last processor: renders the line as text or JSON, without credentials."""

    def __init__(self, *, as_json: bool, colors: bool) -> None:
        self._render: structlog.typing.Processor = (
            structlog.processors.JSONRenderer(default=repr)
            if as_json
            # The default's box of local variables would show annotators' tokens.
            else structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
        )

    def __call__(self, logger: Any, name: str, event: structlog.typing.EventDict) -> str:
        """Return the line of this event."""
        request = getattr(event["_record"], "request", None) or _REQUEST.get()
        event = structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, name, event)
        event = structlog.processors.format_exc_info(logger, name, event)
        if exception := event.get("exception"):
            event["exception"] = redact_traceback(str(exception))
        return redact(str(self._render(logger, name, event)), request if isinstance(request, HttpRequest) else None)
