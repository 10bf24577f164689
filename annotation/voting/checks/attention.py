"""Attention checks among the comparisons: assignments whose right answer is known. They look like comparisons.

A check holds no slot and counts for no agreement. It is an assignment of its own kind, leased, shown and answered like
a comparison.
"""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from random import Random
from typing import Any

from annotation.models import Annotator, Assignment, Vote
from annotation.models.assignment import IN_ORDER
from annotation.voting.allocation import SIDES, present, stored_chance
from annotation.voting.checks.known_order import known_pair
from annotation.voting.rules import QualityRules
from jobs.refusals import Refused

Kind, State = Assignment.Kind, Assignment.State


# --- when each check comes -----------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check: its kind, its number within the kind from 0, and the number of comparisons before it."""

    kind: str
    occurrence: int
    after: int


def planned_checks(*, seed: int, quota: int, rules: QualityRules) -> tuple[PlannedCheck, ...]:
    """The checks of the annotator with this seed, in their order; pure.

    The comparisons from `first_check_after` to the last are divided into as many parts as there are checks, and each
    check has a random place in its part. The checks of the ladder keep their order. A repeat needs a place that
    `repeat_distance` comparisons and the repeated one come before; a repeat without such a place is left out.
    """
    if quota < 1 or not rules.check_count:
        return ()
    places = _places(quota, rules, stored_chance(seed, "check places"))
    kinds = _kinds(places, rules, stored_chance(seed, "check kinds"))
    return tuple(_numbered(kinds, places))


