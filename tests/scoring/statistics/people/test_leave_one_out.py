from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.statistics.inference.intervals import wilson
from scoring.statistics.people.leave_one_out import each_against_the_others, leave_one_out
from scoring.statistics.votes.votes import Votes
from tests.scoring.statistics.reading import bounds, value

ROWS = [(5, 0, 0), (4, 1, 0), (3, 2, 0), (1, 4, 0)]  # 11111 / 11110 / 11100 / 00001

tables = st.lists(st.tuples(*[st.integers(0, 3)] * 3, st.sampled_from((1, -1, 0))), min_size=1, max_size=10)


def one_by_one(counts: Any, metric: Any) -> tuple[list[list[float]], list[list[float]]]:
    """Credit of every vote and of the metric in its place, the long way."""
    people, machine = [], []
    for row, winner in zip(counts, metric, strict=True):
        votes = [choice for choice, count in zip((1, -1, 0), row, strict=True) for _ in range(count)]
        if len(votes) >= 2:
            targets = [np.sign(sum(votes[:j] + votes[j + 1 :])) for j in range(len(votes))]
            people.append([credit(vote, target) for vote, target in zip(votes, targets, strict=True)])
            machine.append([credit(winner, target) for target in targets])
    return people, machine


def credit(answer: int, target: int) -> float:
    return 1.0 if answer == target else 0.5 if 0 in (answer, target) else 0.0


def test_published_rows() -> None:
    result = leave_one_out(ROWS, [1, 1, 1, 1]).by_comparison
    assert value(result.people) == pytest.approx(0.725)
    assert value(result.metric) == pytest.approx(0.675)
    assert value(result.difference) == pytest.approx(-0.05)
    assert result.people.n == 4


@pytest.mark.parametrize(("k", "expected"), [(2, 0.68), (3, 0.68), (4, 0.7376), (5, 0.7376)])
def test_independent_voters_agree_as_theory_says(k: int, expected: float) -> None:
    p = 0.8
    agreement = sum(
        comb(k, a) * p**a * (1 - p) ** (k - a) * value(leave_one_out([(a, k - a, 0)], [1]).by_vote.people)
        for a in range(k + 1)
    )
    assert agreement == pytest.approx(expected, abs=5e-5)


def test_a_perfect_metric_meets_the_same_noisy_targets() -> None:
    a = np.random.default_rng(2).binomial(5, 0.8, 20_000)
    result = leave_one_out(np.column_stack([a, 5 - a, 0 * a]), np.ones(20_000)).by_comparison
    assert value(result.people) == pytest.approx(0.7376, abs=0.01)
    assert value(result.metric) == pytest.approx(0.896, abs=0.01)  # .8192 + .1536 / 2, not the .9421 against all five


@settings(max_examples=60)
@given(tables)
def test_equals_the_long_way(rows: Any) -> None:
    counts, metric = [row[:3] for row in rows], [row[3] for row in rows]
    people, machine = one_by_one(counts, metric)
    result = leave_one_out(counts, metric)
    if not people:
        assert result.by_comparison.people.reason == result.by_vote.difference.reason == "no comparison has two votes"
        assert result.by_count == ()
        return
    for credits_, by_comparison, by_vote in (
        (people, result.by_comparison.people, result.by_vote.people),
        (machine, result.by_comparison.metric, result.by_vote.metric),
    ):
        assert by_comparison.value == pytest.approx(np.mean([np.mean(row) for row in credits_]))
        assert by_vote.value == pytest.approx(np.mean([x for row in credits_ for x in row]))
    for at in result.by_count:
        assert at.comparisons == sum(len(row) == at.votes for row in people)
        assert at.people == pytest.approx(np.mean([np.mean(row) for row in people if len(row) == at.votes]))
        assert at.metric == pytest.approx(np.mean([np.mean(row) for row in machine if len(row) == at.votes]))


