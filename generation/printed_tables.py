"""Tables that commands print: names are copied and typed again, so they stay in one piece."""

from typing import IO, cast

from django.core.management.base import OutputWrapper
from rich.console import Console, ConsoleDimensions
from rich.measure import Measurement
from rich.table import Table

MOST_COLUMNS = 10_000


def console_on(stdout: OutputWrapper) -> Console:
    """Where rich prints so that the command's own stdout gets it (OutputWrapper ends every write with a new line)."""
    # Foreign names are printed as they are, whatever is mark-up to rich.
    return Console(file=cast(IO[str], stdout._out), highlight=False, markup=False, emoji=False)


def print_table(console: Console, table: Table) -> None:
    """Print a table in which nothing is cut. On a terminal columns that are not `no_wrap` fold between words, in a
    pipe or a file no cell folds: rows there are as long as they need to be."""
    options = console.options.update(width=MOST_COLUMNS)
    for column in table.columns:
        if column.no_wrap:
            cells = (column.header, *column.cells)
            column.min_width = max(Measurement.get(console, options, cell).maximum for cell in cells)
    needed = Measurement.get(console, options, table)
    width = max(console.width, needed.minimum) if console.is_terminal else needed.maximum
    console.size = ConsoleDimensions(width, console.height)
    console.print(table)
