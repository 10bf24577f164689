"""gunicorn's own lines, which do not pass through Django's logging: the same credentials are left out."""

import logging
from typing import Any

from gunicorn.glogging import Logger

from config.logs import redact


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        return True


_REDACTING = _Redacting()


class RedactingLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """As gunicorn's, with or without its access log."""

    def setup(self, cfg: Any) -> None:
        """Redact what either log writes, wherever it writes to."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.addFilter(_REDACTING)

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> dict[str, Any]:
        """What a format of the access log may name: no query and no header, since both hold credentials."""
        found = super().atoms(resp, req, environ, request_time)
        return {name: value for name, value in found.items() if not name.startswith("{")} | {"q": ""}
