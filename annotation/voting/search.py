"""Find and lease what an annotator gets next: a check that is due, or a comparison with a free slot.

Rows are locked in the order that `slots` describes.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from django.db.models import Count, Sum

from annotation.models import Annotator, Assignment, Comparison
from annotation.voting import slots
from annotation.voting.allocation import left_model, present, search_start, stored_chance
from annotation.voting.checks.attention import Checks, check_assignment, checks_of
from annotation.voting.rules import VotingRules
from annotation.voting.stopping import close_decided
from annotation.voting.storage.lease_statements import Free, first_free, store_lease
from annotation.voting.storage.vote_statements import Counts, counts_of

# How many decided comparisons one search may close; the half-minute tick closes the rest.
MOST_CLOSED = 20
LEASE_FIELDS = ("state", "is_ahead", "leased_at", "lease_expires_at", "released_at")
Pair = tuple[str, str]  # the manifest's keys of two models
Votes = tuple[int, int]  # for the first and for the second


@dataclass(frozen=True, slots=True)
class Progress:
    """An annotator's progress with comparisons and checks.

    assignment_count: main assignments ever made. left_lead: by how many they had A on the left more often than B.
    quota: comparisons planned. last_position: of the study's comparisons.
    `done_count` of `total` counts the checks among the comparisons too, so that nothing distinguishes them.
    """

    assignment_count: int
    left_lead: int
    answered_count: int
    held_count: int
    quota: int
    last_position: int
    checks: Checks

    @property
    def done_count(self) -> int:
        """Comparisons and checks answered."""
        return self.answered_count + self.checks.answered_count

    @property
    def total(self) -> int:
        """Comparisons and checks planned. It never changes."""
        return self.quota + self.checks.planned_count

    @property
    def is_complete(self) -> bool:
        """Whether every comparison is answered and every check that can be made."""
        return self.answered_count >= self.quota and not self.checks.to_come

    @property
    def had_count(self) -> int:
        """Comparisons answered, on the screen or held ahead: checks are placed by this number."""
        return self.answered_count + self.held_count


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease to be made: its rules, its begin and end, and whether it is held ahead of what the annotator sees."""

    rules: VotingRules
    now: datetime
    ends_at: datetime
    is_ahead: bool = False


def progress_of(
    annotator: Annotator, rules: VotingRules, counts: Counts, leases: Iterable[Assignment] = ()
) -> Progress:
    """Return the annotator's progress; one query if the study has checks, else none.

    leases: the annotator's, locked. A lease that is not locked is not held: it may end before the next statement.
    """
    held_count = sum(lease.kind == Assignment.Kind.MAIN for lease in leases)
    quota = min(rules.comparisons_per_annotator, counts.last_position + 1)
    checks = checks_of(annotator, quota=quota, rules=rules.quality)
    left_lead = 2 * counts.with_a_left - counts.assignments
    return Progress(counts.assignments, left_lead, counts.answered, held_count, quota, counts.last_position, checks)


def most_shown(annotator: Annotator, rules: VotingRules) -> int:
    """The most comparisons that the annotator is shown, checks included: the one number that every page gives."""
    return progress_of(annotator, rules, counts_of(annotator)).total


def lease_another(
    annotator: Annotator, progress: Progress, hold: Hold, *, is_patient: bool = False
) -> tuple[Assignment | None, Progress]:
    """Lease a check that is due, else one more comparison; return it with the progress after it, or None.

    Unless patient, it skips comparisons that others have locked.
    """
    while check := progress.checks.due(progress.had_count):
        progress = replace(progress, checks=progress.checks.without(check))
        made = check_assignment(annotator, check, hold.rules.quality, comparison_count=progress.had_count)
        if made is not None:
            return _saved(made, hold), progress
    if progress.had_count >= progress.quota:
        return None, progress
    return _lease_comparison(annotator, progress, hold, is_patient=is_patient)


def _lease_comparison(
    annotator: Annotator, progress: Progress, hold: Hold, *, is_patient: bool
) -> tuple[Assignment | None, Progress]:
    free = _wanted(annotator, progress, hold, is_patient=is_patient)
    if free is None:
        return None, progress
    after = replace(progress, held_count=progress.held_count + 1)
    # If every assignment is answered or held, none was given back that could be opened again.
    if progress.assignment_count > progress.had_count:
        main = Assignment.objects.filter(annotator=annotator, kind=Assignment.Kind.MAIN)
        if before := main.filter(comparison=free.comparison).first():
            before.comparison = free.comparison  # with its prompt, already read
            return (_saved(before, hold), after) if slots.take(free.comparison.pk) else (None, progress)
    made = _held(_new_assignment(annotator, progress, free, hold.rules), hold)
    if not store_lease(made):
        return None, progress
    left_lead = after.left_lead + (1 if made.left_model == Assignment.Side.A else -1)
    return made, replace(after, assignment_count=after.assignment_count + 1, left_lead=left_lead)


