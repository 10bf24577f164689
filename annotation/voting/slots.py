"""The counters of a comparison: every change is one conditional UPDATE, in the transaction of what it counts.

A slot is a live main assignment or a standing main vote, of anybody but those who were screened out.

No two transactions wait for each other, because (1) locks are waited for in the order annotator,
assignment, comparison; (2) whoever holds a comparison skips what others have locked, and (3) only the
expiry of leases, undoing, excluding, withdrawing, screening out, amending and giving back several comparisons wait
for more than one of them, in the order of their ids; expiry skips locked assignments, and undoing has moved every
assignment before it waits for the first comparison.
A search that may wait tries one comparison for each transaction: PostgreSQL keeps the lock of a row that
it waited for even when the row then no longer fits.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Greatest

from annotation.models import Annotator, Assignment, Comparison, Vote
from annotation.voting.storage.prepared import Update, given

IDS_PER_STATEMENT = 1000
_LEFT_A = Q(left_model=Assignment.Side.A)
_FOR_LEFT, _A_LEFT = Q(choice=Vote.Choice.LEFT), Q(assignment__left_model=Assignment.Side.A)
FOR_TIE = Q(choice=Vote.Choice.TIE)
FOR_A = ~FOR_TIE & ((_FOR_LEFT & _A_LEFT) | (~_FOR_LEFT & ~_A_LEFT))
FOR_B = ~FOR_TIE & ((_FOR_LEFT & ~_A_LEFT) | (~_FOR_LEFT & _A_LEFT))
_THIS = given("comparison", Comparison.id)
_TAKE = Update(
    lambda: (
        Comparison.objects.filter(pk=_THIS, slot_count__lt=F("overlap"), decided_at=None),
        {
            "slot_count": F("slot_count") + 1,
            "left_lead": F("left_lead") + given("left_lead", Comparison.left_lead),
        },
    )
)
_BY_LEAD = {"votes_a": 1, "votes_b": -1, "votes_tie": 0}  # which counter a vote with this lead is counted in
_COUNT_VOTE = Update(
    lambda: (
        Comparison.objects.filter(pk=_THIS),
        {
            "vote_count": F("vote_count") + 1,
            "lead": F("lead") + given("lead", Comparison.lead),
            **{name: F(name) + given(name, Comparison.vote_count) for name in _BY_LEAD},
        },
    )
)


def counted_votes() -> QuerySet[Vote]:
    """The votes that a comparison's winner comes from: standing, on main assignments, not excluded."""
    return Vote.objects.filter(
        assignment__kind=Assignment.Kind.MAIN, state=Vote.State.STANDING, excluded_at=None
    ).exclude(assignment__annotator__state=Annotator.State.SCREENED_OUT)


def lead_of(choice: str, left_model: str) -> int:
    """What one vote adds to its comparison's `lead`: 1 for A, -1 for B, 0 for a tie."""
    if choice == Vote.Choice.TIE:
        return 0
    return 1 if (choice == Vote.Choice.LEFT) == (left_model == Assignment.Side.A) else -1


def take(comparison_id: int, *, left_lead: int = 0) -> bool:
    """Take a slot for a lease; False when every slot is taken or none is wanted any more.

    `left_lead`: 1 for a new assignment with A on the left, -1 with B, 0 for one that is opened again.
    """
    return _TAKE(comparison=comparison_id, left_lead=left_lead) == 1


def take_for_vote(comparison_id: int, lead: int) -> bool:
    """Take a slot for a vote whose lease had ended; False when every slot is taken. `lead`: see `lead_of`."""
    free = Comparison.objects.filter(pk=comparison_id, slot_count__lt=F("overlap"))
    counts = {"slot_count": F("slot_count") + 1, "vote_count": F("vote_count") + 1, "lead": F("lead") + lead}
    return free.update(**counts, **{name: F(name) + count for name, count in _tally(lead).items()}) == 1


def count_vote(comparison_id: int, lead: int) -> None:
    """A lease that holds a slot became a standing vote. `lead`: see `lead_of`; nothing is added where none is kept."""
    _COUNT_VOTE(comparison=comparison_id, lead=lead, **_tally(lead))


def uncount_vote(comparison_id: int, lead: int | None) -> None:
    """A standing vote became a lease again: its slot stays held, and what was decided with it is open again.

    `lead`: see `lead_of`; None for a vote that was excluded, and so not counted for the winner.
    """
    tally = {} if lead is None else {name: F(name) - count for name, count in _tally(lead).items()}
    Comparison.objects.filter(pk=comparison_id).update(
        vote_count=F("vote_count") - 1, lead=F("lead") - (lead or 0), decided_at=None, **tally
    )


def _tally(lead: int) -> dict[str, int]:
    """What one vote adds to each of the counters of counted votes."""
    return {name: int(counted == lead) for name, counted in _BY_LEAD.items()}


