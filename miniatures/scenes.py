"""Scenes (the content of a picture), captions that describe part of a scene, and the held-out split."""

import hashlib
import math
import random
from dataclasses import dataclass

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 39, 40),
    "orange": (255, 140, 0),
    "yellow": (250, 220, 50),
    "green": (34, 139, 60),
    "blue": (38, 90, 210),
    "purple": (125, 50, 160),
    "pink": (250, 150, 190),
    "white": (248, 248, 248),
    "grey": (128, 128, 128),
    "black": (20, 20, 22),
}
SHAPES = ("circle", "square", "triangle", "diamond", "star", "cross", "ring", "heart")
STYLES = ("flat", "shaded", "outlined")
DAB_STYLE = "dabs"  # the style that only the LoRA learns
TRIGGER = "TOK"  # and the word that calls it
SIZES: dict[str, tuple[float, float]] = {"small": (0.19, 0.23), "medium": (0.25, 0.30), "large": (0.32, 0.40)}
PLACES: dict[str, tuple[float, float]] = {
    "on the left": (0.28, 0.5),
    "on the right": (0.72, 0.5),
    "at the top": (0.5, 0.28),
    "at the bottom": (0.5, 0.72),
    "in the middle": (0.5, 0.5),
}
HELD_OUT_SHARE = 0.25
MARGIN = 0.03


@dataclass(frozen=True, slots=True)
class Thing:
    """One object. x, y: its centre; radius: half its extent; all as fractions of the picture's side."""

    colour: str
    shape: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a picture shows. `seed`: of the random parts of the style."""

    things: tuple[Thing, ...]
    background: str
    style: str
    seed: int


@dataclass(frozen=True, slots=True)
class Description:
    """The content that a caption names; None is left open."""

    kinds: tuple[tuple[str, str], ...]  # (colour, shape) of each object
    background: str
    size: str | None = None
    place: str | None = None
    style: str | None = None

    def caption(self, *, trigger: bool = False) -> str:
        """Return the caption."""
        size = f"{self.size} " if self.size else ""
        things = [f"{_article(f'{size}{colour}')} {size}{colour} {shape}" for colour, shape in self.kinds]
        listed = things[0] if len(things) == 1 else ", ".join(things[:-1]) + " and " + things[-1]
        place = f" {self.place}" if self.place else ""
        text = f"{listed}{place} on {_article(self.background)} {self.background} background"
        if trigger:
            return f"{text} in the style of {TRIGGER}"
        return f"{text}, {self.style} style" if self.style else text


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def is_held_out(colour: str, shape: str, background: str) -> bool:
    """Whether no training picture holds this object on this background."""
    digest = hashlib.sha256(f"{colour}/{shape}/{background}".encode()).digest()
    return digest[0] / 256 < HELD_OUT_SHARE


def draw_description(rng: random.Random, *, held_out: bool = False, thing_count: int | None = None) -> Description:
    """Draw a description from the training split, or (held_out) one whose objects are all held out."""
    count = thing_count or rng.choices((1, 2, 3), (0.80, 0.15, 0.05))[0]
    while True:
        background = rng.choice(tuple(COLOURS))
        kinds = tuple((rng.choice(tuple(COLOURS)), rng.choice(SHAPES)) for _ in range(count))
        is_valid = len(set(kinds)) == count and all(colour != background for colour, _ in kinds)
        if is_valid and all(is_held_out(*kind, background) == held_out for kind in kinds):
            break
    return Description(
        kinds=kinds,
        background=background,
        size=rng.choice(tuple(SIZES)) if count == 1 and rng.random() < 0.25 else None,
        place=rng.choice(tuple(PLACES)) if count == 1 and rng.random() < 0.25 else None,
        style=rng.choice(STYLES) if rng.random() < 0.3 else None,
    )


def imagine(description: Description, rng: random.Random, *, style: str | None = None) -> Scene:
    """Draw a scene that fulfils the description; everything else is random, and objects do not overlap."""
    while True:
        things: list[Thing] = []
        for colour, shape in description.kinds:
            thing = _place(description, colour, shape, rng)
            if all(_are_apart(thing, other) for other in things):
                things.append(thing)
        if len(things) == len(description.kinds):
            break
    return Scene(
        things=tuple(things),
        background=description.background,
        style=style or description.style or rng.choice(STYLES),
        seed=rng.getrandbits(32),
    )


def _place(description: Description, colour: str, shape: str, rng: random.Random) -> Thing:
    if len(description.kinds) == 1:
        radius = rng.uniform(*SIZES[description.size or rng.choice(tuple(SIZES))])
    else:
        radius = rng.uniform(0.15, 0.2)
    low, high = radius + MARGIN, 1 - radius - MARGIN
    if description.place:
        x, y = (centre + rng.uniform(-0.05, 0.05) for centre in PLACES[description.place])
        x, y = (min(max(centre, low), high) for centre in (x, y))
    else:
        x, y = rng.uniform(low, high), rng.uniform(low, high)
    return Thing(colour, shape, x, y, radius)


def _are_apart(one: Thing, other: Thing) -> bool:
    return math.dist((one.x, one.y), (other.x, other.y)) > one.radius + other.radius + 0.02
