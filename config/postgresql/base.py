"""The database backend `config.postgresql`."""

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from select import POLLIN, poll
from typing import Any

import psycopg
from django.db.backends.postgresql import base

logger = logging.getLogger(__name__)


class Breaker:
    """A circuit breaker: after a failed attempt only its own thread tries again, until it succeeds.

    Without it each thread of the web server would wait for the database, and none would answer. A visitor's request
    does not try again: it may have waited for a thread already, and would then wait for the attempt as well.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._guard = seconds, threading.Lock()
        self._broken_in = 0  # the process whose thread tries again: a forked one has no such thread

    def may_try(self) -> bool:
        """Return whether the caller may try now."""
        return self._broken_in != os.getpid()

    def failed(self, attempt: Callable[[], None]) -> None:
        """Record a failed attempt, and try again every `seconds`, until `attempt` raises nothing."""
        with self._guard:
            if self.may_try():
                self._broken_in = os.getpid()
                threading.Thread(target=self._watch, args=(attempt,), name="database breaker", daemon=True).start()

    def _watch(self, attempt: Callable[[], None]) -> None:
        is_back = False
        while not is_back and not self.may_try():
            time.sleep(self._seconds)
            try:
                attempt()
                is_back = True
            except Exception as error:  # any error: without this thread all are refused for ever
                logger.debug("The database still does not answer: %s", error)
        self.succeeded()

    def succeeded(self) -> None:
        """Let all callers try again."""
        self._broken_in = 0


BREAKER = Breaker(seconds=1)


class DatabaseWrapper(base.DatabaseWrapper):
    """Refuses at once while the server is down, and returns no connection that the server has closed."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection, from the pool if there is one."""
        if not BREAKER.may_try():
            raise psycopg.OperationalError("the database did not answer a moment ago; it is tried again every second")
        failures, started = self._failed_attempts(), time.monotonic()
        try:
            connection = super().get_new_connection(conn_params)
            while self.pool and _is_closed_by_the_server(connection):
                connection.close()
                self.pool.putconn(connection)
                # The time-out of one covers all attempts, so that a visitor waits once.
                connection = self.pool.getconn(max(0.01, started + self.pool.timeout - time.monotonic()))
        except psycopg.OperationalError:
            if not self.pool or self._failed_attempts() > failures:  # without a new failure the pool is only busy
                BREAKER.failed(partial(_attempt, self.pool, conn_params))
            raise
        return connection

    def _failed_attempts(self) -> int:
        """Return how often the pool has failed to connect to the server."""
        return int(self.pool.get_stats().get("connections_errors", 0)) if self.pool else 0


def _attempt(pool: Any, conn_params: dict[str, Any]) -> None:
    """Raise an error unless there is a connection: one that the pool still has, if the server takes no further ones."""
    if pool is None:
        psycopg.connect(**conn_params).close()
        return
    connection = pool.getconn()
    is_closed = _is_closed_by_the_server(connection)
    if is_closed:
        connection.close()
    pool.putconn(connection)
    if is_closed:
        raise psycopg.OperationalError("the server has closed this connection")


def _is_closed_by_the_server(connection: "psycopg.Connection[Any]") -> bool:
    """Return whether an idle connection has data: only its end is announced. A query would cost a round trip."""
    looked = poll()
    looked.register(connection.fileno(), POLLIN)
    return bool(looked.poll(0))
