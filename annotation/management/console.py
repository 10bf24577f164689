"""A rich console on a command's output."""

from typing import IO, cast

from django.core.management.base import OutputWrapper
from rich.console import Console


def console_on(stdout: OutputWrapper) -> Console:
    """Where rich prints so that the command's own stdout gets it (OutputWrapper ends every write with a new line)."""
    return Console(file=cast(IO[str], stdout._out), highlight=False)
