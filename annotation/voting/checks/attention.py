"""Attention checks among the comparisons, of an order that is known by construction. They look like comparisons.

A check holds no slot and counts for no agreement: it is an assignment of a kind of its own, given out by the same
lease, shown by the same page, answered by the same ballot.
"""

from collections.abc import Collection
from dataclasses import dataclass

from annotation.models import Annotator, Assignment, Vote
from annotation.voting.allocation import SIDES, present, stored_chance
from annotation.voting.checks.known_order import known_pair
from annotation.voting.checks.schedule import PlannedCheck, planned_checks
from annotation.voting.rules import QualityRules
from jobs.refusals import Refused

Kind, State = Assignment.Kind, Assignment.State


@dataclass(frozen=True, slots=True)
class Checks:
    """An annotator's checks: how many are planned, how many are answered, and those that are still to come."""

    planned_count: int = 0
    answered_count: int = 0
    to_come: tuple[PlannedCheck, ...] = ()

    def due(self, comparison_count: int) -> PlannedCheck | None:
        """The next check for somebody who has had so many comparisons."""
        return next((check for check in self.to_come if check.after <= comparison_count), None)

    def without(self, check: PlannedCheck) -> "Checks":
        """The same, with this check given out or given up."""
        return Checks(self.planned_count, self.answered_count, tuple(one for one in self.to_come if one != check))


def checks_of(annotator: Annotator, *, quota: int, rules: QualityRules) -> Checks:
    """Where the annotator stands with the checks; one query, none where the study has no checks."""
    if not rules.check_count:
        return Checks()
    planned = planned_checks(seed=annotator.seed, quota=quota, rules=rules)
    rows = annotator.assignments.filter(kind__in=Assignment.CHECKS).values_list("kind", "occurrence", "state")
    # A reported check is made anew of other images, so both rows may be there.
    states = {(kind, occurrence): state for kind, occurrence, state in rows.order_by("pk")}
    answered = sum(state in (State.VOTED, State.LATE) for state in states.values())
    open_ones = (None, State.RELEASED, State.REPORTED)
    to_come = [check for check in planned if states.get((check.kind, check.occurrence)) in open_ones]
    return Checks(len(planned), answered, tuple(to_come))


def check_assignment(
    annotator: Annotator, check: PlannedCheck, rules: QualityRules, *, comparison_count: int
) -> Assignment | None:
    """The assignment of a check that is due after so many comparisons: as it was before, or made now and not saved.

    None where it cannot be made, because nothing fits to be repeated or too many comparisons were set aside.
    """
    of_check = annotator.assignments.filter(kind=check.kind, occurrence=check.occurrence)
    earlier = list(of_check.select_related("comparison__prompt").order_by("pk"))
    if earlier and earlier[-1].state == State.RELEASED:
        return earlier[-1]
    reported = {one.comparison_id for one in earlier}
    match check.kind:
        case Kind.LADDER:
            return _rung(annotator, check, rules.ladder[check.occurrence], reported)
        case Kind.REPEAT:
            return _repeat(annotator, check, reported, latest=comparison_count - rules.repeat_distance)
        case _:
            return _instructed(annotator, check, reported)


def _rung(annotator: Annotator, check: PlannedCheck, share: float, without: Collection[int]) -> Assignment | None:
    """A whole set beside one with a share of its images replaced."""
    chance = stored_chance(annotator.seed, check.kind, check.occurrence, len(without))
    try:
        pair = known_pair(study=annotator.study, chance=chance, share=share, without=without)
    except Refused:
        return None
    return Assignment(
        comparison_id=pair.comparison_id,
        annotator=annotator,
        kind=check.kind,
        occurrence=check.occurrence,
        left_model=pair.model,
        left_images=pair.left_images,
        right_images=pair.right_images,
        known_choice=pair.consistent_side,
        replaced_count=pair.replaced_count,
    )


def _repeat(annotator: Annotator, check: PlannedCheck, without: Collection[int], *, latest: int) -> Assignment | None:
    """One of the first `latest` comparisons answered, with the sides swapped and each set in its order."""
    original = _answered(annotator, check, without, latest=latest)
    if original is None:
        return None
    return Assignment(
        comparison=original.comparison,
        annotator=annotator,
        kind=check.kind,
        occurrence=check.occurrence,
        left_model=_other(original.left_model),
        left_images=original.right_images,
        right_images=original.left_images,
    )


def _instructed(annotator: Annotator, check: PlannedCheck, without: Collection[int]) -> Assignment | None:
    """A comparison that the annotator has answered, with words that say which side to choose."""
    original = _answered(annotator, check, without)
    if original is None:
        return None
    images = {original.left_model: original.left_images, _other(original.left_model): original.right_images}
    chance = stored_chance(annotator.seed, check.kind, check.occurrence, len(without))
    shown = present(
        seed=chance.getrandbits(63),
        index=0,
        left=chance.choice(SIDES),
        images_a=images["a"],
        images_b=images["b"],
    )
    return Assignment(
        comparison=original.comparison,
        annotator=annotator,
        kind=check.kind,
        occurrence=check.occurrence,
        left_model=shown.left_model,
        left_images=shown.left_images,
        right_images=shown.right_images,
        known_choice=chance.choice((Vote.Choice.LEFT, Vote.Choice.RIGHT)),
    )


def _answered(
    annotator: Annotator, check: PlannedCheck, without: Collection[int], *, latest: int | None = None
) -> Assignment | None:
    """One of the first `latest` comparisons that the annotator answered, in no check of this kind yet; by chance."""
    used = annotator.assignments.filter(kind=check.kind).values_list("comparison", flat=True)
    votes = Vote.objects.filter(assignment__annotator=annotator, assignment__kind=Kind.MAIN, state=Vote.State.STANDING)
    answered = votes.order_by("received_at", "pk").values_list("assignment", flat=True)[:latest]
    fitting = annotator.assignments.filter(pk__in=list(answered), comparison__parked_at=None)
    rows = fitting.exclude(comparison__in={*used, *without}).order_by("pk").select_related("comparison__prompt")
    chance = stored_chance(annotator.seed, check.kind, "of", check.occurrence, len(without))
    return chance.choice(rows) if rows else None


def _other(model: str) -> str:
    return SIDES[1] if model == SIDES[0] else SIDES[0]
