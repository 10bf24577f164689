"""Recognise outages of the database, the disk or Redis: they pass, and nothing is lost."""

import errno
import logging
import sqlite3
import time
from dataclasses import dataclass

import psycopg
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

logger = logging.getLogger(__name__)

DATABASE = gettext_lazy("The database does not answer at the moment.")
DISK = gettext_lazy("This site cannot store anything at the moment: its disk is full or cannot be written to.")
IMAGES = gettext_lazy("The storage of the images does not answer at the moment.")
QUEUE = gettext_lazy("A part of this site does not answer at the moment.")
WHAT_NEXT = gettext_lazy("All that the page called saved is safe. Nothing else was changed: try again in a minute.")

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
TOO_MANY_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
SQLITE_DISK = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")
SQLITE_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
# Classes and codes of https://www.postgresql.org/docs/current/errcodes-appendix.html
POSTGRESQL_DISK = ("53100", "58030")
# connection, resources, shutdown, system, deadlock and serialisation, read-only server, a lock not had in time
POSTGRESQL_AWAY = ("08", "53", "57", "58", "40", "25006", "55P03")
# By name: the settings import this module, before Django's database layer may be, and not all machines have Redis.
DJANGO = {"django.OperationalError", "django.InterfaceError", "django.InternalError"}
NAMED = DJANGO | {"redis.RedisError", "kombu.OperationalError"}
STORAGE = "generation.StorageAway"
LOG_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage: a sentence for people, and the exact error in one line for the log."""

    sentence: Promise
    reason: str

    def __str__(self) -> str:
        with translation.override("en"):
            return f"{self.sentence} ({self.reason})"


def outage(error: BaseException | None) -> Outage | None:
    """Return the outage that caused an error; None for a fault of the program or of the input."""
    sentence: Promise | None = None
    if isinstance(error, psycopg.Error | sqlite3.Error):
        sentence = _of_database(error)
    elif isinstance(error, OSError) and error.errno in DISK_ERRORS | TOO_MANY_FILES:
        sentence = DISK if error.errno in DISK_ERRORS else QUEUE
    elif error is not None and STORAGE in _names(error):
        sentence = IMAGES
    elif error is not None and (names := _names(error)) & NAMED:
        sentence = QUEUE if not names & DJANGO else _of_database(error.__cause__) if error.__cause__ else DATABASE
    return Outage(sentence, " ".join(str(error).split())[:300]) if sentence else None


def _of_database(cause: BaseException) -> Promise | None:
    if isinstance(cause, psycopg.Error):
        state = cause.sqlstate or ""
        if state.startswith(POSTGRESQL_DISK):
            return DISK
        is_connection_lost = not state and isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        return DATABASE if is_connection_lost or state.startswith(POSTGRESQL_AWAY) else None
    name = getattr(cause, "sqlite_errorname", None) or ""
    if name.startswith(SQLITE_DISK):
        return DISK
    return DATABASE if name.startswith(SQLITE_BUSY) else None


def _names(error: BaseException) -> set[str]:
    return {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}


_logged_at: dict[int, float] = {}


def log(failure: Outage) -> None:
    """Log one line, at most one in ten seconds for each kind: an outage affects every request."""
    now, kind = time.monotonic(), id(failure.sentence)  # its own hash differs by language
    if now - _logged_at.get(kind, -LOG_SECONDS) >= LOG_SECONDS:
        _logged_at[kind] = now
        logger.error("%s", failure)


class WithoutTraceback(logging.Filter):
    """Removes the traceback of an outage from a record: the place in the code says nothing about it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True: every record is written."""
        if record.exc_info and (failure := outage(record.exc_info[1])):
            record.exc_info = record.exc_text = None
            record.msg, record.args = f"{record.getMessage()}: {failure}", ()
        return True
