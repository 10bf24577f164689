"""The counters of a comparison: every change is one conditional UPDATE, in the transaction of what it counts.

A slot is a live main assignment or a standing main vote.

No two transactions wait for each other, because (1) locks are waited for in the order annotator,
assignment, comparison; (2) whoever holds a comparison skips what others have locked, and (3) only the
expiry of leases, undoing, withdrawing and giving back several comparisons wait for more than one of them, in the
order of their ids; expiry skips locked assignments, and undoing has moved every assignment before it waits for
the first comparison.
A search that may wait tries one comparison for each transaction: PostgreSQL keeps the lock of a row that
it waited for even when the row then no longer fits.
"""

from collections.abc import Collection, Mapping

from django.db.models import F
from django.db.models.functions import Greatest

from annotation.models import Comparison, Study

IDS_PER_STATEMENT = 1000


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


def free(comparison_ids: Collection[int], slots: int = 1) -> None:
    """Give back as many slots of each comparison, for leases that ended."""
    Comparison.objects.filter(pk__in=comparison_ids).update(slot_count=F("slot_count") - slots)


def take_back(*, voted: Collection[int], leased: Collection[int]) -> None:
    """Uncount a standing vote of each comparison in `voted` and free its slot; free a slot of each in `leased`."""
    rows = Comparison.objects.filter(pk__in=[*voted, *leased]).order_by("pk")
    list(rows.select_for_update(no_key=True).values("pk"))
    Comparison.objects.filter(pk__in=voted).update(slot_count=F("slot_count") - 1, vote_count=F("vote_count") - 1)
    free(leased)


def lock_all(study: Study) -> dict[int, int]:
    """Lock every comparison of the study until the transaction ends; how many slots each has left, by its id."""
    rows = Comparison.objects.filter(study=study).order_by("pk").select_for_update(no_key=True)
    return {pk: overlap - held for pk, overlap, held in rows.values_list("pk", "overlap", "slot_count")}


def add_votes(counts: Mapping[int, int]) -> None:
    """Count so many votes more, by the id of the comparison; the overlap grows where they would not fit."""
    for count in sorted(set(counts.values())):
        ids = [comparison_id for comparison_id in counts if counts[comparison_id] == count]
        for start in range(0, len(ids), IDS_PER_STATEMENT):
            held = F("slot_count") + count
            Comparison.objects.filter(pk__in=ids[start : start + IDS_PER_STATEMENT]).update(
                slot_count=held, vote_count=F("vote_count") + count, overlap=Greatest("overlap", held)
            )
