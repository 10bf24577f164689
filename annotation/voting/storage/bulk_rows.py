"""Insert rows by the hundred thousand. To make a model instance of each row would take longer than the database."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, Any

from django.db import connections, router
from django.db.models import Model

if TYPE_CHECKING:
    from django.db.models import Field

_AS_THEY_ARE = {
    "BooleanField",
    "CharField",
    "ForeignKey",
    "OneToOneField",
    "PositiveIntegerField",
    "PositiveSmallIntegerField",
    "TextField",
}


def insert_rows(
    model: type[Model], columns: Sequence[str], rows: Sequence[Sequence[Any]], constants: Mapping[str, Any]
) -> None:
    """Insert rows into a model's table, as `bulk_create` would.

    columns: names of the fields that differ from row to row. rows: their values, in that order. constants: values of
    other fields, the same in each row. Fields that are not named get their defaults, and the database numbers the rows.
    The database's constraints hold; `save` and signals are not called.
    """
    if not rows:
        return
    connection = connections[router.db_for_write(model)]
    fields: dict[str, Field[Any, Any]] = {
        field.name: field for field in model._meta.concrete_fields if field.name in columns or not field.primary_key
    }
    varying = [fields.pop(name) for name in columns]
    fixed = [
        field.get_db_prep_save(constants.get(name, field.get_default()), connection) for name, field in fields.items()
    ]
    quoted = [connection.ops.quote_name(str(field.column)) for field in (*varying, *fields.values())]
    table, places = connection.ops.quote_name(model._meta.db_table), ", ".join(["%s"] * len(quoted))
    # Column by column, so that the loops over rows run in C.
    columns_of_rows = zip(varying, zip(*rows, strict=True), strict=True)
    time = cache(connection.ops.adapt_datetimefield_value)  # one moment often stands in many rows and columns
    prepared = [_prepared(field, values, connection, time) for field, values in columns_of_rows]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({', '.join(quoted)}) VALUES ({places})",  # noqa: S608 - names of our own tables
            list(zip(*prepared, *map(repeat, fixed))),  # noqa: B905 - the fixed ones never end
        )


def _prepared(
    field: "Field[Any, Any]", values: Iterable[Any], connection: Any, time: Callable[[Any], Any]
) -> Iterable[Any]:
    """Return the values as the database takes them. A field's conversion takes microseconds, so most skip it."""
    kind = field.get_internal_type()
    if kind in _AS_THEY_ARE:
        return values
    if kind == "DateTimeField":
        return map(time, values)  # None stays None
    return (field.get_db_prep_save(value, connection) for value in values)
