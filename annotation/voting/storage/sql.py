"""Statements written as SQL, once for both databases, and rows as model instances.

Django builds a queryset's SQL again at each use, which takes ten times as long as SQLite takes to run it. Therefore
the statements of a vote are written as SQL, with named parameters. On PostgreSQL the values are sent separately from
the text, so that the server plans each statement once for a connection.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, models

Row = TypeVar("Row", bound=models.Model)
Values = tuple[Any, ...]
_SPELLED_TWICE = re.compile(r"\[\[(.*?)(?:\|(.*?))?\]\]", re.DOTALL)


class Statement:
    """One statement. Of `[[this|that]]` in it PostgreSQL gets this, and SQLite that or nothing."""

    def __init__(self, sql: str) -> None:
        self._sql = {
            "postgresql": _SPELLED_TWICE.sub(lambda match: match[1], sql),
            "sqlite": _SPELLED_TWICE.sub(lambda match: match[2] or "", sql),
        }

    def rows(self, **values: Any) -> list[Values]:
        """Run it and return the rows that it gives."""
        with _executed(self._sql, values) as cursor:
            rows: list[Values] = cursor.fetchall()
            return rows

    def count(self, **values: Any) -> int:
        """Run it and return how many rows it changed."""
        with _executed(self._sql, values) as cursor:
            return int(cursor.rowcount)


class Steps:
    """An UPDATE, and statements that run if it changed a row. The last one returns a row.

    PostgreSQL gets them as one statement, with one trip to the server and back. There the UPDATE has the name `first`,
    and the others must wait for it: `FROM first`, or `EXISTS (SELECT 1 FROM first)`. That also keeps the order in which
    rows are locked. SQLite, which knows no such statement, runs them one after another.
    """

    def __init__(self, first: str, *others: str) -> None:
        *between, last = others
        named = [
            f"first AS ({first} RETURNING id)",
            *(f"step_{number} AS ({sql})" for number, sql in enumerate(between)),
        ]
        self._whole = Statement(f"WITH {', '.join(named)} {last}")
        self._first, self._between, self._last = Statement(first), [Statement(sql) for sql in between], Statement(last)

    def row(self, **values: Any) -> Values | None:
        """Run them and return the last one's row; None if the first changed nothing or the last gave none."""
        if is_postgresql():
            return next(iter(self._whole.rows(**values)), None)
        if not self._first.count(**values):
            return None
        for statement in self._between:
            statement.count(**values)
        return next(iter(self._last.rows(**values)), None)


def is_postgresql() -> bool:
    """Whether the database is PostgreSQL."""
    return connections[DEFAULT_DB_ALIAS].vendor == "postgresql"


def _executed(sql: dict[str, str], values: dict[str, Any]) -> Any:
    """A cursor that has run the statement."""
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor == "sqlite":
        cursor = database.cursor()
        values = {name: _for_sqlite(value, database) for name, value in values.items()}
    else:
        cursor = _prepared(database)
    cursor.execute(sql[database.vendor], values)
    return cursor


def _prepared(database: Any) -> Any:
    """A cursor of psycopg's own kind in place of Django's, which writes values into the text."""
    import psycopg

    database.ensure_connection()
    cursor = psycopg.Cursor(database.connection)
    return database.make_debug_cursor(cursor) if database.queries_logged else database.make_cursor(cursor)


def _for_sqlite(value: Any, database: Any) -> Any:
    """The value as Django's fields store it in SQLite."""
    if isinstance(value, datetime):
        return database.ops.adapt_datetimefield_value(value)
    return value.hex if isinstance(value, UUID) else value


def _aware(stored: datetime) -> datetime:
    return stored.replace(tzinfo=UTC)


# How the values of a column become those of its field, by database and type of field; others are the same already.
_READERS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "postgresql": {"JSONField": json.loads},
    "sqlite": {"JSONField": json.loads, "BooleanField": bool, "DateTimeField": _aware},
}


class Columns(Generic[Row]):
    """The columns of a model in a SELECT, and the instance that their values make. Fields left out are deferred.

    alias: of the table in the statement; a column is named after it there (`c_id`).
    """

    def __init__(self, model: type[Row], alias: str, names: Sequence[str] = (), *, without: Sequence[str] = ()) -> None:
        fields = [
            field
            for field in model._meta.concrete_fields
            if (field.name in names or not names) and field.name not in without
        ]
        self._model, self._names = model, [field.attname for field in fields]
        self.sql = ", ".join(f"{alias}.{field.column} AS {alias}_{field.column}" for field in fields)
        kinds = [field.get_internal_type() for field in fields]
        self._readers = {
            vendor: [(place, readers[kind]) for place, kind in enumerate(kinds) if kind in readers]
            for vendor, readers in _READERS.items()
        }

    def read(self, row: Values) -> tuple[Row, Values]:
        """The instance that a row begins with, and the rest of the row."""
        count = len(self._names)
        values = list(row[:count])
        for place, reader in self._readers[connections[DEFAULT_DB_ALIAS].vendor]:
            if values[place] is not None:
                values[place] = reader(values[place])
        return self._model.from_db(DEFAULT_DB_ALIAS, self._names, values), row[count:]
