from typing import Any

import numpy as np
import pytest

from scoring.statistics.votes.votes import Votes


def test_votes_are_counted_by_comparison_and_choice() -> None:
    votes = Votes.of([0, 0, 2, 2, 2], [0, 1, 0, 1, 5], [0, 1, 2, 2, 0])
    np.testing.assert_array_equal(votes.counts(4), [(1, 1, 0), (0, 0, 0), (1, 0, 2), (0, 0, 0)])
    assert Votes.of([], [], []).counts(0).shape == (0, 3)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (([0], [0, 1], [0]), "every vote has one"),
        (([[0]], [[0]], [[0]]), "every vote has one"),
        (([0], [0], [3]), "0, 1 or 2"),
        (([0], [0], [-1]), "from zero up"),
        (([-1], [0], [0]), "from zero up"),
        (([4, 4], [7, 7], [0, 1]), "not two"),
    ],
)
def test_what_is_no_vote_is_refused(columns: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Votes.of(*columns)


def test_the_first_votes_of_each_comparison_in_the_order_given() -> None:
    votes = Votes.of([2, 0, 2, 0, 2, 1], [5, 1, 3, 0, 4, 7], [0, 1, 2, 0, 1, 1])
    first = votes.first_of_each(2)
    assert list(zip(first.comparison, first.annotator, first.choice, strict=True)) == [
        (2, 5, 0),
        (0, 1, 1),
        (2, 3, 2),
        (0, 0, 0),
        (1, 7, 1),
    ]
    assert len(votes.first_of_each(0).choice) == 0
