"""Rows of a CSV file, and rows as a DataFrame if pandas is installed."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame


def rows_of(content: bytes) -> list[dict[str, str]]:
    """Return the rows of a CSV file in UTF-8."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def frame_of(rows: Iterable[Mapping[str, Any]], columns: Iterable[str] | None = None) -> "DataFrame":
    """Return the rows as a DataFrame. Raises ImportError, with the way out, if pandas is missing."""
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise ImportError("A DataFrame needs pandas: pip install 'semblance-client[pandas]'") from error
    return DataFrame([dict(row) for row in rows], columns=list(columns) if columns else None)


def csv_frame(content: bytes) -> "DataFrame":
    """Return a CSV file as a DataFrame, with the types that its columns have."""
    try:
        from pandas import read_csv
    except ImportError as error:
        raise ImportError("A DataFrame needs pandas: pip install 'semblance-client[pandas]'") from error
    return read_csv(io.BytesIO(content), encoding="utf-8-sig", keep_default_na=False, na_values=[""])
