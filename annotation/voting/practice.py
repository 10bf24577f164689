"""Pairs of known order, made from the study's own images: for practice and for the worked examples.

One set shows one prompt by one model. In the other, half of the images are the same model's images of other
prompts. Which of the two is more consistent follows from how they were made; neither says anything of the models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from django.db import transaction

from annotation.models import Annotator, Assignment, Comparison, Study, Vote
from annotation.voting.allocation import SIDES, Side, stored_chance
from annotation.voting.assignment import lock
from generation.models import GeneratedImage
from generation.refusals import Refused

MOST_OTHERS = 20  # other prompts that images are taken from
PRACTICE = Assignment.Kind.PRACTICE


@dataclass(frozen=True, slots=True)
class KnownPair:
    """Two sets of image ids of one comparison and one model. `consistent_side` is left or right.

    `replaced_count` images of the other side belong to other prompts.
    """

    comparison_id: int
    model: Side
    left_images: list[int]
    right_images: list[int]
    consistent_side: str
    replaced_count: int


def mixed(images: Sequence[int], others: Sequence[Sequence[int]], chance: Random) -> list[int]:
    """`images` with half of them, rounded down, replaced by images of the other sets in turn; shuffled; pure.

    At least half stay, so a mixed set is never by accident another prompt's whole set.
    """
    replaced_count = len(images) // 2
    stay = chance.sample(list(images), len(images) - replaced_count)
    queues = [chance.sample(list(other), len(other)) for other in chance.sample(list(others), len(others))]
    taken = [queue[turn] for turn in range(max(map(len, queues), default=0)) for queue in queues if turn < len(queue)]
    return chance.sample(stay + taken[:replaced_count], len(stay) + len(taken[:replaced_count]))


def known_pair(*, study: Study, seed: int, purpose: str, number: int) -> KnownPair:
    """Pair `number`, from 0, of a seed and a purpose; always the same. Raises `Refused` for too few images."""
    chance = stored_chance(seed, purpose, number)
    chosen = chance.choice(list(study.comparisons.order_by("position").values_list("pk", flat=True)))
    others = list(study.comparisons.exclude(pk=chosen).order_by("position").values_list("pk", flat=True))
    model = chance.choice(SIDES)
    images = _images([chosen, *chance.sample(others, min(len(others), MOST_OTHERS))], model)
    whole = images.pop(chosen, [])
    blend = mixed(whole, list(images.values()), chance)
    if len(whole) < 2 or len(blend) < len(whole):
        raise Refused("This study has too few images to make a practice comparison of.")
    shuffled = chance.sample(whole, len(whole))
    is_left = chance.random() < 0.5
    return KnownPair(
        comparison_id=chosen,
        model=model,
        left_images=shuffled if is_left else blend,
        right_images=blend if is_left else shuffled,
        consistent_side=Vote.Choice.LEFT if is_left else Vote.Choice.RIGHT,
        replaced_count=len(whole) // 2,
    )


@transaction.atomic
def practice(*, annotator: Annotator, number: int, now: datetime) -> Assignment:
    """Practice comparison `number`, from 0, of the annotator: made the first time, then as it was."""
    annotator = lock(annotator.pk)
    if known := practised(annotator=annotator, number=number):
        return known
    pair = known_pair(study=annotator.study, seed=annotator.seed, purpose="practice", number=number)
    return Assignment.objects.create(
        comparison_id=pair.comparison_id,
        annotator=annotator,
        kind=PRACTICE,
        occurrence=number,
        state=Assignment.State.RELEASED,  # practice holds nothing that could be given back
        left_model=pair.model,
        left_images=pair.left_images,
        right_images=pair.right_images,
        leased_at=now,
    )


def practised(*, annotator: Annotator, number: int) -> Assignment | None:
    """The annotator's practice comparison of this number, if it was made."""
    return Assignment.objects.filter(annotator=annotator, kind=PRACTICE, occurrence=number).first()


def practice_count(annotator: Annotator) -> int:
    """How many practice comparisons the annotator has answered."""
    return Assignment.objects.filter(annotator=annotator, kind=PRACTICE, state=Assignment.State.VOTED).count()


@transaction.atomic
def answer_practice(*, assignment: Assignment, choice: str, now: datetime) -> Vote:
    """Store the answer to a practice comparison; the first one stands."""
    lock(assignment.annotator_id)
    this = Assignment.objects.filter(pk=assignment.pk)
    if this.filter(state=Assignment.State.RELEASED).update(state=Assignment.State.VOTED):
        return Vote.objects.create(assignment=assignment, choice=choice, received_at=now)
    return assignment.votes.get()


def consistent_side(assignment: Assignment) -> str:
    """The side of a practice comparison whose images all belong to one set."""
    sets = GeneratedImage.objects.filter(pk__in=assignment.left_images).order_by().values("image_set").distinct()
    return Vote.Choice.LEFT if sets.count() == 1 else Vote.Choice.RIGHT


def _images(comparison_ids: Sequence[int], model: Side) -> dict[int, list[int]]:
    """The image ids of one model's sets, by comparison."""
    field = f"image_set_{model}"
    set_of = dict(Comparison.objects.filter(pk__in=comparison_ids).values_list(field, "pk"))
    images: dict[int, list[int]] = {pk: [] for pk in comparison_ids}
    rows = GeneratedImage.objects.filter(image_set__in=set_of).order_by("seed").values_list("image_set_id", "pk")
    for image_set_id, image_id in rows:
        images[set_of[image_set_id]].append(image_id)
    return images
