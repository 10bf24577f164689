"""Read JSON Lines and Parquet: records with the columns as their keys."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from generation.tables.columns import MOST_OF_A_NAME, Columns, Row, Table, plain, plain_name, refuse_head
from generation.tables.json_text import RepeatedKeyError, parse_json
from jobs.refusals import Refused
from jobs.wording import first_line

_NO_CELLS: dict[type, str] = {list: "a list", dict: "an object", bytes: "bytes"}
_LARGEST_ROW = 2**16  # bytes, of the texts of a row of Parquet; a file of 1 KB can unpack to gigabytes
_LONGEST_LINE = 2**20  # letters; a file may be one line of gigabytes
_HALF = re.compile("[\\ud800-\\udfff]")  # a surrogate alone, which JSON can spell and no database holds


def lines_of(file: TextIO, path: Path) -> Iterator[str]:
    """Yield the lines of a text. Raises Refused, before it is read whole, for one that is longer than any row."""
    for line, text in enumerate(iter(lambda: file.readline(_LONGEST_LINE), ""), start=1):
        if len(text) == _LONGEST_LINE:
            raise Refused(
                f"{path} line {line} is longer than {_LONGEST_LINE:,} letters: write each row on its own line."
            )
        yield text


def json_lines(path: Path, columns: Columns) -> Table:
    """Open a table of JSON Lines: one object in each line."""
    names: dict[str, None] = {}
    for _line, record in _json_records(path):
        names |= dict.fromkeys(record)
    if any("\0" in name or _HALF.search(name) for name in names):
        raise Refused(f"{path} names a column with a NUL or half a character in it, as no text has.")
    return _of_records(path, columns, list(names), lambda: _json_records(path))


def _json_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(lines_of(file, path), start=1):
            if not text.strip():
                continue
            try:
                record = parse_json(text)
            except RepeatedKeyError as error:
                raise Refused(f"{path} line {line}: {error}; keep one of them.") from None
            except (ValueError, RecursionError):
                raise Refused(f"{path} line {line} is not JSON: each line must hold one object.") from None
            if not isinstance(record, dict):
                raise Refused(f"{path} line {line} is not a JSON object with the columns as its keys.")
            yield line, record


def parquet(path: Path, columns: Columns) -> Table:
    """Open the table of a Parquet file."""
    # Imported here, because CSV, the most common format, needs no Arrow.
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    def records() -> Iterator[tuple[int, dict[str, Any]]]:
        number = 0
        try:
            # No others: they may hold values that Python has not. Texts as they are stored, each once: a text of 1 MB
            # in each of 10,000 rows would take 10 GB.
            wanted = [name for name in schema.names if columns.known(name)]
            with pq.ParquetFile(path, read_dictionary=wanted) as file:
                refuse_large(file.metadata)
                for batch in file.iter_batches(batch_size=1_000, columns=wanted):
                    refuse_long(batch)
                    for record in _as_python_has_them(batch).to_pylist():
                        number += 1
                        yield number, record
        except (pa.ArrowException, ArithmeticError, LookupError, ValueError) as error:  # also of times
            raise damaged(error) from None

    def refuse_large(metadata: Any) -> None:
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        if any(group.total_byte_size > _LARGEST_ROW * max(1, group.num_rows) for group in groups):
            raise too_large()

    def refuse_long(batch: pa.RecordBatch) -> None:
        for column in batch.columns:
            texts = column.dictionary if isinstance(column, pa.DictionaryArray) else column
            has_length = texts.type in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
            if has_length and (pc.max(pc.binary_length(texts)).as_py() or 0) > _LARGEST_ROW:
                raise too_large()

    def too_large() -> Refused:
        return Refused(f"{path} holds a row of more than {_LARGEST_ROW:,} bytes, which no table has; it was not read.")

    def damaged(error: Exception) -> Refused:
        return Refused(f"{path} is damaged or is not a Parquet file: {first_line(error)}.")

    try:
        schema = pq.read_schema(path)
    except pa.ArrowException as error:
        raise damaged(error) from None
    for field in schema:
        if columns.known(field.name) and pa.types.is_nested(field.type):
            raise Refused(f"{path}: the column {field.name} holds lists or objects, and must hold texts or numbers.")
    return _of_records(path, columns, schema.names, records)


def _as_python_has_them(batch: Any) -> Any:
    """Return a record batch with its times in microseconds; times with a zone are in UTC.

    They are stored as moments, so a zone that this machine does not know changes nothing.
    """
    import pyarrow as pa

    def readable(field: Any) -> Any:
        if not pa.types.is_timestamp(field.type):
            return field
        unit = "us" if field.type.unit == "ns" else field.type.unit
        return field.with_type(pa.timestamp(unit, "UTC" if field.type.tz else None))

    return batch.cast(pa.schema([readable(field) for field in batch.schema]), safe=False)


def _of_records(
    path: Path,
    columns: Columns,
    written: Collection[str],
    records: Callable[[], Iterator[tuple[int, dict[str, Any]]]],
) -> Table:
    if not written:
        raise Refused(f"{path} is empty: it must have the columns {','.join(columns.required)}.")
    known = [columns.known(name) for name in written]
    refuse_head(str(path), columns, list(written), known)
    places = [(name, column) for name, column in zip(written, known, strict=True) if column]
    unused = tuple(
        plain(name)[:MOST_OF_A_NAME] or "(without a name)"
        for name, column in zip(written, known, strict=True)
        if not column
    )
    rows = _record_rows(records(), columns, places)
    return Table(frozenset(map(plain_name, written)), unused, is_csv=False, rows=rows)


def _record_rows(
    records: Iterable[tuple[int, dict[str, Any]]], columns: Columns, places: Collection[tuple[str, str]]
) -> Iterator[Row]:
    for line, record in records:
        odd = next(((name, kind) for name, _ in places if (kind := _NO_CELLS.get(type(record.get(name))))), None)
        if odd:
            yield Row(line, {}, f"{odd[0]} holds {odd[1]}, and must be a text or a number")
            continue
        cells = {column: columns.spelled(column, _text(record.get(name))) for name, column in places}
        if any("\0" in cell for cell in cells.values()):
            yield Row(line, {}, "it holds a NUL, as no text does")
        elif any(_HALF.search(cell) for cell in cells.values()):
            yield Row(line, {}, "it holds half a character, as no text does")
        else:
            yield Row(line, cells)


def _text(value: Any) -> str:
    """Return a value of JSON or Parquet as a CSV file would spell it."""
    match value:
        case None:
            return ""
        case float() if math.isnan(value):  # an empty cell to programs that have no other sign for it
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat()
        case _:
            return str(value)