def _places(quota: int, rules: QualityRules, chance: Random) -> list[int]:
    """Return how many comparisons come before each check, rising; the last check is before the last comparison."""
    first, count = min(rules.first_check_after, quota - 1), rules.check_count
    length = quota - first
    edges = [first + length * number // count for number in range(count + 1)]
    return [chance.randrange(start, max(start + 1, end)) for start, end in pairwise(edges)]


def _kinds(places: list[int], rules: QualityRules, chance: Random) -> list[str]:
    """The kind of the check at each place: repeats at random among places that are late enough, then the others."""
    late_enough = [number for number, place in enumerate(places) if place > rules.repeat_distance]
    repeated = set(chance.sample(late_enough, min(rules.repeats, len(late_enough))))
    others = [Kind.LADDER] * len(rules.ladder) + [Kind.INSTRUCTED] * rules.instructed
    queue = iter(chance.sample(others, len(others)))
    return [Kind.REPEAT if number in repeated else next(queue, "") for number in range(len(places))]


def _numbered(kinds: list[str], places: list[int]) -> Iterator[PlannedCheck]:
    for number, (kind, place) in enumerate(zip(kinds, places, strict=True)):
        if kind:
            yield PlannedCheck(kind, kinds[:number].count(kind), place)


# --- the checks of an annotator ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checks:
    """An annotator's checks: how many are planned, how many are answered, and those that are still to come."""

    planned_count: int = 0
    answered_count: int = 0
    to_come: tuple[PlannedCheck, ...] = ()

    def due(self, comparison_count: int) -> PlannedCheck | None:
        """Return the next check that is due after this number of comparisons, or None."""
        return next((check for check in self.to_come if check.after <= comparison_count), None)

    def without(self, check: PlannedCheck) -> "Checks":
        """Return the same without this check, because it was assigned or cannot be made."""
        return Checks(self.planned_count, self.answered_count, tuple(one for one in self.to_come if one != check))


def checks_of(annotator: Annotator, *, quota: int, rules: QualityRules) -> Checks:
    """Return the annotator's progress with the checks, by one query; by none if the study has no checks."""
    if not rules.check_count:
        return Checks()
    planned = planned_checks(seed=annotator.seed, quota=quota, rules=rules)
    rows = annotator.assignments.filter(kind__in=Assignment.CHECKS).values_list("kind", "occurrence", "state")
    # A check that was reported is made again from other images, so both rows may exist.
    states = {(kind, occurrence): state for kind, occurrence, state in rows.order_by("pk")}
    answered = sum(state in (State.VOTED, State.LATE) for state in states.values())
    open_ones = (None, State.RELEASED, State.REPORTED)
    to_come = [check for check in planned if states.get((check.kind, check.occurrence)) in open_ones]
    return Checks(len(planned), answered, tuple(to_come))


def check_assignment(
    annotator: Annotator, check: PlannedCheck, rules: QualityRules, *, comparison_count: int
) -> Assignment | None:
    """Return the assignment of a check that is due now: the earlier one, or a new, unsaved one.

    None if it cannot be made: no comparison can be repeated, or too many were set aside.
    """
    of_check = annotator.assignments.filter(kind=check.kind, occurrence=check.occurrence)
    earlier = list(of_check.select_related("comparison__prompt").order_by("pk"))
    if earlier and earlier[-1].state == State.RELEASED:
        return earlier[-1]
    reported = {one.comparison_id for one in earlier}
    match check.kind:
        case Kind.LADDER:
            fields = _ladder(annotator, check, rules.ladder[check.occurrence], reported)
        case Kind.REPEAT:
            fields = _repeat(annotator, check, reported, latest=comparison_count - rules.repeat_distance)
        case _:
            fields = _instructed(annotator, check, reported)
    if fields is None:
        return None
    return Assignment(annotator=annotator, kind=check.kind, occurrence=check.occurrence, **fields)


def _ladder(annotator: Annotator, check: PlannedCheck, share: float, without: Collection[int]) -> dict[str, Any] | None:
    """A set beside one with a share of its images replaced."""
    chance = stored_chance(annotator.seed, check.kind, check.occurrence, len(without))
    try:
        return asdict(known_pair(study=annotator.study, chance=chance, share=share, without=without))
    except Refused:
        return None


def _repeat(
    annotator: Annotator, check: PlannedCheck, without: Collection[int], *, latest: int
) -> dict[str, Any] | None:
    """One of the first `latest` comparisons answered, with sides swapped and each set in its order."""
    original = _answered(annotator, check, without, latest=latest)
    if original is None:
        return None
    return {
        "comparison": original.comparison,
        "left_model": _other(original.left_model),
        "left_images": original.right_images,
        "right_images": original.left_images,
    }


def _instructed(annotator: Annotator, check: PlannedCheck, without: Collection[int]) -> dict[str, Any] | None:
    """A comparison that the annotator has answered, with an instruction which side to choose."""
    original = _answered(annotator, check, without)
    if original is None:
        return None
    images = {original.left_model: original.left_images, _other(original.left_model): original.right_images}
    chance = stored_chance(annotator.seed, check.kind, check.occurrence, len(without))
    seed, left = chance.getrandbits(63), chance.choice(SIDES)
    shown = present(seed=seed, index=0, left=left, images_a=images["a"], images_b=images["b"])
    known_choice = chance.choice((Vote.Choice.LEFT, Vote.Choice.RIGHT))
    return {"comparison": original.comparison, "known_choice": known_choice, **asdict(shown)}


def _answered(
    annotator: Annotator, check: PlannedCheck, without: Collection[int], *, latest: int | None = None
) -> Assignment | None:
    """A random one of the first `latest` comparisons that the annotator answered, in no check of this kind yet."""
    used = annotator.assignments.filter(kind=check.kind).values_list("comparison", flat=True)
    votes = Vote.objects.filter(assignment__annotator=annotator, assignment__kind=Kind.MAIN, state=Vote.State.STANDING)
    answered = votes.order_by(*IN_ORDER).values_list("assignment", flat=True)[:latest]
    fitting = annotator.assignments.filter(pk__in=list(answered), comparison__parked_at=None)
    rows = fitting.exclude(comparison__in={*used, *without}).order_by("pk").select_related("comparison__prompt")
    chance = stored_chance(annotator.seed, check.kind, "of", check.occurrence, len(without))
    return chance.choice(rows) if rows else None


def _other(model: str) -> str:
    return SIDES[1] if model == SIDES[0] else SIDES[0]
