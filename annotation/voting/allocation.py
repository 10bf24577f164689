"""Which comparison next, which model on the left, images in which order. Pure: chance comes from a stored seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["a", "b"]
SIDES: tuple[Side, Side] = ("a", "b")


@dataclass(frozen=True, slots=True)
class Presentation:
    """How one comparison is shown: the model on the left, and the image ids of both sides in order."""

    left_model: Side
    left_images: list[int]
    right_images: list[int]


def stored_chance(seed: int, *purpose: str | int) -> random.Random:
    """The chance that belongs to a stored seed and a purpose: the same on every machine and in every process."""
    return random.Random("/".join(map(str, (seed, *purpose))))  # noqa: S311 - balance and blinding, no secret


def left_model(seed: int, index: int, *, own_lead: int = 0, comparison_lead: int = 0) -> Side:
    """The model on the left of an annotator's comparison number `index` (from 0).

    `own_lead`: how much oftener A than B stood on the annotator's left so far; `comparison_lead`: the same among
    those who were given this comparison. The annotator's balance comes first, so that of any first n comparisons
    each model stands on the left in n / 2, give or take one half; between two such pairs the comparison's balance
    decides, and where that is even too, a draw from the seed.
    """
    for lead in (own_lead, comparison_lead):
        if lead:
            return "b" if lead > 0 else "a"
    return stored_chance(seed, "sides", index // 2).sample(SIDES, 2)[0]


def present(*, seed: int, index: int, left: Side, images_a: Sequence[int], images_b: Sequence[int]) -> Presentation:
    """The orders of an annotator's comparison number `index` (from 0), with `left` on the left.

    Each set is shuffled by itself, so the place of an image says nothing of the seed it was sampled with.
    """
    chance = stored_chance(seed, "orders", index)
    order_a, order_b = (chance.sample(images, len(images)) for images in (images_a, images_b))
    return Presentation("a", order_a, order_b) if left == "a" else Presentation("b", order_b, order_a)


def search_start(chance: random.Random, last_position: int) -> int:
    """Where the search among equally filled comparisons begins: a position from 0 to `last_position`.

    The first free position from there on, around the end, is the draw. It reads one row of an index;
    an exactly uniform draw would count the free ones, which costs more the larger the study is.
    """
    return chance.randint(0, last_position)
