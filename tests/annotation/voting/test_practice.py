"""Pairs of known order: the right answer is known, a seed gives the same pair, and it is of one model."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.models import Assignment, Vote
from annotation.voting.checks.known_order import mixed, replaced_of, seeded_pair
from annotation.voting.practice import answer_practice, practice, practice_count
from generation.models import GeneratedImage
from jobs.refusals import Refused
from tests.annotation.voting.open_studies import NOON, make_annotators, make_study


@given(st.integers(2, 21), st.integers(1, 30), st.integers(0, 1000), st.sampled_from([0.1, 0.25, 0.5, 0.75]))
def test_so_many_of_a_mixed_set_come_from_the_others_in_turn(
    size: int, other_count: int, seed: int, share: float
) -> None:
    replaced_count = replaced_of(share, size)
    assert 1 <= replaced_count < size
    sets = [list(range(size * number, size * number + size)) for number in range(other_count + 1)]
    blend = mixed(sets[0], sets[1:], replaced_count, Random(seed))
    foreign = [image for image in blend if image >= size]
    assert len(blend) == len(set(blend)) == size
    assert len(foreign) == replaced_count
    shares = [sum(image // size == number for image in foreign) for number in range(1, other_count + 1)]
    assert max(shares) - min(shares) <= 1


@pytest.mark.django_db
def test_a_pair_is_one_whole_set_and_one_mixed_set_of_one_model() -> None:
    study = make_study(comparisons=4, overlap=1, images=6)
    sides = set()
    for number in range(12):
        pair = seeded_pair(study=study, seed=5, purpose="practice", number=number)
        assert pair == seeded_pair(study=study, seed=5, purpose="practice", number=number)
        images = GeneratedImage.objects.select_related("image_set").in_bulk([*pair.left_images, *pair.right_images])
        assert len({image.image_set.diffusion_model_id for image in images.values()}) == 1
        prompts = {
            side: {images[pk].image_set.prompt_id for pk in shown}
            for side, shown in (("left", pair.left_images), ("right", pair.right_images))
        }
        other = "right" if pair.known_choice == "left" else "left"
        assert len(prompts[pair.known_choice]) == 1
        assert len(prompts[other]) > 1
        sides.add((pair.known_choice, pair.left_model))
    assert len(sides) == 4, "either side, either model"


@pytest.mark.django_db
def test_a_study_with_too_few_images_makes_no_pair() -> None:
    study = make_study(comparisons=2, overlap=1, images=1)
    with pytest.raises(Refused, match="too few images"):
        seeded_pair(study=study, seed=1, purpose="practice", number=0)


@pytest.mark.django_db
def test_practice_is_kept_as_it_was_shown_and_counts_for_nothing() -> None:
    study = make_study(comparisons=3, overlap=1, images=4)
    (annotator,) = make_annotators(study, 1)
    first = practice(annotator=annotator, number=0, now=NOON)
    assert practice(annotator=annotator, number=0, now=NOON) == first
    assert practice_count(annotator) == 0
    side = first.known_choice
    vote = answer_practice(assignment=first, choice=side, now=NOON)
    other = "right" if side == "left" else "left"
    assert answer_practice(assignment=first, choice=other, now=NOON) == vote, "the first answer stands"
    assert practice_count(annotator) == 1
    assert Vote.objects.get().choice == side
    assert Assignment.objects.get().kind == "practice"
    assert set(study.comparisons.values_list("slot_count", "vote_count")) == {(0, 0)}
