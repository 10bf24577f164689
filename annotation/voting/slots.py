"""The counters of a comparison, and the order in which rows are locked.

A slot is held by a leased main assignment or a standing main vote, except those of annotators who were screened out.
Each change of a counter is one conditional UPDATE, in the transaction that changes the assignment or the vote. So of
two transactions that want the last slot one gets it, and a process that is killed leaves no counter that is wrong.

No two transactions wait for each other:

1. Each waits for locks in the order annotator, assignment, comparison.
2. A transaction that holds a comparison waits for nothing more. It skips rows that others have locked, and what must
   wait runs in a transaction of its own, after the commit.
3. Only these wait for more than one comparison, and in the order of their ids: the expiry of leases, undoing,
   excluding, withdrawing, screening out, imports, amendments, and giving back several comparisons. Expiry skips
   assignments that others have locked. Undoing has changed all its assignments before it waits for a comparison.

A search that may wait tries one comparison in each transaction: if PostgreSQL has waited for a row, it keeps the lock
even if the row then no longer fits.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Greatest

from annotation.models import Annotator, Assignment, Comparison, Vote
from annotation.models.assignment import chosen_model

IDS_PER_STATEMENT = 1000
_LEFT_A = Q(left_model=Assignment.Side.A)
_FOR_LEFT, _A_LEFT = Q(choice=Vote.Choice.LEFT), Q(assignment__left_model=Assignment.Side.A)
FOR_TIE = Q(choice=Vote.Choice.TIE)
FOR_A = ~FOR_TIE & ((_FOR_LEFT & _A_LEFT) | (~_FOR_LEFT & ~_A_LEFT))
FOR_B = ~FOR_TIE & ((_FOR_LEFT & ~_A_LEFT) | (~_FOR_LEFT & _A_LEFT))
_BY_LEAD = {"votes_a": 1, "votes_b": -1, "votes_tie": 0}  # which counter a vote with this lead is counted in


def counted_votes() -> QuerySet[Vote]:
    """The votes that decide a comparison's winner: standing, on main assignments, not excluded.

    Not those of annotators who were screened out, or who have withdrawn and whose last votes are still being deleted.
    """
    return Vote.objects.filter(
        assignment__kind=Assignment.Kind.MAIN, state=Vote.State.STANDING, excluded_at=None
    ).exclude(assignment__annotator__state__in=(Annotator.State.SCREENED_OUT, Annotator.State.WITHDRAWN))


def lead_of(choice: str, left_model: str) -> int:
    """Return what one vote adds to its comparison's `lead`: 1 for A, -1 for B, 0 for a tie."""
    return {"a": 1, "b": -1, "": 0}[chosen_model(choice, left_model)]


def take(comparison_id: int) -> bool:
    """Take a slot for an assignment that is leased again; False if every slot is taken or none is wanted any more."""
    wanted = Comparison.objects.filter(pk=comparison_id, slot_count__lt=F("overlap"), decided_at=None)
    return wanted.update(slot_count=F("slot_count") + 1) == 1


def take_for_vote(comparison_id: int, lead: int) -> bool:
    """Take a slot for a vote whose lease had ended; False if every slot is taken. lead: see `lead_of`."""
    free = Comparison.objects.filter(pk=comparison_id, slot_count__lt=F("overlap"))
    counts = {"slot_count": F("slot_count") + 1, "vote_count": F("vote_count") + 1, "lead": F("lead") + lead}
    return free.update(**counts, **{name: F(name) + count for name, count in _tally(lead).items()}) == 1


def uncount_vote(comparison_id: int, lead: int | None) -> None:
    """Uncount a standing vote that became a lease again; its slot stays held, and a decided comparison is open again.

    lead: see `lead_of`; None for a vote that was excluded and so not counted for the winner.
    """
    tally = {} if lead is None else {name: F(name) - count for name, count in _tally(lead).items()}
    Comparison.objects.filter(pk=comparison_id).update(
        vote_count=F("vote_count") - 1, lead=F("lead") - (lead or 0), decided_at=None, **tally
    )


def _tally(lead: int) -> dict[str, int]:
    """Return what one vote adds to each counter of counted votes."""
    return {name: int(counted == lead) for name, counted in _BY_LEAD.items()}


def free(comparison_ids: Collection[int], slots: int = 1) -> None:
    """Free slots whose leases have ended: their number by comparison."""
    Comparison.objects.filter(pk__in=comparison_ids).update(slot_count=F("slot_count") - slots)


def take_back(*, voted: Collection[int], leased: Collection[int]) -> None:
    """Uncount a standing vote of each comparison in `voted` and free its slot; free a slot of each in `leased`."""
    _lock([*voted, *leased])
    # Without these votes the winner may no longer be certain, and until the counters of the models follow, the
    # constraint `comparison_decided_by_a_lead` would be violated by a decided comparison.
    Comparison.objects.filter(pk__in=voted).update(
        slot_count=F("slot_count") - 1, vote_count=F("vote_count") - 1, decided_at=None
    )
    free(leased)