def free(comparison_ids: Collection[int], slots: int = 1) -> None:
    """Give back as many slots of each comparison, for leases that ended."""
    Comparison.objects.filter(pk__in=comparison_ids).update(slot_count=F("slot_count") - slots)


def take_back(*, voted: Collection[int], leased: Collection[int]) -> None:
    """Uncount a standing vote of each comparison in `voted` and free its slot; free a slot of each in `leased`."""
    _lock([*voted, *leased])
    # What votes that go had decided is no longer sure; the constraint holds in between, too.
    Comparison.objects.filter(pk__in=voted).update(
        slot_count=F("slot_count") - 1, vote_count=F("vote_count") - 1, decided_at=None
    )
    free(leased)


def recount(comparison_ids: Collection[int]) -> None:
    """Read `lead`, `left_lead` and the counted votes anew from the tables, and open again what was decided.

    For code that stores, deletes or excludes many votes, or takes an exclusion back: called at the end of its
    transaction. `take_back` keeps the slots.
    """
    # Locked first: an UPDATE that waited would count with the view from before it waited.
    _lock(comparison_ids)
    ids = sorted(comparison_ids)
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        some = Comparison.objects.filter(pk__in=ids[start : start + IDS_PER_STATEMENT])
        some.update(**recounted())
        some.filter(lead__isnull=False).update(lead=F("votes_a") - F("votes_b"))


def recounted() -> dict[str, Any]:
    """The counters that rest on rows, as subqueries of comparisons."""
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
    """Wait for each of the comparisons, in the order of their ids."""
    ids = sorted(comparison_ids)
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        some = Comparison.objects.filter(pk__in=ids[start : start + IDS_PER_STATEMENT]).order_by("pk")
        list(some.select_for_update(no_key=True).values("pk"))


def _of_one(rows: QuerySet[Any], counted: Any) -> Coalesce:
    """What is counted among the rows of one comparison, as a subquery of comparisons."""
    path = "assignment__comparison" if rows.model is Vote else "comparison"
    of_one = rows.filter(**{path: OuterRef("pk")}).order_by().values(path).annotate(counted=counted)
    return Coalesce(Subquery(of_one.values("counted"), output_field=IntegerField()), 0)


def take_back_all(annotator: Annotator) -> list[int]:
    """Free every slot that the annotator holds; all their comparisons, to `recount` once the votes count no more.

    The slots of somebody who was screened out are free already.
    """
    main = annotator.assignments.filter(kind=Assignment.Kind.MAIN)
    rows = list(main.select_for_update().values_list("comparison_id", "state"))
    _lock([comparison for comparison, _state in rows])  # all at once: `recount` must wait for none out of its turn
    if annotator.state != Annotator.State.SCREENED_OUT:
        take_back(
            voted=[comparison for comparison, state in rows if state == Assignment.State.VOTED],
            leased=[comparison for comparison, state in rows if state == Assignment.State.LEASED],
        )
    return [comparison for comparison, _state in rows]


def want_more(overlap: int, comparison_ids: Collection[int]) -> None:
    """Let comparisons take more votes than before, which may change a winner that was certain."""
    _lock(comparison_ids)
    Comparison.objects.filter(pk__in=comparison_ids, overlap__lt=overlap).update(overlap=overlap, decided_at=None)


@dataclass(slots=True)
class Tally:
    """What imported votes add to the counters of one comparison."""

    vote_count: int = 0
    votes_a: int = 0
    votes_b: int = 0
    votes_tie: int = 0
    left_lead: int = 0

    def count(self, *, choice: str, left_model: str, is_excluded: bool) -> None:
        """One more standing vote."""
        self.vote_count += 1
        for name, number in _tally(lead_of(choice, left_model)).items():
            setattr(self, name, getattr(self, name) + (0 if is_excluded else number))


def lock_rooms(comparison_ids: Collection[int]) -> dict[int, int]:
    """Lock the comparisons, in the order of their ids; how many slots each has left."""
    _lock(comparison_ids)
    rooms: dict[int, int] = {}
    ids = sorted(comparison_ids)
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        rows = Comparison.objects.filter(pk__in=ids[start : start + IDS_PER_STATEMENT])
        rooms |= {pk: overlap - held for pk, overlap, held in rows.values_list("pk", "overlap", "slot_count")}
    return rooms


def add(tallies: Mapping[int, Tally], *, sign: int = 1, least_overlap: int | None = None) -> None:
    """Count what was imported, by the id of the comparison, or with `sign` -1 count it no more.

    The overlap grows if the votes would not fit. `least_overlap`: of a study whose overlap only grows by imports,
    what it falls back to. Counted up and down, not read anew: a comparison may have a hundred thousand votes.
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
        # What was decided may hold no more; the next vote looks again.
        changes = {"slot_count": held, "overlap": Greatest(least, held), "lead": lead, "decided_at": None}
        for start in range(0, len(ids), IDS_PER_STATEMENT):
            Comparison.objects.filter(pk__in=ids[start : start + IDS_PER_STATEMENT]).update(**changes, **counts)
