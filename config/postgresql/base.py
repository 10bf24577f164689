"""The database backend `config.postgresql`."""

from select import POLLIN, poll
from typing import Any

import psycopg
from django.db.backends.postgresql import base

from config.postgresql.breaker import Breaker

SECONDS_BETWEEN_TRIES = 1
BREAKER = Breaker(SECONDS_BETWEEN_TRIES)


class DatabaseWrapper(base.DatabaseWrapper):
    """Refuses at once while the server is away, and hands out no connection that the server has closed."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection, from the pool where there is one."""
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
            if not self.pool or self._failed_attempts() > failures:  # else the pool is busy, and the server answers
                BREAKER.failed()
            raise
        BREAKER.succeeded()
        return connection

    def _failed_attempts(self) -> int:
        """How often the pool has tried in vain to connect to the server."""
        return int(self.pool.get_stats().get("connections_errors", 0)) if self.pool else 0


def _is_closed_by_the_server(connection: "psycopg.Connection[Any]") -> bool:
    """To an idle connection a server says only that it ends; asking the server itself would cost a round trip."""
    looked = poll()
    looked.register(connection.fileno(), POLLIN)
    return bool(looked.poll(0))
