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


def left_model(seed: int, index: int) -> Side:
    """The model on the left of an annotator's comparison number `index` (from 0).

    Permuted blocks of two (Zelen 1974): of any first n comparisons each model stands on the left in
    n / 2, give or take one half, and the order within a block is drawn from the seed.
    """
    block, place = divmod(index, len(SIDES))
    return stored_chance(seed, "sides", block).sample(SIDES, len(SIDES))[place]


def present(*, seed: int, index: int, images_a: Sequence[int], images_b: Sequence[int]) -> Presentation:
    """The sides and the orders of an annotator's comparison number `index` (from 0).

    Each set is shuffled by itself, so the place of an image says nothing of the seed it was sampled with.
    """
    chance = stored_chance(seed, "orders", index)
    order_a, order_b = (chance.sample(images, len(images)) for images in (images_a, images_b))
    if left_model(seed, index) == "a":
        return Presentation("a", order_a, order_b)
    return Presentation("b", order_b, order_a)


def search_start(chance: random.Random, last_position: int) -> int:
    """Where the search among equally filled comparisons begins: a position from 0 to `last_position`.

    The first free position from there on, around the end, is the draw. It reads one row of an index;
    an exactly uniform draw would count the free ones, which costs more the larger the study is.
    """
    return chance.randint(0, last_position)
