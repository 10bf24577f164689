"""Who would be given what: the allocation of comparisons without a database, for planning. Pure."""

import numpy as np
from numpy.typing import NDArray

from annotation.voting.allocation import search_start, stored_chance


def dry_run(*, comparisons: int, overlap: int, quotas: list[int], seeds: list[int]) -> NDArray[np.int64]:
    """How many votes each comparison gets, (comparisons,), if annotators come one after the other and answer all.

    The rule is that of `assignment`: one of the least filled comparisons that the annotator has not had, the first
    from a position drawn from the annotator's seed. quotas, seeds: one for each annotator.
    """
    slots = np.zeros(comparisons, dtype=np.int64)
    for quota, seed in zip(quotas, seeds, strict=True):
        is_unseen = np.ones(comparisons, dtype=bool)
        for index in range(quota):
            start = search_start(stored_chance(seed, "search", index), comparisons - 1)
            place = _next(slots, is_unseen & (slots < overlap), start)
            if place is None:
                break
            slots[place] += 1
            is_unseen[place] = False
    return slots


def _next(slots: NDArray[np.int64], is_free: NDArray[np.bool_], start: int) -> int | None:
    """The first of the least filled free places from `start` on, around the end; None where nothing is free."""
    if not is_free.any():
        return None
    is_least = is_free & (slots == slots[is_free].min())
    after = int(is_least[start:].argmax()) + start
    return after if is_least[after] else int(is_least.argmax())
