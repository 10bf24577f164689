"""The batches in which seeds are sampled together: fixed by the plan, and halved only if the memory is full. Pure.

Some pixels of an image depend slightly on the batch it was made in. So the batch of a seed follows from the job's seeds
alone: which of them are recorded already, which worker samples them, and how often it was restarted change nothing.
"""

from collections.abc import Mapping, Sequence


def planned_batches(seeds: Sequence[int], size: int) -> list[list[int]]:
    """Return the batches of a job's seeds, in order; the last one may be smaller.

    >>> planned_batches([7, 8, 9], 2)
    [[7, 8], [9]]
    """
    return [list(seeds[start : start + size]) for start in range(0, len(seeds), size)]


def halves(batch: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the two halves of a batch of more than one; the first is not the smaller one."""
    middle = (len(batch) + 1) // 2
    return list(batch[:middle]), list(batch[middle:])


class BatchSizes:
    """The planned size of a batch, and the largest size that may fit into memory, for each key (model and size)."""

    def __init__(self, planned: int) -> None:
        self.planned = planned
        self.most: dict[str, int] = {}  # only for keys that did not fit once

    def fits(self, key: str, count: int) -> bool:
        """Return whether a batch may fit, as far as is known."""
        return count <= self.most.get(key, count)

    def halve(self, key: str, failed: int) -> None:
        """Remember that a batch of `failed` images, more than one, did not fit."""
        self.most[key] = min((failed + 1) // 2, self.most.get(key, failed))

    def learn(self, most: Mapping[str, int]) -> None:
        """Take over what was found out before."""
        self.most |= most
