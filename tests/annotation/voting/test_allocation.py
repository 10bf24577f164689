from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from annotation.voting.allocation import SIDES, Side, left_model, present, search_start, stored_chance

seeds = st.integers(0, 2**63 - 1)


leads = st.integers(-3, 3)


@given(seed=seeds, comparisons=st.lists(leads, max_size=200))
def test_sides_differ_by_at_most_one_after_any_number_of_comparisons(seed: int, comparisons: list[int]) -> None:
    own_lead = 0
    for index, comparison_lead in enumerate(comparisons):
        left = left_model(seed, index, own_lead=own_lead, comparison_lead=comparison_lead)
        own_lead += 1 if left == "a" else -1
        assert abs(own_lead) <= 1


@given(seed=seeds, index=st.integers(0, 500), lead=leads.filter(bool))
def test_where_the_annotator_is_balanced_the_comparison_is_brought_closer_to_it(
    seed: int, index: int, lead: int
) -> None:
    added = 1 if left_model(seed, index, comparison_lead=lead) == "a" else -1
    assert abs(lead + added) < abs(lead)


def test_which_model_begins_is_not_the_same_for_all_seeds_and_pairs() -> None:
    begins = Counter(left_model(seed, 2 * pair) for seed in range(40) for pair in range(25))
    assert abs(begins["a"] - 500) < 80  # five standard deviations of a fair coin


@given(seed=seeds, index=st.integers(0, 500), count=st.integers(0, 40), side=st.sampled_from(SIDES))
def test_every_image_is_shown_once_on_the_side_of_its_model(seed: int, index: int, count: int, side: Side) -> None:
    images_a, images_b = list(range(count)), list(range(100, 100 + count))
    shown = present(seed=seed, index=index, left=side, images_a=images_a, images_b=images_b)
    left, right = (images_a, images_b) if side == "a" else (images_b, images_a)
    assert shown.left_model == side
    assert (sorted(shown.left_images), sorted(shown.right_images)) == (left, right)
    assert shown == present(seed=seed, index=index, left=side, images_a=images_a, images_b=images_b)


def test_the_place_of_an_image_says_nothing_of_its_seed() -> None:
    places = Counter(
        present(seed=seed, index=0, left="a", images_a=list(range(4)), images_b=[9] * 4).left_images.index(0)
        for seed in range(2000)
    )
    assert len(places) == 4
    assert max(places.values()) - min(places.values()) < 120  # about 500 each


def test_both_sides_are_shuffled_apart() -> None:
    six = list(range(6))
    orders = [present(seed=seed, index=0, left="a", images_a=six, images_b=six) for seed in range(50)]
    assert any(shown.left_images != shown.right_images for shown in orders)


def test_stored_chance_is_the_same_everywhere() -> None:
    assert stored_chance(17, "sides", 3).getrandbits(64) == stored_chance(17, "sides", 3).getrandbits(64)
    assert stored_chance(17, "sides", 3).random() != stored_chance(17, "orders", 3).random()
    # Constants, so that another version of Python or of this module cannot draw a running study differently.
    assert [left_model(2024, 2 * pair) for pair in range(8)] == list("aabbbaaa")


def test_a_search_can_begin_anywhere() -> None:
    assert {search_start(stored_chance(seed), 3) for seed in range(100)} == {0, 1, 2, 3}
