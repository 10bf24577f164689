"""The database backend `config.postgresql`."""

import threading
import time
from select import POLLIN, poll
from typing import Any

import psycopg
from django.db.backends.postgresql import base


class Breaker:
    """A circuit breaker: after a failed attempt, one attempt is allowed for each `seconds`, until one succeeds.

    Without it each thread of the web server would wait for the database, and none would answer.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._guard, self._next_try_at = seconds, threading.Lock(), 0.0

    def may_try(self) -> bool:
        """Return whether the caller may try now; after a failure only one of several callers may."""
        if not self._next_try_at:
            return True
        with self._guard:
            if time.monotonic() < self._next_try_at:
                return False
            self._next_try_at = time.monotonic() + self._seconds
            return True

    def failed(self) -> None:
        """Record a failed attempt."""
        with self._guard:
            self._next_try_at = time.monotonic() + self._seconds

    def succeeded(self) -> None:
        """Record a successful attempt: all callers may try again."""
        self._next_try_at = 0.0


BREAKER = Breaker(seconds=1)


class DatabaseWrapper(base.DatabaseWrapper):
    """Refuses at once while the server is down, and returns no connection that the server has closed."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection, from the pool if there is one."""
        if not BREAKER.may_try():
            raise psycopg.OperationalError("the database did not answer a moment ago; it is tried again every second")
        failures = self._failed_attempts()
        try:
            connection = super().get_new_connection(conn_params)
            while self.pool and _is_closed_by_the_server(connection):
                connection.close()
                self.pool.putconn(connection)
                connection = self.pool.getconn()
        except psycopg.OperationalError:
            if not self.pool or self._failed_attempts() > failures:  # else the pool is only busy
                BREAKER.failed()
            raise
        BREAKER.succeeded()
        return connection

    def _failed_attempts(self) -> int:
        """Return how often the pool has failed to connect to the server."""
        return int(self.pool.get_stats().get("connections_errors", 0)) if self.pool else 0


def _is_closed_by_the_server(connection: "psycopg.Connection[Any]") -> bool:
    """Return whether an idle connection has data: only its end is announced. A query would cost a round trip."""
    looked = poll()
    looked.register(connection.fileno(), POLLIN)
    return bool(looked.poll(0))
