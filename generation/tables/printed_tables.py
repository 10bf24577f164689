"""Print the tables of commands. Names are never cut or folded, because people copy them."""

from typing import IO, cast

from django.core.management.base import OutputWrapper
from rich.console import Console, ConsoleDimensions
from rich.measure import Measurement
from rich.table import Table

MOST_COLUMNS = 10_000


def console_on(stdout: OutputWrapper) -> Console:
    """Return a console that prints to the command's stdout (OutputWrapper ends every write with a new line)."""
    # Names from files are printed unchanged, even if they contain rich's markup.
    return Console(file=cast(IO[str], stdout._out), highlight=False, markup=False, emoji=False)


def print_table(console: Console, table: Table) -> None:
    """Print a table without cutting anything. On a terminal, columns without `no_wrap` fold between words; in a pipe or
    a file no cell folds, however long the row is."""
    options = console.options.update(width=MOST_COLUMNS)
    for column in table.columns:
        if column.no_wrap:
            cells = (column.header, *column.cells)
            column.min_width = max(Measurement.get(console, options, cell).maximum for cell in cells)
    needed = Measurement.get(console, options, table)
    width = max(console.width, needed.minimum) if console.is_terminal else needed.maximum
    console.size = ConsoleDimensions(width, console.height)
    console.print(table)