def recount(comparison_ids: Collection[int]) -> None:
    """Count `lead`, `left_lead` and the counted votes again from the rows, and open again what was decided.

    Called at the end of a transaction that stores, deletes or excludes many votes, or takes an exclusion back. It does
    not touch slots: see `take_back`.
    """
    # Locked first: an UPDATE that waits would count the rows as they were before it waited.
    _lock(comparison_ids)
    ids = sorted(comparison_ids)
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        some = Comparison.objects.filter(pk__in=ids[start : start + IDS_PER_STATEMENT])
        some.update(**recounted())
        some.filter(lead__isnull=False).update(lead=F("votes_a") - F("votes_b"))


def recounted() -> dict[str, Any]:
    """The values of the counters by the rows, as subqueries of comparisons."""
    main, votes = Assignment.objects.filter(kind=Assignment.Kind.MAIN), counted_votes()
    left_lead = Count("pk", filter=_LEFT_A) - Count("pk", filter=~_LEFT_A)
    return {
        "left_lead": _of_one(main, left_lead),
        "votes_a": _of_one(votes, Count("pk", filter=FOR_A)),
        "votes_b": _of_one(votes, Count("pk", filter=FOR_B)),
        "votes_tie": _of_one(votes, Count("pk", filter=FOR_TIE)),
        "decided_at": None,
    }


def _lock(comparison_ids: Collection[int]) -> None:
    """Lock the comparisons in the order of their ids, and wait for each."""
    ids = sorted(comparison_ids)
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        some = Comparison.objects.filter(pk__in=ids[start : start + IDS_PER_STATEMENT]).order_by("pk")
        list(some.select_for_update(no_key=True).values("pk"))


def _of_one(rows: QuerySet[Any], counted: Any) -> Coalesce:
    """The count among the rows of one comparison, as a subquery of comparisons."""
    path = "assignment__comparison" if rows.model is Vote else "comparison"
    of_one = rows.filter(**{path: OuterRef("pk")}).order_by().values(path).annotate(counted=counted)
    return Coalesce(Subquery(of_one.values("counted"), output_field=IntegerField()), 0)


def take_back_all(assignments: QuerySet[Assignment], *, are_slots_held: bool = True) -> list[int]:
    """Free the slots of one annotator's assignments; return their comparisons, to `recount` when the votes are gone.

    are_slots_held: false for an annotator who was screened out, because that freed the slots.
    """
    main = assignments.filter(kind=Assignment.Kind.MAIN)
    rows = list(main.select_for_update().values_list("comparison_id", "state"))
    _lock([comparison for comparison, _state in rows])  # all at once, so that `recount` waits for none out of order
    if are_slots_held:
        take_back(
            voted=[comparison for comparison, state in rows if state == Assignment.State.VOTED],
            leased=[comparison for comparison, state in rows if state == Assignment.State.LEASED],
        )
    return [comparison for comparison, _state in rows]


def want_more(overlap: int, comparison_ids: Collection[int]) -> None:
    """Raise the overlap of comparisons; a winner that was certain may then change."""
    _lock(comparison_ids)
    Comparison.objects.filter(pk__in=comparison_ids, overlap__lt=overlap).update(overlap=overlap, decided_at=None)


@dataclass(slots=True)
class Tally:
    """The numbers that imported votes add to the counters of one comparison."""

    vote_count: int = 0
    votes_a: int = 0
    votes_b: int = 0
    votes_tie: int = 0
    left_lead: int = 0

    def count(self, *, choice: str, left_model: str, is_excluded: bool) -> None:
        """Count one more standing vote."""
        self.vote_count += 1
        for name, number in _tally(lead_of(choice, left_model)).items():
            setattr(self, name, getattr(self, name) + (0 if is_excluded else number))


def lock_free_counts(comparison_ids: Collection[int]) -> dict[int, int]:
    """Lock the comparisons in the order of their ids; return how many slots each has left."""
    _lock(comparison_ids)
    free_counts: dict[int, int] = {}
    ids = sorted(comparison_ids)
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        rows = Comparison.objects.filter(pk__in=ids[start : start + IDS_PER_STATEMENT])
        free_counts |= {pk: overlap - held for pk, overlap, held in rows.values_list("pk", "overlap", "slot_count")}
    return free_counts


def add(tallies: Mapping[int, Tally], *, sign: int = 1, least_overlap: int | None = None) -> None:
    """Add the tallies of imported votes, by the id of the comparison, or with `sign` -1 subtract them.

    The overlap grows if the votes would not fit. least_overlap: the overlap that a study falls back to if its overlap
    only grows by imports. The numbers are added, not counted again: a comparison may have a hundred thousand votes.
    """
    same: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for comparison_id, tally in tallies.items():
        same[astuple(tally)].append(comparison_id)
    for numbers, ids in same.items():
        tally = Tally(*(sign * number for number in numbers))
        held = F("slot_count") + tally.vote_count
        least = F("overlap") if least_overlap is None else Value(least_overlap)
        counts = {name: F(name) + getattr(tally, name) for name in Tally.__slots__}
        lead = F("lead") + tally.votes_a - tally.votes_b
        # A decided comparison may be open again; the next vote decides.
        changes = {"slot_count": held, "overlap": Greatest(least, held), "lead": lead, "decided_at": None}
        for start in range(0, len(ids), IDS_PER_STATEMENT):
            Comparison.objects.filter(pk__in=ids[start : start + IDS_PER_STATEMENT]).update(**changes, **counts)
