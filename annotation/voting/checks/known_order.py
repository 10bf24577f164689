"""Pairs of known order, made from the study's own images, for practice, worked examples and the ladder of checks.

In one set, all images show one prompt. In the other set, some images show other prompts. Both sets are by the same
model, so it is known which one is more consistent, and the pair says nothing about the models.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random

from django.utils.translation import gettext as _

from annotation.models import Comparison, Study, Vote
from annotation.voting.allocation import SIDES, Side, stored_chance
from generation.models import GeneratedImage
from jobs.refusals import Refused

MOST_OTHERS = 20  # other prompts that images are taken from
# How many comparisons are drawn to find those, because some may have been set aside.
MOST_DRAWN = 2 * MOST_OTHERS
HALF = 0.5


@dataclass(frozen=True, slots=True)
class KnownPair:
    """Two lists of image ids, left and right, made for one comparison from images of one model.

    The fields have the names of the assignment's fields. known_choice: left or right, the more consistent set.
    replaced_count: how many images of the other set belong to other prompts.
    """

    comparison_id: int
    left_model: Side
    left_images: list[int]
    right_images: list[int]
    known_choice: str
    replaced_count: int


def replaced_of(share: float, count: int) -> int:
    """Return how many of `count` images to replace: the share rounded up, at least 1, and one stays. 0: none can be.

    >>> [replaced_of(share, 20) for share in (0.75, 0.5, 0.21, 0.01)]
    [15, 10, 5, 1]
    """
    # 0.35 of 20 is slightly more than 7 in binary.
    return min(max(1, math.ceil(share * count - 1e-9)), count - 1)


def mixed(images: Sequence[int], others: Sequence[Sequence[int]], replaced_count: int, chance: Random) -> list[int]:
    """Return `images`, shuffled, with some replaced by images of the other sets in turn; pure."""
    stay = chance.sample(list(images), len(images) - replaced_count)
    queues = [chance.sample(list(other), len(other)) for other in chance.sample(list(others), len(others))]
    taken = [queue[turn] for turn in range(max(map(len, queues), default=0)) for queue in queues if turn < len(queue)]
    return chance.sample(stay + taken[:replaced_count], len(stay) + len(taken[:replaced_count]))


def known_pair(*, study: Study, chance: Random, share: float = HALF, without: Collection[int] = ()) -> KnownPair:
    """A random pair from the study's comparisons, except those in `without` and those set aside.

    share: of the images of one set that are replaced. It reads a bounded number of rows, however large the study is.
    Raises `Refused` if there are too few images.
    """
    drawn = _drawn(study, chance, without)
    side = chance.choice(SIDES)
    whole, *others = _images(drawn, side) or [[]]
    replaced_count = replaced_of(share, len(whole))
    if replaced_count < 1 or sum(map(len, others)) < replaced_count:
        raise Refused(_("This study has too few images to make a pair of known order."))
    blend = mixed(whole, others, replaced_count, chance)
    shuffled = chance.sample(whole, len(whole))
    is_left = chance.random() < HALF
    return KnownPair(
        comparison_id=drawn[0],
        left_model=side,
        left_images=shuffled if is_left else blend,
        right_images=blend if is_left else shuffled,
        known_choice=Vote.Choice.LEFT if is_left else Vote.Choice.RIGHT,
        replaced_count=replaced_count,
    )


def seeded_pair(*, study: Study, seed: int, purpose: str, number: int) -> KnownPair:
    """Pair `number`, from 0, of a seed and a purpose; the same until a comparison is set aside."""
    return known_pair(study=study, chance=stored_chance(seed, purpose, number))


def _drawn(study: Study, chance: Random, without: Collection[int]) -> list[int]:
    """The ids of comparisons of the study in random order: one and at most MOST_OTHERS more."""
    last = study.comparisons.order_by("-position").values_list("position", flat=True).first()
    positions = range(0 if last is None else last + 1)
    drawn = chance.sample(positions, min(len(positions), MOST_DRAWN))
    fitting = study.comparisons.filter(position__in=drawn, parked_at=None).exclude(pk__in=without)
    id_at = dict(fitting.order_by().values_list("position", "pk"))
    return [id_at[position] for position in drawn if position in id_at][: MOST_OTHERS + 1]


def _images(comparison_ids: Sequence[int], side: Side) -> list[list[int]]:
    """Return the image ids of sets of one model, each of another prompt: first the set on this side of the first one.

    In a study of several models, the model may be on the other side of other comparisons, or in none of their sets.
    """
    rows = Comparison.objects.in_bulk(comparison_ids)
    sets: dict[int, int] = {}  # by prompt
    model = getattr(rows[comparison_ids[0]], f"model_{side}") if comparison_ids else ""
    for row in (rows[pk] for pk in comparison_ids):
        if model in (row.model_a, row.model_b):
            sets.setdefault(row.prompt_id, row.image_set_a_id if model == row.model_a else row.image_set_b_id)
    images: dict[int, list[int]] = {image_set: [] for image_set in sets.values()}
    stored = GeneratedImage.objects.filter(image_set__in=images).order_by("seed")
    for image_set, image in stored.values_list("image_set_id", "pk"):
        images[image_set].append(image)
    return list(images.values())
