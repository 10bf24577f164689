"""Tables that other people wrote: CSV, JSON Lines and Parquet, row by row, every cell a text.

Each way in which such a file goes wrong ends in `Refused` with one sentence that says what was seen and what to do.
"""

import csv
import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from generation.refusals import Refused
from generation.wording import counted

LONGEST_CELL = 131_072  # what Python's csv module takes by default; a quote that is never closed runs into it
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_AS_CSV = 'save it as CSV in UTF-8 with commas between the columns (Excel: "CSV UTF-8"; LibreOffice: field delimiter ,)'
_HALF = re.compile("[\\ud800-\\udfff]")  # a surrogate alone, which JSON can spell and no database holds
_NO_TEXTS = {  # how files begin that a spreadsheet or another program wrote under the name of a CSV
    b"\xff\xfe": "is a text in UTF-16",
    b"\xfe\xff": "is a text in UTF-16",
    b"PK\x03\x04": "is a workbook or another zip file",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook",
    b"PAR1": "is a Parquet file that is not called .parquet",
    b"\x1f\x8b": "is packed with gzip",
    b"%PDF": "is a PDF",
}


class Row(NamedTuple):
    """One row: the line it begins at (of a Parquet file its number), and a text for each column that is used."""

    line: int
    cells: dict[str, str]
    fault: str = ""  # what is wrong with the row as a whole; then it has no cells


@dataclass(frozen=True, slots=True)
class Table:
    """An open table. names: every column as `plain_name` has it. unused: the columns that nobody asked for, as they
    are written."""

    names: frozenset[str]
    unused: tuple[str, ...]
    is_csv: bool
    rows: Iterator[Row]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns to read: names that must be there, names that may be, and other spellings of them.

    as_written: columns whose cells are not brought to one spelling, such as names of files.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    aliases: Mapping[str, str] | None = None
    as_written: frozenset[str] = frozenset()

    def known(self, written: str) -> str:
        """The column that a head means; empty if nobody asks for it."""
        name = plain_name(written)
        name = (self.aliases or {}).get(name, name)
        return name if name in self.required or name in self.optional else ""

    def spelled(self, name: str, cell: str) -> str:
        """A cell of one of these columns."""
        return cell if name in self.as_written else plain(cell)


