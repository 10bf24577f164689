"""Tables of commands: names stay in one piece, and nothing is cut."""

from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from generation.tables.printed_tables import print_table

NAME = "a [red] cat :cat: on a very long sofa in the evening"
REMARK = "1.png is of one colour and 2.png is the same image as 1.png"


def printed(*, width: int, is_terminal: bool) -> list[str]:
    out = StringIO()
    console = Console(
        file=out, width=width, force_terminal=is_terminal, color_system=None, markup=False, emoji=False, highlight=False
    )
    table = Table()
    table.add_column("folder", no_wrap=True)
    table.add_column("remarks", overflow="fold")
    table.add_row(NAME, REMARK)
    print_table(console, table)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 80, 100, 300])
def test_a_name_stays_in_one_piece_on_a_terminal(width: int) -> None:
    lines = printed(width=width, is_terminal=True)
    assert any(NAME in line for line in lines)
    assert " ".join("".join(line[len(NAME) + 4 :].strip("\u2502 ") + " " for line in lines[3:-1]).split()) == REMARK
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= max(width, len(NAME) + len("remarks") + 7)


@pytest.mark.parametrize("width", [20, 80])
def test_no_cell_folds_in_a_pipe(width: int) -> None:
    lines = printed(width=width, is_terminal=False)
    assert len(lines) == 5
    assert NAME in lines[3]
    assert REMARK in lines[3]
