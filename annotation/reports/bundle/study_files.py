"""Convert the data of a report to files and back: a JSON document, a CSV table for each set of columns, NumPy arrays.

The types of `UnsealedData` drive both directions, so each field is kept. Pure.
"""

import io
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import datetime
from math import prod
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from annotation.reports.bundle.archive import canonical_json
from annotation.reports.data.study_data import SAME_IN_ALL, UnsealedData
from annotation.studies.manifest import Manifest
from generation.tables.formulas import looks_like_a_formula, marked, unmarked
from generation.tables.json_text import parse_json

STUDY = "study.json"
_TABLE, _COLUMNS, _ARRAY, _TEXT = "$table", "$columns", "$array", "text"
# Texts of which one looks like a formula; marked, so that no spreadsheet runs it. See `formulas`.
_MARKED_TEXT = "text, formulas marked"

Files = dict[str, bytes]
Read = Callable[[str], bytes]


def to_files(data: UnsealedData) -> Files:
    """Return the data as files by name, without its manifest.

    Columns that belong together (arrays of one dimension and texts of the same number) form a CSV table, each array of
    more dimensions a .npy file, and the rest is in study.json.
    """
    files: Files = {}
    document = _plain(data, "", files)
    return {STUDY: canonical_json(document), **files}


def from_files(read: Read, manifest: Manifest) -> UnsealedData:
    """Return the data that `to_files` was given. Raises KeyError, TypeError or ValueError if the files do not fit."""
    data: UnsealedData = _restored(parse_json(read(STUDY)), UnsealedData, _Sources(read, manifest))
    return data


# --- writing ------------------------------------------------------------------------------------
def _plain(value: Any, path: str, files: Files) -> Any:
    if isinstance(value, Manifest):
        return None
    if isinstance(value, np.ndarray):
        files[f"{path}.npy"] = _npy(value)
        return {_ARRAY: f"{path}.npy"}
    if is_dataclass(value):
        columns = _columns(value)
        written = (f.name for f in fields(value) if not _is_same_in_all(f, value))
        rest = {name: getattr(value, name) for name in written if name not in columns}
        plain = {name: _plain(item, f"{path}/{name}".lstrip("/"), files) for name, item in rest.items()}
        return plain | _with_table(columns, f"{path}.csv", files)
    if isinstance(value, dict):
        # Files are named by place: a key may be any text, also a path that leads elsewhere when unpacked.
        return {key: _plain(item, f"{path}/{place}", files) for place, (key, item) in enumerate(value.items(), start=1)}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{path}/{place}", files) for place, item in enumerate(value, start=1)]
    return value.isoformat() if isinstance(value, datetime) else value


def _is_same_in_all(field: Field[Any], value: Any) -> bool:
    """Whether a field is left out: of two models, each comparison has the same on its sides."""
    return SAME_IN_ALL in field.metadata and bool((getattr(value, field.name) == field.metadata[SAME_IN_ALL]).all())


def _columns(value: Any) -> dict[str, Any]:
    """Return the fields that are columns of one table: the longest arrays, and tuples of as many texts."""
    items = {f.name: getattr(value, f.name) for f in fields(value) if not _is_same_in_all(f, value)}
    lengths = [len(item) for item in items.values() if isinstance(item, np.ndarray) and item.ndim == 1]
    if not lengths:
        return {}
    n = max(lengths)
    return {name: item for name, item in items.items() if _is_column(item, n)}


def _is_column(item: Any, n: int) -> bool:
    if isinstance(item, np.ndarray):
        return bool(item.shape == (n,))
    return isinstance(item, tuple) and len(item) == n > 0 and all(isinstance(cell, str) for cell in item)


def _with_table(columns: dict[str, Any], name: str, files: Files) -> dict[str, Any]:
    if not columns:
        return {}
    kinds = {key: _kind(item) for key, item in columns.items()}
    files[name] = _csv(
        {key: tuple(map(marked, item)) if kinds[key] == _MARKED_TEXT else item for key, item in columns.items()}
    )
    return {_TABLE: name, _COLUMNS: kinds}


def _kind(column: Any) -> str:
    if isinstance(column, np.ndarray):
        return str(column.dtype.str)
    return _MARKED_TEXT if any(map(looks_like_a_formula, column)) else _TEXT


