"""What stands in a cell of our CSV files."""

from datetime import datetime
from typing import Any

from generation.tables.formulas import marked


def cell(value: Any) -> Any:
    """A value as the files write it: true and false in small letters, times in ISO 8601, texts as `marked` has them."""
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat()
        case str():
            return marked(value)
        case _:
            return value
