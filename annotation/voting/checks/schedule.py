"""Which checks an annotator meets, and after how many comparisons; pure. Chance comes from the annotator's seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from annotation.voting.allocation import stored_chance
from annotation.voting.rules import QualityRules

REPEAT, LADDER, INSTRUCTED = "repeat", "ladder", "instructed"


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check: the kind of its assignment, its number within the kind from 0, and how many comparisons come before."""

    kind: str
    occurrence: int
    after: int


def planned_checks(*, seed: int, quota: int, rules: QualityRules) -> tuple[PlannedCheck, ...]:
    """The checks of the annotator with this seed, in the order they come.

    They are spread over the annotator's comparisons: the stretch from `first_check_after` to the last comparison is
    parted into as many pieces as there are checks, and each has its place in its piece by chance. The rungs of the
    ladder keep their order. Repeats stand where `repeat_distance` comparisons and the one repeated come before; those
    that find no such place are left out.
    """
    if quota < 1 or not rules.check_count:
        return ()
    places = _places(quota, rules, stored_chance(seed, "check places"))
    kinds = _kinds(places, rules, stored_chance(seed, "check kinds"))
    return tuple(_numbered(kinds, places))


def _places(quota: int, rules: QualityRules, chance: Random) -> list[int]:
    """How many comparisons come before each check: rising, the last before the last comparison."""
    first, count = min(rules.first_check_after, quota - 1), rules.check_count
    length = quota - first
    edges = [first + length * number // count for number in range(count + 1)]
    return [chance.randrange(start, max(start + 1, end)) for start, end in pairwise(edges)]


def _kinds(places: list[int], rules: QualityRules, chance: Random) -> list[str]:
    """The kind of the check at each place: repeats by chance among the places late enough, then the others."""
    late_enough = [number for number, place in enumerate(places) if place > rules.repeat_distance]
    repeated = set(chance.sample(late_enough, min(rules.repeats, len(late_enough))))
    others = [LADDER] * len(rules.ladder) + [INSTRUCTED] * rules.instructed
    queue = iter(chance.sample(others, len(others)))
    return [REPEAT if number in repeated else next(queue, "") for number in range(len(places))]


def _numbered(kinds: list[str], places: list[int]) -> Iterator[PlannedCheck]:
    for number, (kind, place) in enumerate(zip(kinds, places, strict=True)):
        if kind:
            yield PlannedCheck(kind, kinds[:number].count(kind), place)
