from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from annotation.voting.allocation import left_model, present, search_start, stored_chance

seeds = st.integers(0, 2**63 - 1)


@given(seed=seeds, count=st.integers(0, 200))
def test_sides_differ_by_at_most_one_after_any_number_of_comparisons(seed: int, count: int) -> None:
    lefts = Counter(left_model(seed, index) for index in range(count))
    assert abs(lefts["a"] - lefts["b"]) <= 1


def test_which_model_begins_a_block_is_not_the_same_for_all_seeds_and_blocks() -> None:
    begins = Counter(left_model(seed, 2 * block) for seed in range(40) for block in range(25))
    assert abs(begins["a"] - 500) < 80  # five standard deviations of a fair coin


@given(seed=seeds, index=st.integers(0, 500), count=st.integers(0, 40))
def test_every_image_is_shown_once_on_the_side_of_its_model(seed: int, index: int, count: int) -> None:
    images_a, images_b = list(range(count)), list(range(100, 100 + count))
    shown = present(seed=seed, index=index, images_a=images_a, images_b=images_b)
    left, right = (images_a, images_b) if shown.left_model == "a" else (images_b, images_a)
    assert (sorted(shown.left_images), sorted(shown.right_images)) == (left, right)
    assert shown == present(seed=seed, index=index, images_a=images_a, images_b=images_b)


def test_the_place_of_an_image_says_nothing_of_its_seed() -> None:
    places = Counter(
        present(seed=seed, index=0, images_a=list(range(4)), images_b=[9] * 4).left_images.index(0)
        for seed in range(4000)
        if left_model(seed, 0) == "a"
    )
    assert len(places) == 4
    assert max(places.values()) - min(places.values()) < 120  # about 500 each


def test_both_sides_are_shuffled_apart() -> None:
    orders = [present(seed=seed, index=0, images_a=list(range(6)), images_b=list(range(6))) for seed in range(50)]
    assert any(shown.left_images != shown.right_images for shown in orders)


def test_stored_chance_is_the_same_everywhere() -> None:
    assert stored_chance(17, "sides", 3).getrandbits(64) == stored_chance(17, "sides", 3).getrandbits(64)
    assert stored_chance(17, "sides", 3).random() != stored_chance(17, "orders", 3).random()
    # Written down, so that another version of Python or of this module cannot redraw a running study.
    assert [left_model(2024, index) for index in range(8)] == list("ababbaba")


def test_a_search_can_begin_anywhere() -> None:
    assert {search_start(stored_chance(seed), 3) for seed in range(100)} == {0, 1, 2, 3}
