"""The embedded broker: Celery's messages in a SQLite file, for one machine without Redis.

It extends the transport of Celery's messaging library: it waits for a lock instead of failing, polls more often,
deletes delivered messages, lets two processes create the same tables and queues at once, and delivers messages of
priority 0 before all others, as Redis does.
"""

from queue import Empty
from typing import Any

from kombu.transport import sqlalchemy
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError, OperationalError

_TABLE_COUNT = 2  # another process may create either table first


class Channel(sqlalchemy.Channel):
    """A channel over one SQLite file, shared by several processes."""

    def _engine_from_config(self) -> Engine:
        engine: Engine = super()._engine_from_config()
        event.listen(engine, "connect", _prepare)
        return engine

    def _open(self) -> Any:
        for _ in range(_TABLE_COUNT):
            try:
                return super()._open()
            except OperationalError as error:  # another process created it since we looked
                if "already exists" not in str(error):
                    raise
        return super()._open()

    def _get_or_create(self, queue: str) -> Any:
        try:
            return super()._get_or_create(queue)  # type: ignore[misc]  # missing in the types of kombu
        except IntegrityError:  # another process created it since we looked
            self.session.rollback()
            return super()._get_or_create(queue)  # type: ignore[misc]

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # two spellings above
        super()._put(_behind(queue) if payload["properties"].get("priority") else queue, payload, **kwargs)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        try:
            return self._take(queue)
        except Empty:
            return self._take(_behind(queue))

    def _take(self, queue: str) -> Any:
        payload = super()._get(queue)
        # kombu only hides a delivered message, so the file would grow as long as the worker runs.
        messages = self._query_all(queue)  # type: ignore[attr-defined]
        messages.filter(self.message_cls.visible.is_(False)).delete(synchronize_session=False)
        self.session.commit()
        return payload


class Transport(sqlalchemy.Transport):
    """The transport behind `sqla+sqlite://`."""

    Channel = Channel
    polling_interval = 0.2  # seconds between two looks into an empty queue


def _behind(queue: str) -> str:
    """Return the queue of the messages that are delivered after all others."""
    return f"{queue} behind"


def _prepare(connection: Any, _record: object) -> None:
    for pragma in ("busy_timeout=20000", "journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()
