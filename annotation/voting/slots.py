"""The counters of a comparison: every change is one conditional UPDATE, in the transaction of what it counts.

A slot is a live main assignment or a standing main vote. Locks are taken in one order everywhere:
annotator, assignment, comparison; and a transaction that holds a comparison never waits for another one
(it skips what is locked), so two of them cannot wait for each other.
"""

from collections import Counter
from collections.abc import Iterable

from django.db.models import F

from annotation.models import Comparison


def take(comparison_id: int) -> bool:
    """Take a slot for a lease; False when every slot is taken."""
    free = Comparison.objects.filter(pk=comparison_id, slot_count__lt=F("overlap"))
    return free.update(slot_count=F("slot_count") + 1) == 1


def take_for_vote(comparison_id: int) -> bool:
    """Take a slot for a vote whose lease had ended; False when every slot is taken."""
    free = Comparison.objects.filter(pk=comparison_id, slot_count__lt=F("overlap"))
    return free.update(slot_count=F("slot_count") + 1, vote_count=F("vote_count") + 1) == 1


def count_vote(comparison_id: int) -> None:
    """A lease that holds a slot became a standing vote."""
    Comparison.objects.filter(pk=comparison_id).update(vote_count=F("vote_count") + 1)


def uncount_vote(comparison_id: int) -> None:
    """A standing vote became a lease again: its slot stays held."""
    Comparison.objects.filter(pk=comparison_id).update(vote_count=F("vote_count") - 1)


def free(comparison_ids: Iterable[int]) -> None:
    """Give back one slot for each id; an id may come more than once."""
    counts = Counter(comparison_ids)
    # Locked in the order of their ids, so that two processes that free many do not wait for each other.
    held = Comparison.objects.filter(pk__in=counts).order_by("pk").select_for_update(no_key=True)
    by_count: dict[int, list[int]] = {}
    for comparison_id in held.values_list("pk", flat=True):
        by_count.setdefault(counts[comparison_id], []).append(comparison_id)
    for count, ids in by_count.items():
        Comparison.objects.filter(pk__in=ids).update(slot_count=F("slot_count") - count)
