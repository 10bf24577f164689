"""How many images are sampled at once: as many as fit, found out by halving. Pure."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeVar

R = TypeVar("R")


class DoesNotFit(Exception):  # noqa: N818 - it names what happened
    """Not even a batch of one fits into memory."""


class BatchSizes:
    """The batch size that fitted, for each key (model and image size), from a first guess downwards."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._fitting: dict[Hashable, int] = {}

    def __getitem__(self, key: Hashable) -> int:
        return self._fitting.get(key, self._first)

    def halve(self, key: Hashable, failed: int) -> None:
        """Remember that a batch of `failed` was too much. Raises DoesNotFit where that was one."""
        if failed == 1:
            raise DoesNotFit
        self._fitting[key] = failed // 2


def in_batches(
    seeds: Sequence[int],
    *,
    sizes: BatchSizes,
    key: Hashable,
    run: Callable[[Sequence[int]], R],
    is_out_of_memory: Callable[[Exception], bool],
    relieve: Callable[[], None],
) -> Iterator[tuple[Sequence[int], R]]:
    """Run over all seeds in order, each batch as large as fits; yields (the batch's seeds, what run made of them)."""
    rest = seeds
    while rest:
        batch = rest[: sizes[key]]
        is_too_much = False
        try:
            result = run(batch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            is_too_much = True
        if is_too_much:
            # Outside the except block: the exception's traceback held on to the tensors that filled the memory.
            relieve()
            sizes.halve(key, len(batch))
            continue
        yield batch, result
        rest = rest[len(batch) :]