def plain(text: str) -> str:
    """One spelling of a name or prompt: composed letters, no blanks at its ends."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()


def plain_name(written: str) -> str:
    """A column's name in small letters, with one underscore for blanks, hyphens and underscores.

    >>> plain_name(" Score-A ")
    'score_a'
    """
    return re.sub(r"[\s_-]+", "_", plain(written).strip("\ufeff\u200b").strip()).casefold()


@contextmanager
def open_table(path: Path, columns: Columns) -> Iterator[Table]:
    """The table in a file: .jsonl and .ndjson are JSON Lines, .parquet is Parquet, every other name is CSV.

    Raises Refused, here or from `rows`, for a file that cannot be read as such a table and for one without the
    required columns. Rows that are blank are left out; a row with too few or too many cells carries its fault.
    """
    suffix = path.suffix.lower()
    opened = {".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}.get(suffix, _csv)
    _refuse_no_file(path)
    with _sentences(path):
        yield opened(path, columns)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file. Raises Refused if it cannot be read."""
    _refuse_no_file(path)
    with _sentences(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise Refused(
            f"{path} is not a UTF-8 text (it may be Windows-1252 or Latin-1; byte {error.object[error.start]:#04x}): "
            f"{_AS_CSV}."
        ) from None


def _refuse_no_file(path: Path) -> None:
    if "\0" in str(path):
        raise Refused(f"{str(path)!r} is not the name of a file.")
    try:
        if path.exists() and not path.is_file():
            raise Refused(f"{path} is not a file.")
    except OSError as error:  # a name that is too long, say
        raise Refused(f"{str(path)[:200]} cannot be read: {error.strerror}.") from None


# --- CSV ----------------------------------------------------------------------------------------
def _csv(path: Path, columns: Columns) -> Table:
    with path.open("rb") as file:
        beginning = file.read(4096)
    _refuse_other_kinds(path, beginning)
    rows = _csv_rows(path)
    line, head = next(rows, (1, []))
    if head and re.fullmatch(r"sep=.?", plain(head[0]).strip("\ufeff"), re.IGNORECASE | re.DOTALL):
        _refuse_separator(path, plain(head[0])[-1:].replace("=", "") or ",", f"line {line}, sep=, says so")
        line, head = next(rows, (line, []))
    if not head:
        raise Refused(f"{path} is empty: its first line must name the columns {','.join(columns.required)}.")
    known = [columns.known(cell) for cell in head]
    _refuse_head(path, columns, head, known)
    unnamed = [not plain(cell) for cell in head]
    unused = tuple(plain(cell) or "a column without a name" for cell, name in zip(head, known, strict=True) if not name)
    named = frozenset(plain_name(cell) for cell in head)
    used = tuple(dict.fromkeys(unused))
    return Table(named, used, is_csv=True, rows=_used_rows(rows, columns, known, unnamed))


def _refuse_other_kinds(path: Path, beginning: bytes) -> None:
    for magic, what in _NO_TEXTS.items():
        if beginning.startswith(magic):
            raise Refused(f"{path} {what}, not a CSV file in UTF-8: {_AS_CSV}.")
    if b"\0" in beginning:
        zeros = beginning.count(0)
        what = "is a text in UTF-16 or UTF-32" if zeros > len(beginning) // 4 else "holds NUL bytes, as no text does"
        raise Refused(f"{path} {what}: {_AS_CSV}.")


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells), without rows in which every cell is blank."""
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            for cells in reader:
                if any(cell and not cell.isspace() for cell in cells):
                    if any("\0" in cell for cell in cells):
                        raise Refused(f"{path} line {line} holds a NUL, as no text does: {_AS_CSV}.")
                    yield line, cells
                line = reader.line_num + 1
    except csv.Error as error:
        raise Refused(f"{path} line {line} is not CSV: {_csv_fault(str(error))}.") from None


def _csv_fault(error: str) -> str:
    if "field larger than" in error:
        return f"a cell is longer than {LONGEST_CELL:,} characters; a quote may be opened and never closed"
    if "unexpected end" in error:
        return "a quote is opened and never closed"
    return error


def _refuse_head(path: Path, columns: Columns, head: list[str], known: list[str]) -> None:
    missing = [name for name in columns.required if name not in known]
    if not missing:
        twice = [name for name in dict.fromkeys(known) if name and known.count(name) > 1]
        if twice:
            raise Refused(f"{path} line 1 names the column {twice[0]} more than once: keep one of them.")
        return
    joined = ",".join(head)
    for separator in _SEPARATORS:
        parts = [columns.known(part) for part in joined.split(separator)]
        if len(parts) > 1 and sum(map(bool, parts)) > sum(map(bool, known)):
            _refuse_separator(path, separator, "line 1 shows it")
    raise Refused(
        f"{path} line 1 must name the columns {','.join(columns.required)}, and {' and '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} not in it: {joined[:300]}."
    )


def _refuse_separator(path: Path, separator: str, why: str) -> None:
    if separator != ",":
        name = _SEPARATORS.get(separator, repr(separator))
        raise Refused(f"{path} separates its columns by {name}, not by commas ({why}): {_AS_CSV}.")


def _used_rows(
    rows: Iterable[tuple[int, list[str]]], columns: Columns, known: list[str], unnamed: list[bool]
) -> Iterator[Row]:
    width = len(known)
    least = width - next((place for place, is_unnamed in enumerate(reversed(unnamed)) if not is_unnamed), width)
    places = [(place, name) for place, name in enumerate(known) if name]
    for line, cells in rows:
        if len(cells) < least or any(plain(cell) for cell in cells[width:]):
            yield Row(
                line, {}, f"it has {counted(len(cells), 'cell')} and the first line {width}{_guess(cells, width)}"
            )
        else:
            yield Row(line, {name: columns.spelled(name, cells[place]) for place, name in places})


def _guess(cells: list[str], width: int) -> str:
    halves = sum(cell.strip().isdigit() for cell in cells)
    if len(cells) > width and halves >= 2 * (len(cells) - width):
        return "; if it has decimal commas, write points"
    return "; a text with a comma in it needs quotes" if len(cells) > width else ""


# --- JSON Lines, Parquet ------------------------------------------------------------------------
def _json_lines(path: Path, columns: Columns) -> Table:
    names: dict[str, None] = {}
    for _line, record in _json_records(path):
        names |= dict.fromkeys(record)
    return _of_records(path, columns, list(names), lambda: _json_records(path))


def _json_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                record = json.loads(text)
            except (ValueError, RecursionError):
                raise Refused(f"{path} line {line} is not JSON: each line must hold one object.") from None
            if not isinstance(record, dict):
                raise Refused(f"{path} line {line} is not a JSON object with the columns as its keys.")
            yield line, record


def _parquet(path: Path, columns: Columns) -> Table:
    # Imported here: reading CSV, which is all that most do, needs no Arrow.
    import pyarrow as pa
    import pyarrow.parquet as pq

    def records() -> Iterator[tuple[int, dict[str, Any]]]:
        number = 0
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=10_000):
                    for record in batch.to_pylist():
                        number += 1
                        yield number, record
        except pa.ArrowException as error:
            raise damaged(error) from None

    def damaged(error: Exception) -> Refused:
        return Refused(f"{path} is damaged or no Parquet file: {str(error).splitlines()[0][:200]}.")

    try:
        names = pq.read_schema(path).names
    except pa.ArrowException as error:
        raise damaged(error) from None
    return _of_records(path, columns, names, records)


def _of_records(
    path: Path,
    columns: Columns,
    written: Collection[str],
    records: Callable[[], Iterator[tuple[int, dict[str, Any]]]],
) -> Table:
    if not written:
        raise Refused(f"{path} is empty: it must have the columns {','.join(columns.required)}.")
    known = [columns.known(name) for name in written]
    _refuse_head(path, columns, list(written), known)
    places = [(name, column) for name, column in zip(written, known, strict=True) if column]
    unused = tuple(name for name, column in zip(written, known, strict=True) if not column)
    rows = _record_rows(records(), columns, places)
    return Table(frozenset(map(plain_name, written)), unused, is_csv=False, rows=rows)


def _record_rows(
    records: Iterable[tuple[int, dict[str, Any]]], columns: Columns, places: Collection[tuple[str, str]]
) -> Iterator[Row]:
    for line, record in records:
        cells = {column: columns.spelled(column, _text(record.get(name))) for name, column in places}
        if any("\0" in cell for cell in cells.values()):
            yield Row(line, {}, "it holds a NUL, as no text does")
        elif any(_HALF.search(cell) for cell in cells.values()):
            yield Row(line, {}, "it holds half a character, as no text does")
        else:
            yield Row(line, cells)


def _text(value: Any) -> str:
    """A value of JSON or Parquet as a CSV file would have it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat()
        case _:
            return str(value)
