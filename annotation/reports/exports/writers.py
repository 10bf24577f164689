"""Chunks of columns written as CSV, JSON Lines or Parquet; no more than one chunk is in memory."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.reports.exports.columns import COLUMNS
from generation.tables.formulas import marked

Chunk = dict[str, list[Any]]

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


def _cells(name: str, values: list[Any]) -> Iterable[str]:
    """The cells of a column; only what people wrote can hold what CSV must quote or a spreadsheet would run."""
    if name in _WRITTEN_BY_PEOPLE:
        spelled = {value: _quoted(marked(value)) for value in set(values)}  # few, again and again
        return [spelled[value] for value in values]
    if _TYPE_OF[name] == pa.bool_():
        return ["true" if value else "false" for value in values]
    if _TYPE_OF[name] == pa.int32():
        return ["" if value is None else str(value) for value in values]
    return [value or "" for value in values]


def _quoted(text: str) -> str:
    return f'"{text.replace(_QUOTE, _QUOTE * 2)}"' if any(sign in text for sign in _SIGNS) else text


def _write_csv(chunks: Iterator[Chunk], path: Path, names: Sequence[str]) -> int:
    """By hand: the csv module looks at every sign of every cell."""
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(",".join(names) + "\r\n")
        for chunk in chunks:
            rows = zip(*(_cells(name, chunk[name]) for name in names), strict=True)
            file.writelines(f"{','.join(row)}\r\n" for row in rows)
            count += len(chunk["vote_id"])
    return count


def _write_jsonl(chunks: Iterator[Chunk], path: Path, names: Sequence[str]) -> int:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for chunk in chunks:
            rows = zip(*(chunk[name] for name in names), strict=True)
            file.writelines(f"{encode(dict(zip(names, row, strict=True)))}\n" for row in rows)
            count += len(chunk["vote_id"])
    return count


def _write_parquet(chunks: Iterator[Chunk], path: Path, names: Sequence[str]) -> int:
    schema = pa.schema([(name, _TYPE_OF[name]) for name in names])
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        for chunk in chunks:
            # Times are texts here and are read by Arrow, all of a column at once.
            arrays = [pa.array(chunk[name], _raw(_TYPE_OF[name])).cast(_TYPE_OF[name]) for name in names]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(chunk["vote_id"])
    return count


def _raw(kind: Any) -> Any:
    return pa.string() if pa.types.is_timestamp(kind) else kind


WRITERS: dict[str, Callable[[Iterator[Chunk], Path, Sequence[str]], int]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
FORMATS = tuple(WRITERS)
