"""Draw the model on the left, the order of the images and the start of a search from a stored seed; pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["a", "b"]
SIDES: tuple[Side, Side] = ("a", "b")


@dataclass(frozen=True, slots=True)
class Presentation:
    """A comparison as it is shown: the side (A or B) on the left, and the image ids of both sides in their order."""

    left_model: Side
    left_images: list[int]
    right_images: list[int]


def stored_chance(seed: int, *purpose: str | int) -> random.Random:
    """Return a random generator for a stored seed and a purpose; the same on each machine and in each process."""
    return random.Random("/".join(map(str, (seed, *purpose))))  # noqa: S311 - balance and blinding, no secret


def left_model(seed: int, index: int, *, own_lead: int = 0, comparison_lead: int = 0) -> Side:
    """The model on the left of an annotator's comparison number `index` (from 0).

    own_lead: how much more often A than B was on this annotator's left so far; of several models, see
    `search.left_lead_of`. comparison_lead: the same among all annotators of this comparison. The annotator's balance
    comes first, so that among the first n comparisons each model is on the left in n / 2, give or take one half. If it
    is even, the comparison's balance decides; if that is even too, a draw from the seed.
    """
    for lead in (own_lead, comparison_lead):
        if lead:
            return "b" if lead > 0 else "a"
    return stored_chance(seed, "sides", index // 2).sample(SIDES, 2)[0]


def present(*, seed: int, index: int, left: Side, images_a: Sequence[int], images_b: Sequence[int]) -> Presentation:
    """The orders of an annotator's comparison number `index` (from 0), with `left` on the left.

    Each set is shuffled on its own, so the place of an image says nothing about the seed it was generated with.
    """
    chance = stored_chance(seed, "orders", index)
    order_a, order_b = (chance.sample(images, len(images)) for images in (images_a, images_b))
    return Presentation("a", order_a, order_b) if left == "a" else Presentation("b", order_b, order_a)


def search_start(chance: random.Random, last_position: int) -> int:
    """The position, from 0 to `last_position`, at which the search among equally filled comparisons begins.

    The first free comparison from there on, and around the end, is the one drawn. Finding it reads one row of an index;
    an exactly uniform draw would count the free comparisons, which costs more the larger the study is.
    """
    return chance.randint(0, last_position)