def _csv(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    table = pa.table({name: pa.array(item) for name, item in columns.items()})
    pa_csv.write_csv(table, sink, pa_csv.WriteOptions(quoting_style="needed"))
    return sink.getvalue()


def _npy(array: NDArray[Any]) -> bytes:
    sink = io.BytesIO()
    np.lib.format.write_array(sink, array, version=(1, 0), allow_pickle=False)
    return sink.getvalue()


# --- reading ------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Sources:
    """The sources of the data: a function that reads a file, and the manifest."""

    read: Read
    manifest: Manifest


def _restored(value: Any, kind: Any, sources: _Sources) -> Any:
    origin = get_origin(kind)
    if kind is Manifest:
        return sources.manifest
    if origin in (UnionType, Union):
        return None if value is None else _restored(value, _without_none(kind), sources)
    if origin is np.ndarray:
        return _of_type(_array(sources.read(value[_ARRAY])), kind)
    if origin is tuple:
        return tuple(_restored(item, get_args(kind)[0], sources) for item in value)
    if origin is dict:
        return {name: _restored(item, get_args(kind)[1], sources) for name, item in value.items()}
    if is_dataclass(kind):
        return _restored_dataclass(value, kind, sources)
    return _moment(value) if kind is datetime else _plain_value(value, kind)


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return moment


def _plain_value(value: Any, kind: Any) -> Any:
    """Return a value of JSON, checked against the type of its field; true and false are no numbers."""
    if kind is not Any and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise TypeError(f"{str(value)[:100]!r} is not a value of type {kind.__name__}")
    return value


def _array(raw: bytes) -> NDArray[Any]:
    """Return the array of a .npy file that `_npy` wrote; its size is checked before memory is allocated for it."""
    source = io.BytesIO(raw)
    if np.lib.format.read_magic(source) != (1, 0):
        raise ValueError("an array is of another version of the format")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(source)
    if is_fortran or dtype.hasobject or prod(shape) * dtype.itemsize != len(raw) - source.tell():
        raise ValueError("an array is not as large as it says")
    return np.frombuffer(raw, dtype, offset=source.tell()).reshape(shape).copy()


def _of_type(array: NDArray[Any], kind: Any) -> NDArray[Any]:
    """Return the array, checked against the type in the hint of its field."""
    (wanted,) = get_args(get_args(kind)[1])
    if array.dtype != np.dtype(wanted):
        raise TypeError(f"numbers of type {array.dtype} stand where {np.dtype(wanted)} belongs")
    return array


def _without_none(kind: Any) -> Any:
    """Return a type without None."""
    if get_origin(kind) not in (UnionType, Union):
        return kind
    (kind,) = [option for option in get_args(kind) if option is not NoneType]
    return kind


def _restored_dataclass(value: dict[str, Any], kind: Any, sources: _Sources) -> Any:
    columns = _read_csv(sources.read(value[_TABLE]), value[_COLUMNS]) if _TABLE in value else {}
    hints = get_type_hints(kind)
    for name, column in columns.items():
        if isinstance(column, np.ndarray):
            _of_type(column, _without_none(hints[name]))
    # A bundle of an earlier version lacks later fields, each of which has a default.
    has_default = (f.name for f in fields(kind) if f.default is not MISSING or f.default_factory is not MISSING)
    later = {name for name in has_default if name not in value}
    rest = {f.name: value[f.name] for f in fields(kind) if f.name not in columns and f.name not in later}
    return kind(**columns, **{name: _restored(item, hints[name], sources) for name, item in rest.items()})


def _read_csv(table: bytes, kinds: dict[str, str]) -> dict[str, Any]:
    types = {
        name: pa.string() if kind in (_TEXT, _MARKED_TEXT) else pa.from_numpy_dtype(np.dtype(kind))
        for name, kind in kinds.items()
    }
    options = pa_csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=[])
    parsing = pa_csv.ParseOptions(newlines_in_values=True)
    rows = pa_csv.read_csv(pa.BufferReader(table), parse_options=parsing, convert_options=options)
    return {name: _column(rows[name], kind) for name, kind in kinds.items()}


def _column(column: Any, kind: str) -> Any:
    if kind in (_TEXT, _MARKED_TEXT):
        texts = column.to_pylist()
        return tuple(map(unmarked, texts) if kind == _MARKED_TEXT else texts)
    return column.to_numpy().astype(np.dtype(kind), copy=True)
