"""Remove credentials from gunicorn's own log lines, which do not pass through Django's logging."""

import logging
import re
from typing import Any
from urllib.parse import unquote

from gunicorn.glogging import Logger

from config.logs import redact, redact_traceback, route_of_path

_PATH = re.compile(r"(?:(?<=[\s'\"])|^)/[^\s'\"]*")


def _with_routes(text: str) -> str:
    """Replace each path by its route; an unknown path may be a mistyped link and so hold a credential."""
    return _PATH.sub(lambda path: route_of_path(unquote(path.group().partition("?")[0])), text)


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if message.startswith("Invalid request"):  # then it quotes what was sent, which may be anything
            message = re.split("['\"]", message, maxsplit=1)[0].rstrip(": ")
        record.msg, record.args = redact(_with_routes(message)), None
        if record.exc_info:
            record.exc_text = redact(redact_traceback(logging.Formatter().formatException(record.exc_info)))
        return True


_REDACTING = _Redacting()


class RedactingLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's logger without credentials, with or without the access log."""

    def setup(self, cfg: Any) -> None:
        """Redact both logs, whatever they write to."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.addFilter(_REDACTING)

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> dict[str, Any]:
        """Return the fields for the access log's format: no query and no header, since both hold credentials."""
        fields = super().atoms(resp, req, environ, request_time)
        return {name: value for name, value in fields.items() if not name.startswith("{")} | {"q": ""}
