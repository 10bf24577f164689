"""The batches in which seeds are sampled together: fixed by the plan, halved only if the memory is full. No Django.

Some pixels of an image depend slightly on the batch it was made in. So the batch of a seed follows from the job's seeds
alone: which of them are recorded already, which worker samples them, and how often it was restarted change nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jobs import whole_files


def planned_batches(seeds: Sequence[int], size: int) -> list[list[int]]:
    """Return the batches of a job's seeds, in order; the last one may be smaller.

    >>> planned_batches([7, 8, 9], 2)
    [[7, 8], [9]]
    """
    return [list(seeds[start : start + size]) for start in range(0, len(seeds), size)]


@dataclass(frozen=True)
class Batch:
    """Seeds that are sampled together.

    planned: how many the plan puts together. size: how many images are sampled; those beyond the seeds are thrown away.
    """

    seeds: list[int]
    planned: int
    size: int

    def padded(self) -> list[int]:
        """Return the seed of each image that is sampled: the last one is repeated.

        >>> planned_batch([7, 8], padded_to=4).padded()
        [7, 8, 8, 8]
        """
        return [*self.seeds, *self.seeds[-1:] * (self.size - len(self.seeds))]

    def unpadded(self) -> "Batch":
        """Return the batch with its seeds alone."""
        return replace(self, size=len(self.seeds))

    def halves(self) -> list["Batch"]:
        """Return the batches of half the size with the same seeds; the last one may be smaller if this one is full.

        >>> [half.padded() for half in planned_batch([7, 8, 9], padded_to=0).halves()]
        [[7, 8], [9]]
        >>> [half.padded() for half in planned_batch([7, 8, 9], padded_to=4).halves()]
        [[7, 8], [9, 9]]
        """
        size, is_padded = (self.size + 1) // 2, self.size > len(self.seeds)
        parts = planned_batches(self.seeds, size)
        return [Batch(part, self.planned, size if is_padded else len(part)) for part in parts]

    def facts(self) -> dict[str, Any]:
        """Return what is recorded with each image."""
        sizes = {"batch": list(self.seeds), "batch_size": len(self.seeds), "planned_batch_size": self.planned}
        return sizes | ({"padded_batch_size": self.size} if self.size > len(self.seeds) else {})


def planned_batch(seeds: Sequence[int], padded_to: int) -> Batch:
    """Return a batch of the plan, filled up to at least `padded_to` images."""
    return Batch(list(seeds), len(seeds), max(len(seeds), padded_to))


class BatchSizes:
    """The planned size of a batch, and the largest size that may fit into memory, for each key (card, model, size).

    What did not fit is kept in `file`, if one is given, so that a process that starts again does not try it again.
    """

    def __init__(self, planned: int, file: Path | None = None) -> None:
        self.planned = planned
        self._file = file
        self._most = _read(file)  # only keys for which a batch did not fit

    def fits(self, key: str, count: int) -> bool:
        """Return whether a batch may fit, as far as is known."""
        return count <= self._most.get(key, count)

    def halve(self, key: str, failed: int) -> None:
        """Remember that a batch of `failed` images, more than one, did not fit."""
        self._most[key] = min((failed + 1) // 2, self._most.get(key, failed))
        if self._file:
            self._most = _read(self._file) | self._most  # other cards of this host may have written
            whole_files.write(self._file, json.dumps(self._most, indent=1, sort_keys=True).encode())


def _read(file: Path | None) -> dict[str, int]:
    """Return the sizes in a file; none if it is missing or damaged, since they are found out again."""
    try:
        sizes = json.loads(file.read_bytes()) if file else {}
        return {str(key): size for key, size in sizes.items() if isinstance(size, int) and size > 0}
    except (OSError, ValueError, AttributeError):
        return {}
