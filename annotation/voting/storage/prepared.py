"""Statements whose SQL is compiled once: what a vote runs many times.

Django builds a queryset's SQL anew each time it is used, which takes ten times as long as SQLite takes to run it. Here
the queryset is written as ever, with `given(...)` where a value will stand; it is compiled at the first use, for each
database once, and each use only fills the values in.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Generic, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.sqlite3.base import SQLiteCursorWrapper
from django.db.models import Expression, Field, QuerySet
from django.db.models.query import get_related_populators
from django.db.models.sql import InsertQuery, UpdateQuery
from django.db.models.sql.compiler import SQLCompiler

Row = TypeVar("Row", bound=models.Model)
AS_THEY_ARE = (int, str, bool)  # Python values that every database takes


class Given(Expression):
    """The place of a value in a prepared statement."""

    def __init__(self, name: str, field: "Field[Any, Any]") -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, Any]:
        """A placeholder, with this place as its parameter."""
        return "%s", [self]


def _as_taken(field: Any, value: Any, database: Any) -> Any:
    """The value of a field as the database takes it."""
    if value.__class__ in AS_THEY_ARE and not isinstance(field, models.JSONField):
        return value
    return field.get_db_prep_save(value, database)


def given(name: str, field: Any) -> Given:
    """The place of the value called `name`, of the type of a model's field (`Vote.id.field`)."""
    return Given(name, field.field if hasattr(field, "field") else field)


@dataclass(frozen=True)
class Statement:
    """Compiled SQL, and what its parameters are: values, or places for them."""

    sql: str
    parameters: tuple[Any, ...]

    def run(self, cursor: Any, values: dict[str, Any], database: Any) -> None:
        """Run it with these values."""
        filled = [
            _as_taken(one.output_field, values[one.name], database) if isinstance(one, Given) else one
            for one in self.parameters
        ]
        cursor.execute(self.sql, filled)


def _statement(sql: str, parameters: Iterable[Any]) -> Statement:
    """The statement; on PostgreSQL what is always the same stands in its text.

    There it is planned once for all values (`plan_cache_mode` in the settings), and only what the text says can tell
    the planner that a partial index fits.
    """
    if connection.vendor != "postgresql":
        return Statement(sql, tuple(parameters))
    connection.ensure_connection()
    first, *rest = sql.split("%s")
    parts, places = [first], []
    for parameter, part in zip(parameters, rest, strict=True):
        if isinstance(parameter, Given):
            parts.append("%s")
            places.append(parameter)
        else:
            literal = connection.ops.compose_sql("%s", [parameter])  # type: ignore[attr-defined]
            parts.append(literal.replace("%", "%%"))
        parts.append(part)
    return Statement("".join(parts), tuple(places))


class _SqliteCursor(SQLiteCursorWrapper):
    """Django's own, but each statement's placeholders are made SQLite's once."""

    @staticmethod
    @cache
    def convert_query(query: str, *, param_names: None = None) -> str:  # noqa: ARG004 - Django hands it over
        """The statement as SQLite has it."""
        return SQLiteCursorWrapper.convert_query(cast("SQLiteCursorWrapper", None), query)


def _cursor(database: Any) -> Any:
    """A cursor; on PostgreSQL one that sends values apart from the statement, so that the server plans it once."""
    database.ensure_connection()
    if database.vendor == "sqlite":
        return database._prepare_cursor(database.connection.cursor(_SqliteCursor))
    from django.db.backends.postgresql.base import ServerBindingCursor

    return database._prepare_cursor(ServerBindingCursor(database.connection))  # type: ignore[call-arg]


class _Prepared(ABC):
    """What is compiled at its first use, for each database once."""

    def __init__(self) -> None:
        self._by_vendor: dict[str, Any] = {}

    def _compiled(self, vendor: str) -> Any:
        # Two threads may both compile at the first use: the result is the same.
        if vendor not in self._by_vendor:
            self._by_vendor[vendor] = self._compile()
        return self._by_vendor[vendor]

    @abstractmethod
    def _compile(self) -> Any:
        """What the database of this connection runs."""