def _wanted(annotator: Annotator, progress: Progress, hold: Hold, *, is_patient: bool) -> Free | None:
    """The free comparison that comes first by the rules and that early stopping still wants votes for.

    Among equal ones, the annotator's seed decides.
    """
    chance = stored_chance(annotator.seed, "search", progress.assignment_count)
    start = search_start(chance, progress.last_position)
    for _closed in range(MOST_CLOSED):
        free = _first_free(annotator, hold.rules, start=start, is_patient=is_patient)
        if free is None or not hold.rules.stops_early:
            return free
        if not close_decided(Comparison.objects.filter(pk=free.comparison.pk), rules=hold.rules, now=hold.now):
            return free
        if is_patient:  # it holds the one that it closed, and must not wait for another
            return None
    return None


def _first_free(annotator: Annotator, rules: VotingRules, *, start: int, is_patient: bool) -> Free | None:
    """Find the free comparison that comes first.

    By uncertain pairs: while a comparison has fewer slots taken than the floor, as evenly as always; then the first one
    of the least certain pair that has a comparison left for the annotator.
    """
    if rules.allocation != "uncertain_pairs":
        return first_free(annotator, allocation=rules.allocation, start=start, is_patient=is_patient)
    free = first_free(annotator, allocation="even", start=start, is_patient=is_patient)
    if free is None or free.comparison.slot_count < rules.floor:
        return free
    for pair in uncertain_first(votes_of_pairs(annotator.study_id)):
        allocation = rules.allocation
        if of_pair := first_free(annotator, allocation=allocation, start=start, is_patient=is_patient, pair=pair):
            return of_pair
    return free


def _held(assignment: Assignment, hold: Hold) -> Assignment:
    """Set the lease on an assignment; the caller stores it."""
    assignment.state, assignment.is_ahead = Assignment.State.LEASED, hold.is_ahead
    assignment.leased_at, assignment.lease_expires_at = hold.now, hold.ends_at
    assignment.released_at = None
    return assignment


def _saved(assignment: Assignment, hold: Hold) -> Assignment:
    """Lease a new check, or an assignment that was given back, with the sides and the orders that it had."""
    is_new = assignment.pk is None
    _held(assignment, hold).save(update_fields=None if is_new else LEASE_FIELDS)
    return assignment


def _new_assignment(annotator: Annotator, progress: Progress, free: Free, rules: VotingRules) -> Assignment:
    own_lead = left_lead_of(annotator, free.comparison) if rules.model_count > 2 else progress.left_lead
    left = left_model(
        annotator.seed,
        progress.assignment_count,
        own_lead=own_lead,
        comparison_lead=free.comparison.left_lead,
    )
    shown = present(
        seed=annotator.seed,
        index=progress.assignment_count,
        left=left,
        images_a=free.images_a,
        images_b=free.images_b,
    )
    return Assignment(comparison=free.comparison, annotator=annotator, **asdict(shown))


# --- several models: which pair comes first -----------------------------------------------------
def uncertain_first(votes: Mapping[Pair, Votes]) -> list[Pair]:
    """Return the pairs in order of the difference in votes beside its standard error, the least certain first; pure.

    A pair without votes for either model comes before all others; of equal pairs, the one with fewer votes.

    >>> uncertain_first({("a", "b"): (9, 1), ("a", "c"): (6, 4), ("b", "c"): (0, 0)})
    [('b', 'c'), ('a', 'c'), ('a', 'b')]
    """

    def certainty(pair: Pair) -> tuple[float, int, Pair]:
        first, second = votes[pair]
        return abs(first - second) / math.sqrt(max(1, first + second)), first + second, pair

    return sorted(votes, key=certainty)


def votes_of_pairs(study_id: int) -> dict[Pair, Votes]:
    """Return the counted votes for the first and for the second model of each pair, by one query over the counters."""
    rows = Comparison.objects.filter(study=study_id).order_by().values_list("model_a", "model_b")
    return {(a, b): (for_a, for_b) for a, b, for_a, for_b in rows.annotate(Sum("votes_a"), Sum("votes_b"))}


def left_lead_of(annotator: Annotator, comparison: Comparison) -> int:
    """Return how much more often the annotator had side A's model left than right, minus the same for side B's model.

    It counts all comparisons with either model, also against other models.
    """
    main = Assignment.objects.filter(annotator=annotator, kind=Assignment.Kind.MAIN).order_by()
    leads: Counter[str] = Counter()
    sides = main.values_list("comparison__model_a", "comparison__model_b", "left_model").annotate(Count("pk"))
    for model_a, model_b, left, count in sides:
        lead = count if left == Assignment.Side.A else -count
        leads.update({model_a: lead, model_b: -lead})
    return leads[comparison.model_a] - leads[comparison.model_b]
