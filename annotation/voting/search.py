"""Find what an annotator gets next: a check that is due, or a comparison with a slot free. Lease it as it is shown."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from annotation.models import Annotator, Assignment, Comparison
from annotation.voting import slots
from annotation.voting.allocation import Side, left_model, present, search_start, stored_chance
from annotation.voting.checks.attention import Checks, check_assignment, checks_of
from annotation.voting.rules import Allocation, VotingRules
from annotation.voting.stopping import close_decided
from annotation.voting.storage import search_statements as statements

# What a search may close on its way because no more votes are needed; the half-minute upkeep closes the rest.
MOST_CLOSED = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an annotator is: main assignments ever made, by how much oftener they had A on the left than B,
    those answered and held; the quota, the study's last position.

    `done_count` of `total` counts the checks among the comparisons too, so that nothing tells them apart.
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
        """Comparisons and checks planned; never changes."""
        return self.quota + self.checks.planned_count

    @property
    def is_complete(self) -> bool:
        """Whether every comparison is answered and every check that can be made."""
        return self.answered_count >= self.quota and not self.checks.to_come

    @property
    def had_count(self) -> int:
        """Comparisons answered, on the screen or held ahead: a check comes after so many."""
        return self.answered_count + self.held_count


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease to be made: by which rules, from when, until when, and whether ahead of what the annotator sees."""

    rules: VotingRules
    now: datetime
    ends_at: datetime
    is_ahead: bool = False


def progress_of(annotator: Annotator, rules: VotingRules, live: Iterable[Assignment] = ()) -> Progress:
    """One query, and one more for checks. Not part of `lock`'s: after waiting, PostgreSQL keeps other tables' view.

    `live` are the annotator's leases, locked. What is not locked is not held: it may end before the next statement.
    """
    (counts,) = statements.PROGRESS.values(annotator=annotator.pk, study=annotator.study_id)
    assignment_count, lefts, answered_count, last_position = counts
    held_count = sum(one.kind == Assignment.Kind.MAIN for one in live)
    quota = min(rules.comparisons_per_annotator, last_position + 1)
    checks = checks_of(annotator, quota=quota, rules=rules.quality)
    left_lead = 2 * lefts - assignment_count
    return Progress(assignment_count, left_lead, answered_count, held_count, quota, last_position, checks)


def most_shown(annotator: Annotator, rules: VotingRules) -> int:
    """The most comparisons that the annotator is shown, checks included: the one number that every page gives."""
    return progress_of(annotator, rules).total


def lease_another(
    annotator: Annotator, progress: Progress, hold: Hold, *, is_patient: bool = False
) -> tuple[Assignment | None, Progress]:
    """Lease a check that is due, else one more comparison, and the progress with it; None where nothing was found.

    Unless patient, it skips what others have locked.
    """
    while check := progress.checks.due(progress.had_count):
        progress = replace(progress, checks=progress.checks.without(check))
        made = check_assignment(annotator, check, hold.rules.quality, comparison_count=progress.had_count)
        if made is not None:
            return _lease(made, made.comparison, hold), progress
    if progress.had_count >= progress.quota:
        return None, progress
    return _lease_comparison(annotator, progress, hold, is_patient=is_patient)


def _lease_comparison(
    annotator: Annotator, progress: Progress, hold: Hold, *, is_patient: bool
) -> tuple[Assignment | None, Progress]:
    comparison = _find(annotator, progress, hold, is_patient=is_patient)
    if comparison is None:
        return None, progress
    # Every assignment is answered or held: then none was given back that could be opened again.
    is_new = progress.assignment_count == progress.had_count
    before = None if is_new else statements.BEFORE.first(comparison=comparison.pk, annotator=annotator.pk)
    after = replace(progress, held_count=progress.held_count + 1)
    if before:
        return (_lease(before, comparison, hold), after) if slots.take(comparison.pk) else (None, progress)
    left = left_model(
        annotator.seed,
        progress.assignment_count,
        own_lead=progress.left_lead,
        comparison_lead=comparison.left_lead,
    )
    left_lead = 1 if left == "a" else -1
    if not slots.take(comparison.pk, left_lead=left_lead):
        return None, progress
    made = _new_assignment(annotator, comparison, progress.assignment_count, left)
    after = replace(after, assignment_count=after.assignment_count + 1, left_lead=after.left_lead + left_lead)
    return _lease(made, comparison, hold), after


def _find(annotator: Annotator, progress: Progress, hold: Hold, *, is_patient: bool) -> Comparison | None:
    """The free comparison that is next by the rules, one that early stopping still wants votes for."""
    for _closed in range(MOST_CLOSED):
        found = _preferred(annotator, progress, hold.rules.allocation, is_patient=is_patient)
        if found is None:
            return None
        if not hold.rules.stops_early:
            return found
        if not close_decided(Comparison.objects.filter(pk=found.pk), rules=hold.rules, now=hold.now):
            return found
        if is_patient:  # it holds the one that it closed, and may wait for no second
            return None
    return None


def _preferred(
    annotator: Annotator, progress: Progress, allocation: Allocation, *, is_patient: bool
) -> Comparison | None:
    """The free comparison that comes first in the order of the rule; which of equal ones is drawn from the seed."""
    start = search_start(stored_chance(annotator.seed, "search", progress.assignment_count), progress.last_position)
    values = {"annotator": annotator.pk, "study": annotator.study_id, "start": start}
    parts = statements.PREFERRED[allocation, is_patient]
    return next(filter(None, (part.first(**values) for part in parts)), None)


def _lease(assignment: Assignment, comparison: Comparison, hold: Hold) -> Assignment:
    """Lease an assignment: a new one, or one of before as it was shown then."""
    assignment.comparison = comparison  # with its prompt, already read
    assignment.state, assignment.is_ahead = Assignment.State.LEASED, hold.is_ahead
    assignment.leased_at, assignment.lease_expires_at = hold.now, hold.ends_at
    assignment.released_at = None
    if assignment.pk:
        statements.REOPEN(assignment=assignment.pk, is_ahead=hold.is_ahead, leased_at=hold.now, ends_at=hold.ends_at)
    else:
        assignment.pk = statements.MAKE(assignment)
    return assignment


def _new_assignment(annotator: Annotator, comparison: Comparison, index: int, left: Side) -> Assignment:
    images: dict[int, list[int]] = {comparison.image_set_a_id: [], comparison.image_set_b_id: []}
    rows = statements.IMAGES.values(set_a=comparison.image_set_a_id, set_b=comparison.image_set_b_id)
    for image_set_id, image_id in rows:
        images[image_set_id].append(image_id)
    shown = present(
        seed=annotator.seed,
        index=index,
        left=left,
        images_a=images[comparison.image_set_a_id],
        images_b=images[comparison.image_set_b_id],
    )
    return Assignment(
        comparison=comparison,
        annotator=annotator,
        left_model=shown.left_model,
        left_images=shown.left_images,
        right_images=shown.right_images,
    )
