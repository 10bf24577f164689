"""Read untrusted tables: CSV, JSON Lines and Parquet, row by row, every cell as text.

Every fault of such a file raises `Refused` with one sentence that says what was found and what to do.
"""

import codecs
import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from generation.tables.columns import (
    AS_CSV,
    AS_JSON_LINES,
    MOST_OF_A_NAME,
    Columns,
    Row,
    Table,
    plain,
    plain_name,
    refuse_head,
    refuse_other_separator,
    refuse_separator,
)
from generation.tables.records import json_lines, lines_of, parquet
from jobs.refusals import Refused
from jobs.wording import counted

LONGEST_CELL = 131_072  # what Python's csv module takes by default; a quote that is never closed runs into it
_JSON_LINES = (".jsonl", ".ndjson")
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*(\[\s*)?[\[{]\s*[\"{]")
_NO_TEXTS = {  # how files begin that a spreadsheet or another program wrote under the name of a text
    b"\xff\xfe\0\0": "is a text in UTF-32",  # begins like UTF-16, so it is looked for first
    b"\0\0\xfe\xff": "is a text in UTF-32",
    b"\xff\xfe": "is a text in UTF-16",
    b"\xfe\xff": "is a text in UTF-16",
    b"PK\x03\x04": "is a workbook or another zip file",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook",
    b"PAR1": "is a Parquet file that is not called .parquet",
    b"\x1f\x8b": "is packed with gzip",
    b"%PDF": "is a PDF",
}


@contextmanager
def open_table(path: Path, columns: Columns) -> Iterator[Table]:
    """Open the table in a file: .jsonl and .ndjson are JSON Lines, .parquet is Parquet, every other name is CSV.

    Raises Refused, here or from `rows`, for a file that is no such table or lacks required columns. Blank rows are
    left out; a row with too few or too many cells has its `fault` set.
    """
    suffix = path.suffix.lower()
    opened = parquet if suffix == ".parquet" else json_lines if suffix in _JSON_LINES else _csv
    _refuse_no_file(path)
    with _sentences(path):
        if opened is not parquet:
            _refuse_other_kinds(path)
        yield opened(path, columns)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file. Raises Refused if it cannot be read."""
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
            f"{_advice(path)}."
        ) from None


def _advice(path: Path) -> str:
    return AS_JSON_LINES if path.suffix.lower() in _JSON_LINES else AS_CSV


def _refuse_other_kinds(path: Path) -> None:
    with path.open("rb") as file:
        beginning = file.read(4096)
    what = next((what for magic, what in _NO_TEXTS.items() if beginning.startswith(magic)), "")
    if what or b"\0" in beginning:
        raise Refused(f"{path} {what or _holds_nul(beginning)}: {_advice(path)}.")
    if path.suffix.lower() not in _JSON_LINES and _JSON.match(beginning):
        raise Refused(f"{path} holds JSON: {AS_JSON_LINES}, in a file whose name ends in .jsonl.")


def _holds_nul(beginning: bytes) -> str:
    """Return the message about a file with NUL bytes: text in UTF-16 or UTF-32 without a mark, or no text."""
    if beginning.count(0) > len(beginning) // 4:
        for name in ("UTF-32-LE", "UTF-32-BE", "UTF-16-LE", "UTF-16-BE"):
            with suppress(UnicodeDecodeError):
                text = codecs.getincrementaldecoder(name)().decode(beginning)  # takes half a character at the end
                if "\0" not in text:
                    return f"is a text in {name[:6]}"
    return "holds NUL bytes, as no text does"


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
    rows = _csv_rows(path)
    try:
        line, head = next(rows, (1, []))
    except Refused:
        _refuse_quoted_names(path, columns)
        raise
    if head and re.fullmatch(r"sep=.?", plain(head[0]).strip("\ufeff"), re.IGNORECASE | re.DOTALL):
        refuse_separator(path, plain(head[0])[-1:].replace("=", "") or ",", f"line {line}, sep=, says so")
        line, head = next(rows, (line, []))
    if not head:
        raise Refused(f"{path} is empty: its first line must name the columns {','.join(columns.required)}.")
    known = [columns.known(cell) for cell in head]
    refuse_other_separator(path, columns, head, known)
    refuse_head(f"{path} line {line}", columns, head, known)
    unnamed = [not plain(cell) for cell in head]
    unused = tuple(
        plain(cell)[:MOST_OF_A_NAME] or "(without a name)" for cell, name in zip(head, known, strict=True) if not name
    )
    named = frozenset(plain_name(cell) for cell in head)
    used = tuple(dict.fromkeys(unused))
    return Table(named, used, is_csv=True, rows=_used_rows(rows, columns, known, unnamed))


def _refuse_quoted_names(path: Path, columns: Columns) -> None:
    """Raise Refused if the first line holds names in quotes with another separator than a comma between them."""
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline(LONGEST_CELL).replace('"', "").rstrip()
    refuse_other_separator(path, columns, [first], [columns.known(cell) for cell in first.split(",")])


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of each row that is not blank."""
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(lines_of(file, path), skipinitialspace=True, strict=True)
            for cells in reader:
                if any(cell and not cell.isspace() for cell in cells):
                    if any("\0" in cell for cell in cells):
                        raise Refused(f"{path} line {line} holds a NUL, as no text does: {AS_CSV}.")
                    yield line, cells
                line = reader.line_num + 1
    except csv.Error as error:
        raise Refused(f"{path} line {line} is not CSV: {_csv_fault(str(error))}.") from None


def _csv_fault(error: str) -> str:
    if "field larger than" in error:
        return f"a cell is longer than {LONGEST_CELL:,} characters; a quote may be opened and never closed"
    if "unexpected end" in error:
        return "a quote is opened and never closed"
    if "expected after" in error:
        return "a text continues after its closing quote; write a quote within a text twice"
    return error


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
