"""The choice and the form of log lines: `logging` of the standard library and structlog write the same lines."""

from typing import Any

import structlog

from config.logs import OneLine, Render

QUIET = {
    # At DEBUG they log statements with their parameters, and the variables of a page.
    "django.db.backends": "INFO",
    "django.template": "INFO",
    # At DEBUG they log signed requests.
    **dict.fromkeys(("boto3", "botocore", "s3transfer", "urllib3"), "WARNING"),
    # At WARNING it says each second, in two lines, that the database is away; `config.outages` says so in one.
    "psycopg.pool": "ERROR",
    # At WARNING it says that a stopping worker puts a message back, which loses nothing.
    "kombu.transport.virtual.base": "ERROR",
    # At WARNING it says at each HEAD that it leaves the body out.
    "gunicorn.http.wsgi": "ERROR",
    # At INFO they log addresses, and those of the hub's content network are signed.
    **dict.fromkeys(("httpx2", "httpcore2"), "WARNING"),
}
_CONTEXT = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.TimeStamper(fmt="iso"),
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
)


def logging_of(level: str, *, as_json: bool, colors: bool) -> dict[str, Any]:
    """Return the configuration of `logging`, in its dictionary form."""
    through_root: dict[str, Any] = {"handlers": [], "level": "NOTSET", "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"one_line": {"()": OneLine}, "outages": {"()": "config.outages.WithoutTraceback"}},
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [Render(as_json=as_json, colors=colors)],
                "foreign_pre_chain": [*_CONTEXT],
            },
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "structured",
                "filters": ["one_line", "outages"],
            },
        },
        "loggers": {
            # Without this, Django's own handlers would write each line again.
            "django": through_root,
            "django.server": through_root | {"level": "INFO"},
            **{name: {"level": lowest} for name, lowest in QUIET.items()},
        },
        "root": {"handlers": ["console"], "level": level},
    }


def configure_structlog() -> None:
    """Send structlog's lines through `logging`."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,  # first, because most lines are never written
            *_CONTEXT,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
