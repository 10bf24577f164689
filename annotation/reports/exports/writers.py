"""Write chunks of columns as CSV, JSON Lines or Parquet; no more than one chunk is in memory."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.reports.exports.columns import COLUMNS
from generation.tables.formulas import marked

Chunk = dict[str, list[Any]]
Write = Callable[[Chunk], object]

_TYPES = {
    "text": pa.string(),
    "integer": pa.int32(),
    "true or false": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
}
_TYPE_OF = {column.name: _TYPES[column.type] for column in COLUMNS}
_QUOTE = '"'
_SIGNS = (_QUOTE, ",", "\r", "\n")
_WRITTEN_BY_PEOPLE = ("prompt", "choice", "left_model", "chosen_model", "exclusion_reason", "notice")


@contextmanager
def _csv(path: Path, names: Sequence[str]) -> Iterator[Write]:
    """Yield a function that writes a chunk as CSV, without the csv module, which looks at each character of a cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(",".join(names) + "\r\n")

        def write(chunk: Chunk) -> None:
            rows = zip(*(_cells(name, chunk[name]) for name in names), strict=True)
            file.writelines(f"{','.join(row)}\r\n" for row in rows)

        yield write


def _cells(name: str, values: list[Any]) -> Iterable[str]:
    """Return the cells of a column; only texts that people wrote can need quotes or hold a formula."""
    if name in _WRITTEN_BY_PEOPLE:
        cells = {value: _quoted(marked(value)) for value in set(values)}  # few different ones, each many times
        return [cells[value] for value in values]
    if _TYPE_OF[name] == pa.bool_():
        return ["true" if value else "false" for value in values]
    if _TYPE_OF[name] == pa.int32():
        return ["" if value is None else str(value) for value in values]
    return [value or "" for value in values]


def _quoted(text: str) -> str:
    return f'"{text.replace(_QUOTE, _QUOTE * 2)}"' if any(sign in text for sign in _SIGNS) else text


@contextmanager
def _jsonl(path: Path, names: Sequence[str]) -> Iterator[Write]:
    """Yield a function that writes a chunk as one JSON object a line."""
    encode = json.JSONEncoder(ensure_ascii=False).encode
    with path.open("w", encoding="utf-8") as file:

        def write(chunk: Chunk) -> None:
            rows = zip(*(chunk[name] for name in names), strict=True)
            file.writelines(f"{encode(dict(zip(names, row, strict=True)))}\n" for row in rows)

        yield write


@contextmanager
def _parquet(path: Path, names: Sequence[str]) -> Iterator[Write]:
    """Yield a function that writes a chunk as a row group; times arrive as texts, and Arrow parses whole columns."""
    schema = pa.schema([(name, _TYPE_OF[name]) for name in names])
    read_as = {name: pa.string() if pa.types.is_timestamp(_TYPE_OF[name]) else _TYPE_OF[name] for name in names}
    with pq.ParquetWriter(path, schema) as writer:

        def write(chunk: Chunk) -> None:
            arrays = [pa.array(chunk[name], read_as[name]).cast(_TYPE_OF[name]) for name in names]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

        yield write


WRITERS: dict[str, Callable[[Path, Sequence[str]], AbstractContextManager[Write]]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
}
FORMATS = tuple(WRITERS)
