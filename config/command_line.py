"""Run a command of manage.py, and report the faults that any command may meet in one sentence.

The commands themselves refuse wrong input. Handled here: a missing database or one of another version, a server that
does not answer, a file that cannot be read or written, a closed pipe, Ctrl-C.
`--traceback` shows the exception itself.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, execute_from_command_line
from django.db import DatabaseError, DataError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from config.database_version import version_fault
from config.outages import DISK, outage

# Commands that are about the tables themselves, or that make them first.
ABOUT_TABLES = ("check", "dbshell", "makemigrations", "runserver", "showmigrations", "sqlmigrate", "squashmigrations")
MAKE_TABLES = ("demo", "migrate")
INTERRUPTED, BROKEN_PIPE = 130, 141  # as a shell numbers the ends by SIGINT and SIGPIPE


def run(arguments: Sequence[str]) -> None:
    """Run one command; if it cannot continue, print a sentence and exit with a status other than 0."""
    command = arguments[1] if len(arguments) > 1 else "help"
    try:
        _prepare_database(command)
        execute_from_command_line(list(arguments))
        sys.stdout.flush()  # here, while a closed pipe can still be answered
    except KeyboardInterrupt:
        _end("Stopped.", INTERRUPTED)
    except BrokenPipeError:
        _forget_output()
        sys.exit(BROKEN_PIPE)
    except (CommandError, DatabaseError, ImproperlyConfigured, OSError) as error:
        if "--traceback" in arguments:
            raise
        _end(explained(error), 1)


def explained(error: Exception) -> str:
    """Return the sentence for the person who typed the command."""
    first_line = (str(error).splitlines() or [type(error).__name__])[0].strip()
    if isinstance(error, DataError):
        return f"The database cannot hold one of the values: {first_line}. Nothing was changed."
    if isinstance(error, DatabaseError) and (failure := outage(error)) and failure.sentence is DISK:
        return (
            f"The disk of the database is full or cannot be written to ({first_line}). It is {_database_in_words()}: "
            "make room or set its owner, and run the command again."
        )
    if isinstance(error, DatabaseError):
        return f"The database does not answer as it should: {first_line}. It is {_database_in_words()}."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    return first_line if isinstance(error, ImproperlyConfigured) else str(error)


def _prepare_database(command: str) -> None:
    """Check the tables' version at the first connection. A command that needs no database opens none."""
    # One connection is enough for a command, and a pool would retry for half a minute if no server answers.
    settings.DATABASES["default"].get("OPTIONS", {}).pop("pool", None)
    if command not in ABOUT_TABLES:
        connection_created.connect(_VersionCheck(may_be_behind=command in MAKE_TABLES), weak=False)


class _VersionCheck:
    """Refuse a database of another version at the first connection."""

    def __init__(self, *, may_be_behind: bool) -> None:
        self._may_be_behind = may_be_behind
        self._is_done = False

    def __call__(self, connection: BaseDatabaseWrapper, **_: Any) -> None:
        if self._is_done or connection.alias != "default":
            return
        self._is_done = True
        if sentence := version_fault(may_be_behind=self._may_be_behind):
            self._is_done = False
            connection.close()  # so that the next use of the database is refused, too
            raise CommandError(sentence)


def _database_in_words() -> str:
    """Return the location of the database, without its password."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        return f"the file {database['NAME']}"
    server = f"{database['HOST'] or 'the local socket'}:{database['PORT'] or 5432}"
    return f"{database['NAME']} at {server}, as DATABASE_URL says"


def _end(sentence: str, status: int) -> NoReturn:
    sys.stderr.write(f"{sentence}\n")
    sys.exit(status)


def _forget_output() -> None:
    """Discard the output that Python still writes when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
