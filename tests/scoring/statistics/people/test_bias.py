import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.people.bias import pooled_position_test, position_bias
from scoring.statistics.people.reliability import krippendorff_alpha
from tests.scoring.statistics.reading import bounds, p_value, value

MANY = Resampling(resamples=4000, seed=1)
LEFT = [(9, 3), (5, 4), (7, 2), (6, 6)]
BOTH = [(10, 10), (10, 10), (8, 10), (10, 12)]
SHARES = np.array([0.6, 0.45, (7 / 8 + 2 / 10) / 2, 0.55])


def test_published_pooled_test() -> None:
    test = pooled_position_test(270, 500)
    assert test.p_value == pytest.approx(0.0810, abs=5e-5)
    assert "assuming independent votes" in test.method


def test_the_share_is_the_mean_over_annotators_of_their_strata() -> None:
    result = position_bias(LEFT, BOTH, resampling=MANY)
    assert (result.share.value, result.share.n) == pytest.approx((SHARES.mean(), 4))
    assert bounds(result.share) == pytest.approx(DescrStatsW(SHARES).tconfint_mean())
    expected = stats.ttest_1samp(SHARES, 0.5)
    assert (result.t_test.statistic, result.t_test.p_value) == pytest.approx((expected.statistic, expected.pvalue))


def test_the_sign_flip_equals_enumeration() -> None:
    departures = SHARES - 0.5
    means = [np.mean(flips * departures) for flips in itertools.product((1, -1), repeat=4)]
    expected = np.mean(np.abs(means) >= abs(departures.mean()) - 1e-12)
    assert p_value(position_bias(LEFT, BOTH, resampling=MANY).sign_flip) == pytest.approx(expected, abs=0.03)


def test_the_smallest_p_value_counts_what_was_observed() -> None:
    biased = position_bias(np.full((30, 2), 4), np.full((30, 2), 5), resampling=MANY)
    assert biased.sign_flip.p_value == 1 / 4001
    assert biased.sign_flip.statistic == pytest.approx(0.3)


def test_the_pooled_share_counts_votes() -> None:
    result = position_bias(LEFT, BOTH, resampling=MANY)
    assert (result.pooled_share.value, result.pooled_share.n) == (42 / 80, 80)
    assert result.pooled_test.p_value == pytest.approx(stats.binomtest(42, 80).pvalue)


def test_a_better_model_that_was_left_more_often_is_no_bias() -> None:
    left, both = np.tile((27, 1), (12, 1)), np.tile((30, 10), (12, 1))  # A wins nine times in ten on either side
    result = position_bias(left, both, resampling=MANY)
    assert result.share.value == pytest.approx(0.5)
    assert result.sign_flip.reason == "every annotator's share is exactly one half"
    assert value(result.pooled_share) == 0.7


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 4), min_size=2, max_size=8), st.randoms())
def test_neither_model_names_nor_the_order_of_annotators_matter(rows: Any, random: Any) -> None:
    table = np.array(rows)
    left, both = table[:, :2], table[:, :2] + table[:, 2:]
    as_is = position_bias(left, both, resampling=Resampling(resamples=20))
    order = random.sample(range(len(rows)), len(rows))
    other = position_bias(left[order, ::-1], both[order, ::-1], resampling=Resampling(resamples=20))
    assert other.share.value == pytest.approx(as_is.share.value)
    assert other.t_test.p_value == pytest.approx(as_is.t_test.p_value)
    assert other.pooled_share == as_is.pooled_share


def test_annotators_who_saw_one_model_left_only_are_pooled_only() -> None:
    result = position_bias([*LEFT, (3, 0)], [*BOTH, (3, 0)], resampling=MANY)
    assert (result.share.value, result.share.n) == pytest.approx((SHARES.mean(), 4))
    assert result.pooled_share.n == 83


@pytest.mark.parametrize(
    ("left", "both", "reason", "has_share"),
    [
        ([], [], "no annotator voted both", False),
        ([(3, 0)], [(4, 0)], "no annotator voted both", False),
        ([(3, 3)], [(4, 4)], "one annotator only", True),
        ([(3, 3), (3, 3)], [(4, 4), (4, 4)], "all annotators have the same share", True),
    ],
)
def test_undefined_says_why(left: Any, both: Any, reason: str, has_share: bool) -> None:
    result = position_bias(left, both, resampling=MANY)
    assert reason in result.share.reason
    assert reason in result.t_test.reason
    assert (result.share.value is not None, result.share.low, result.t_test.p_value) == (has_share, None, None)


def test_no_votes_for_a_side() -> None:
    assert pooled_position_test(0, 0).reason == "no votes for a side"


def test_more_left_votes_than_votes_are_refused() -> None:
    with pytest.raises(ValueError, match="part of the votes"):
        position_bias([(3, 0)], [(2, 1)], resampling=MANY)


def test_side_coding_is_about_zero_where_sides_are_drawn() -> None:
    rng = np.random.default_rng(3)
    on_left = rng.binomial(10, 0.5, 300)  # ten people agree on A, shown left by a coin
    alpha = krippendorff_alpha(np.column_stack([on_left, 10 - on_left, np.zeros(300)]), resampling=MANY)
    assert abs(value(alpha)) < 0.03
