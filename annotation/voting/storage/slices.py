"""Long work in short transactions, so that votes are stored between two of them.

SQLite has one writer, and on PostgreSQL a transaction keeps the locks of its rows until it ends. So work that writes
thousands of rows beside the voting goes through `in_slices`, and queues again for each slice (`sqlite_queue`). The
process may die between two slices, so the work, if it is repeated, must go on with what is left.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from annotation.voting.storage.sqlite_queue import in_turn

Row = TypeVar("Row")
Result = TypeVar("Result")
FIRST_SIZE, MOST_ROWS = 50, 1000
LEAST_ROWS = 25  # of comparisons and the like: a slice of one took 14 ms of a processor, one of 25 took 40
SMALL_ROWS = 100  # of imported votes and the like: so many cost little more than one
# No vote should wait for 0.2 s, even if other programs leave a slice a fifth of the processor.
SECONDS_OF_A_SLICE = 0.04


def in_slices(
    rows: Sequence[Row], work: Callable[[Sequence[Row]], Result], *, most: int = MOST_ROWS, least: int | None = None
) -> list[Result]:
    """Do the work on all rows, some at a time, each time in a transaction of its own; return what each slice gave.

    A slice holds between `least` (if None, LEAST_ROWS) and `most` rows, as many as fit into SECONDS_OF_A_SLICE at the
    pace of the one before. Below `least` a busy machine would spend its time on the fixed cost of a slice. Inside a
    transaction of the caller the slices are savepoints of it, and no vote is stored in between.
    """
    results: list[Result] = []
    least = min(most, LEAST_ROWS if least is None else least)
    start, size = 0, max(least, min(FIRST_SIZE, most))
    while start < len(rows):
        some = rows[start : start + size]
        result, seconds = _one_slice(work, some)
        results.append(result)
        start += len(some)
        size = next_size(size, seconds, most=most, least=least)
    return results


def next_size(size: int, seconds: float, *, most: int, least: int = 1) -> int:
    """Return the number of rows of the next slice: at most twice as many as the last one, which had `size` rows.

    >>> [next_size(100, seconds, most=1000) for seconds in (0.0, 0.04, 0.08, 20.0)]
    [200, 100, 50, 1]
    """
    factor = min(2.0, SECONDS_OF_A_SLICE / seconds) if seconds > 0 else 2.0
    return max(least, min(most, int(size * factor)))


@in_turn
def _one_slice(work: Callable[[Sequence[Row]], Result], rows: Sequence[Row]) -> tuple[Result, float]:
    began_at = time.monotonic()
    return work(rows), time.monotonic() - began_at
