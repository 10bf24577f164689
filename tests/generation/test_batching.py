"""Batches: as large as fits, halved where it does not, remembered."""

from collections.abc import Sequence

import pytest

from generation.batching import BatchSizes, DoesNotFit, in_batches


class Memory:
    """A device on which a batch of more than `room` images runs out of memory."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tried: list[int] = []
        self.relieved = 0

    def run(self, seeds: Sequence[int]) -> list[int]:
        self.tried.append(len(seeds))
        if len(seeds) > self.room:
            raise MemoryError
        return list(seeds)

    def relieve(self) -> None:
        self.relieved += 1

    def sample(self, seeds: Sequence[int], sizes: BatchSizes, key: str = "sdxl") -> list[tuple[list[int], list[int]]]:
        batches = in_batches(
            seeds,
            sizes=sizes,
            key=key,
            run=self.run,
            is_out_of_memory=lambda error: isinstance(error, MemoryError),
            relieve=self.relieve,
        )
        return [(list(batch), made) for batch, made in batches]


def test_every_seed_once_and_in_order() -> None:
    memory = Memory(room=100)
    made = memory.sample(range(10), BatchSizes(4))
    assert memory.tried == [4, 4, 2]
    assert [seed for _, batch in made for seed in batch] == list(range(10))
    assert all(batch == images for batch, images in made)


def test_halving_until_it_fits_and_remembering() -> None:
    memory, sizes = Memory(room=3), BatchSizes(20)
    made = memory.sample(range(7), sizes)
    assert memory.tried == [7, 3, 3, 1]
    assert memory.relieved == 1
    assert [seed for _, batch in made for seed in batch] == list(range(7))
    memory.tried.clear()
    memory.sample(range(4), sizes)
    assert memory.tried == [3, 1]
    memory.sample(range(4), sizes, key="another size")
    assert memory.tried == [3, 1, 4, 2, 2]


def test_failing_at_one() -> None:
    memory = Memory(room=0)
    with pytest.raises(DoesNotFit):
        memory.sample(range(4), BatchSizes(4))
    assert memory.tried == [4, 2, 1]


def test_other_errors_pass() -> None:
    def run(_: Sequence[int]) -> None:
        raise ValueError("no such scheduler")

    with pytest.raises(ValueError, match="no such scheduler"):
        next(
            in_batches(
                [1],
                sizes=BatchSizes(4),
                key="",
                run=run,
                is_out_of_memory=lambda error: isinstance(error, MemoryError),
                relieve=lambda: None,
            )
        )