@settings(max_examples=30)
@given(tables)
def test_neither_names_nor_order_matter(rows: Any) -> None:
    as_is = leave_one_out([row[:3] for row in rows], [row[3] for row in rows])
    renamed = leave_one_out([(b, a, t) for a, b, t, _ in rows[::-1]], [-m for *_, m in rows[::-1]])
    assert renamed.by_comparison.people.value == pytest.approx(as_is.by_comparison.people.value)
    assert renamed.by_vote.difference.value == pytest.approx(as_is.by_vote.difference.value)


def test_the_difference_has_a_paired_interval() -> None:
    rng = np.random.default_rng(3)
    a = rng.binomial(5, np.where(rng.random(80) < 0.5, 0.85, 0.15))
    counts, metric = np.column_stack([a, 5 - a, 0 * a]), np.where(a > 2, 1, -1)
    labels = rng.integers(0, 30, 80)
    result = leave_one_out(counts, metric, clusters=labels).by_comparison
    low, high = bounds(result.difference)
    assert low < value(result.difference) < high
    assert high - low < np.ptp(bounds(result.people)) + np.ptp(bounds(result.metric))


def test_of_two_votes_each_the_interval_is_that_of_wilson() -> None:
    counts = [(2, 0, 0)] * 33 + [(1, 1, 0)] * 7
    result = leave_one_out(counts, [1] * 40)
    assert bounds(result.by_comparison.people) == pytest.approx(bounds(wilson(33, 40)))
    assert bounds(result.by_vote.people) == pytest.approx(bounds(result.by_comparison.people))


def test_more_votes_weigh_more_and_count_as_fewer_comparisons() -> None:
    counts = [(8, 2, 0)] * 5 + [(1, 1, 0), (2, 0, 0)] * 20
    by_vote = leave_one_out(counts, [1] * 45).by_vote
    equal = leave_one_out([(1, 1, 0), (2, 0, 0)] * 20, [1] * 40).by_vote
    assert np.ptp(bounds(by_vote.people)) > 0
    assert np.ptp(bounds(equal.people)) < 2 * np.ptp(bounds(by_vote.people))


def test_one_comparison_has_values_and_an_interval_that_says_little() -> None:
    result = leave_one_out([(2, 1, 0)], [1]).by_comparison
    assert value(result.people) == pytest.approx(1 / 3)  # the two for A meet a tie, the one for B meets A
    assert np.ptp(bounds(result.people)) > 0.6


def test_counts_and_winners_must_fit() -> None:
    with pytest.raises(ValueError, match="2 comparisons with votes, 1 with a winner"):
        leave_one_out([(1, 1, 0), (2, 0, 0)], [1])


def test_each_annotator_against_the_others() -> None:
    # Comparison 0: A A B tie; comparison 1: B by annotator 2 and B by 0; comparison 2: annotator 3 alone.
    votes = Votes.of([0, 0, 0, 0, 1, 1, 2], [0, 1, 2, 3, 2, 0, 3], [0, 0, 1, 2, 1, 1, 0])
    result = {row.annotator: (row.votes, row.agreement) for row in each_against_the_others(votes, comparison_count=3)}
    # Without 0 the others of comparison 0 say A, B, tie: a tie, so half; without 2 and without 3 they say A.
    assert result == {"0": (2, 0.75), "1": (1, 0.5), "2": (2, 0.5), "3": (1, 0.5)}


@given(tables)
@settings(max_examples=25)
def test_annotators_weighed_by_their_votes_give_the_mean_by_vote(rows: Any) -> None:
    choices = [[choice for choice, count in enumerate(row[:3]) for _ in range(count)] for row in rows]
    cells = [(i, place, choice) for i, row in enumerate(choices) for place, choice in enumerate(row)]
    votes = Votes.of(*np.array(cells, dtype=np.int64).reshape(-1, 3).T)
    each = each_against_the_others(votes, comparison_count=len(rows))
    pooled = leave_one_out([row[:3] for row in rows], [row[3] for row in rows]).by_vote.people
    if pooled.value is None:
        assert each == ()
    else:
        weight = sum(row.votes for row in each)
        assert sum(row.agreement * row.votes for row in each) / weight == pytest.approx(pooled.value)
