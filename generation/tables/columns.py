"""The columns of a table: their names, their spellings, and the faults of a first line."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jobs.refusals import Refused

# Any other character is named by itself.
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars", ":": "colons", " ": "spaces"}
MOST_OF_A_NAME = 100  # letters of a column that is not used, in messages
_OF_NAMES = "_-,\"'\ufeff"  # no other separators
AS_CSV = 'save it as CSV in UTF-8 with commas between the columns (Excel: "CSV UTF-8"; LibreOffice: field delimiter ,)'
AS_JSON_LINES = "save it as JSON Lines in UTF-8, with one object in each line"


class Row(NamedTuple):
    """One row: its first line (in a Parquet file its number), and a text for each column that is used."""

    line: int
    cells: dict[str, str]
    fault: str = ""  # what is wrong with the row as a whole; then it has no cells


@dataclass(frozen=True, slots=True)
class Table:
    """An open table. names: every column, normalised by `plain_name`. unused: the columns that nobody needs, as they
    are written."""

    names: frozenset[str]
    unused: tuple[str, ...]
    is_csv: bool
    rows: Iterator[Row]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns to read: required names, optional names, and other spellings of them.

    as_written: columns whose cells are not brought to one spelling, such as names of files.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    aliases: Mapping[str, str] | None = None
    as_written: frozenset[str] = frozenset()

    def known(self, written: str) -> str:
        """Return the column for a name in the first line; empty if it is not wanted."""
        name = plain_name(written)
        name = (self.aliases or {}).get(name, name)
        return name if name in self.required or name in self.optional else ""

    def spelled(self, name: str, cell: str) -> str:
        """Return a cell of one of these columns, normalised."""
        return cell if name in self.as_written else plain(cell)


def plain(text: str) -> str:
    """Normalise a name or prompt: composed letters, no spaces at its ends."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()


def plain_name(written: str) -> str:
    """Normalise a column's name: small letters, one underscore for spaces, hyphens and underscores.

    >>> plain_name(" Score-A ")
    'score_a'
    """
    return re.sub(r"[\s_-]+", "_", plain(written).strip("\ufeff\u200b").strip()).casefold()


def refuse_head(where: str, columns: Columns, head: list[str], known: list[str]) -> None:
    """Raise Refused for a head without the required columns, or with one of them twice.

    where: the file, and of a CSV file the line that names the columns.
    """
    missing = [name for name in columns.required if name not in known]
    if not missing:
        twice = [name for name in dict.fromkeys(known) if name and known.count(name) > 1]
        if twice:
            raise Refused(f"{where} names the column {twice[0]} more than once: keep one of them.")
        return
    joined = ",".join(head)
    raise Refused(
        f"{where} must name the columns {','.join(columns.required)}, and {' and '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} not in it: {joined[:300]}."
    )


def refuse_other_separator(path: Path, columns: Columns, head: list[str], known: list[str]) -> None:
    """Raise Refused for a head that names more of the columns if it is split at another separator than a comma."""
    joined = ",".join(head)
    others = sorted({sign for sign in joined if not (sign.isalnum() or sign in _OF_NAMES)}, key=joined.index)
    for separator in (*SEPARATORS, *others):
        parts = [columns.known(part) for part in joined.split(separator)]
        if len(parts) > 1 and sum(map(bool, parts)) > sum(map(bool, known)):
            refuse_separator(path, separator, "line 1 shows it")


def refuse_separator(path: Path, separator: str, why: str) -> None:
    """Raise Refused for another separator than a comma."""
    if separator != ",":
        name = SEPARATORS.get(separator, repr(separator))
        raise Refused(f"{path} separates its columns by {name}, not by commas ({why}): {AS_CSV}.")