class _Selection:
    """A compiled SELECT, and how its rows become values and model instances, as Django's own ModelIterable does it."""

    def __init__(self, compiler: Any) -> None:
        sql, parameters = compiler.as_sql()
        self.statement = _statement(sql, parameters)
        self._compiler = compiler
        self._converters = compiler.get_converters([part for part, _sql, _alias in compiler.select])
        self._info = info = compiler.klass_info
        if info:
            fields = info["select_fields"]
            self._own = slice(fields[0], fields[-1] + 1)
            self._names = [part[0].target.attname for part in compiler.select[self._own]]
            # (The types are those of a later Django.)
            self._related = get_related_populators(info, compiler.select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]

    def values(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The rows with their values as the fields have them."""
        if not self._converters:
            return rows
        return [tuple(row) for row in self._compiler.apply_converters(rows, self._converters)]

    def instance(self, row: tuple[Any, ...]) -> Any:
        """The model instance of a row of values, with what is related to it."""
        made = self._info["model"].from_db(DEFAULT_DB_ALIAS, self._names, row[self._own])
        for populator in self._related:
            populator.populate(row, made)
        return made


class Select(_Prepared, Generic[Row]):
    """A prepared SELECT of model rows, with what `select_related` names, or of values."""

    def __init__(self, build: Callable[[], "QuerySet[Row, Any]"]) -> None:
        super().__init__()
        self._build = build

    def _compile(self) -> _Selection:
        return _Selection(self._build().query.get_compiler(connection=connection))

    def values(self, **values: Any) -> list[tuple[Any, ...]]:
        """The rows as tuples, for a queryset that ends in `values_list`."""
        return self._selected(values)[1]

    def rows(self, **values: Any) -> list[Row]:
        """The rows as model instances."""
        selection, rows = self._selected(values)
        return [selection.instance(row) for row in rows]

    def _selected(self, values: dict[str, Any]) -> tuple[_Selection, list[tuple[Any, ...]]]:
        database = connections[DEFAULT_DB_ALIAS]
        selection: _Selection = self._compiled(database.vendor)
        with _cursor(database) as cursor:
            selection.statement.run(cursor, values, database)
            return selection, selection.values(cursor.fetchall())

    def first(self, **values: Any) -> Row | None:
        """The first row, or None."""
        return next(iter(self.rows(**values)), None)


class Update(_Prepared):
    """A prepared UPDATE of a queryset's rows; calling it gives the number of rows that it changed."""

    def __init__(self, build: Callable[[], tuple["QuerySet[Any]", dict[str, Any]]]) -> None:
        super().__init__()
        self._build = build

    def _compile(self) -> Statement:
        queryset, changes = self._build()
        query: Any = queryset.order_by().query.chain(UpdateQuery)
        query.add_update_values(changes)
        sql, parameters = query.get_compiler(connection=connection).as_sql()
        return _statement(sql, parameters)

    def __call__(self, **values: Any) -> int:
        """Run it."""
        database = connections[DEFAULT_DB_ALIAS]
        with _cursor(database) as cursor:
            self._compiled(database.vendor).run(cursor, values, database)
            return int(cursor.rowcount)


class Insert(_Prepared):
    """A prepared INSERT of one instance; calling it gives the new row's key, or None where a row has this key."""

    def __init__(self, model: type[models.Model]) -> None:
        super().__init__()
        self._model = model

    @cached_property
    def _fields(self) -> list[Any]:
        fields = self._model._meta.concrete_fields
        return [field for field in fields if not isinstance(field, models.AutoField | models.BigAutoField)]

    def _compile(self) -> str:
        query = InsertQuery(self._model)
        query.insert_values(self._fields, [self._model()], raw=True)
        compiler = query.get_compiler(connection=connection)
        ((sql, _parameters),) = compiler.as_sql()
        key = connection.ops.quote_name(str(self._model._meta.pk.column))
        return f"{sql} ON CONFLICT ({key}) DO NOTHING RETURNING {key}"

    def __call__(self, instance: models.Model) -> Any:
        """Run it."""
        database = connections[DEFAULT_DB_ALIAS]
        values = [_as_taken(field, getattr(instance, field.attname), database) for field in self._fields]
        with _cursor(database) as cursor:
            cursor.execute(self._compiled(database.vendor), values)
            row = cursor.fetchone()
            return row and row[0]
