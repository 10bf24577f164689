from typing import Any

import pytest

from scoring.statistics.votes.counts import checked_counts


def test_whole_numbers_pass_as_integers() -> None:
    assert checked_counts([(1.0, 2.0), (0, 3)]).tolist() == [[1, 2], [0, 3]]
    assert checked_counts([], categories=3).shape == (0, 3)


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ([1, 2], "per comparison"),
        ([(1,), (2,)], "per comparison"),
        ([(1, 2)], "in 3 categories"),
        ([(1, -1, 0)], "whole numbers"),
        ([(1, 0.5, 0)], "whole numbers"),
        ([(1, float("nan"), 0)], "whole numbers"),
        ([(1, float("inf"), 0)], "whole numbers"),
    ],
)
def test_anything_else_is_refused(counts: Any, sentence: Any) -> None:
    with pytest.raises(ValueError, match=sentence):
        checked_counts(counts, categories=3)
