"""Evidence that may be looked at after every cluster: worked examples, invariants, and simulated error rates."""

import math

import numpy as np
import pytest

from scoring.statistics.inference.intervals import wilson
from scoring.statistics.studies.sequential import by_turn, complete_prefix, confidence_sequence, decide, threshold

LEVEL = 0.95


def test_the_capital_by_hand() -> None:
    # Stakes 0, 1 / 1.25 (at most .75), 2 / 2.25 (at most .75); capitals 1, 1.75, 1.75 * 0.25.
    outcome = decide([1.0, 1.0, -1.0], most=1.0, level=LEVEL)
    assert outcome.better.e_value == pytest.approx(1.75 * 0.25)
    assert outcome.better.greatest == pytest.approx(1.75)
    assert outcome.worse.e_value == pytest.approx(1.0)  # never ahead, so it staked nothing
    assert (outcome.verdict, outcome.decided_after) == ("undecided", None)


def test_a_claim_and_its_reverse() -> None:
    better, worse = (decide([sign * 1.0] * 20, most=1.0, level=LEVEL) for sign in (1, -1))
    assert (better.verdict, worse.verdict) == ("shown", "shown worse")
    assert better.decided_after == worse.decided_after == 8  # 1.75 ** 7 > 40
    assert better.better == worse.worse


def test_evidence_without_end_stays_a_number() -> None:
    outcome = decide([1.0] * 2000, most=1.0, level=LEVEL)
    assert outcome.decided_after == 8
    assert outcome.better.e_value == outcome.better.greatest == pytest.approx(math.exp(700))


def test_later_clusters_never_change_what_was_decided() -> None:
    assert decide([1.0] * 10 + [-1.0] * 30, most=1.0, level=LEVEL).verdict == "shown"


def test_better_than_rivals_is_better_than_each_and_worse_is_worse_than_some() -> None:
    easy, hard = [1.0] * 20, [0.0] * 20
    assert decide([easy, hard], most=1.0, level=LEVEL).verdict == "undecided"
    assert decide([easy, easy], most=1.0, level=LEVEL).decided_after == 8
    both = decide([[-1.0] * 20, hard], most=1.0, level=LEVEL)
    assert both.verdict == "shown worse"
    assert both.decided_after == 9  # half of its capital was staked on nothing: (1.75 ** 8 + 1) / 2 > 40


def test_a_larger_cluster_than_planned_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 2"):
        decide([3.0], most=2, level=LEVEL)


def test_nothing_complete_decides_nothing() -> None:
    empty = decide([], most=1.0, level=LEVEL)
    assert (empty.verdict, empty.better.e_value, empty.better.greatest) == ("undecided", 1.0, 1.0)
    nothing = confidence_sequence([], [], most=1, level=LEVEL)
    assert (nothing.value, nothing.reason) == (None, "no complete cluster has votes that count")


def test_a_prefix_ends_before_the_first_incomplete_cluster() -> None:
    turn, done = [2, 0, 1, 1, 0, 3], [True, True, True, False, True, True]
    assert complete_prefix(turn, done).tolist() == [False, True, False, False, True, False]
    assert complete_prefix(turn, [True] * 6).all()
    assert not complete_prefix(turn, [False] * 6).any()


def test_sums_come_in_the_drawn_order() -> None:
    assert by_turn([3, 1, 3, 0], [1.0, 2.0, 4.0, 8.0]).tolist() == [8.0, 2.0, 5.0]


def test_the_sequence_of_equal_clusters_is_that_of_single_comparisons() -> None:
    credit = np.array([1.0, 0.0, 1.0, 1.0] * 10)
    alone = confidence_sequence(credit, np.ones(40, dtype=int), most=1, level=LEVEL)
    pairs = confidence_sequence(2 * credit, np.full(40, 2), most=2, level=LEVEL)
    assert (pairs.low, pairs.high) == (alone.low, alone.high)
    assert pairs.n == 2 * alone.n


def test_a_sequence_mirrors_and_is_wider_than_a_single_look() -> None:
    credit = np.array([1.0, 1.0, 0.0, 1.0, 1.0] * 20)
    ones = np.ones(100, dtype=int)
    found, mirrored = (confidence_sequence(c, ones, most=1, level=LEVEL) for c in (credit, 1 - credit))
    assert found.low == pytest.approx(1 - (mirrored.high or 0))
    single = wilson(80, 100)
    assert (found.low or 0) < (single.low or 0) < (single.high or 1) < (found.high or 1)


@pytest.mark.parametrize("sums", [[2.0], [-0.5]])
def test_credits_beyond_their_cluster_are_refused(sums: list[float]) -> None:
    with pytest.raises(ValueError, match="from 0 to its size"):
        confidence_sequence(sums, [1], most=1, level=LEVEL)


def test_simulated_errors_at_every_look_together() -> None:
    """1,000 null studies of 200 clusters: a false "shown" in at most .025 of them, though each cluster is looked at."""
    rng, studies = np.random.default_rng(7), 1000
    draws = rng.choice([1.0, -1.0, 0.0], p=[0.15, 0.15, 0.7], size=(studies, 200))
    verdicts = [decide(row, most=1.0, level=LEVEL).verdict for row in draws]
    error = math.sqrt(0.025 * 0.975 / studies)
    assert verdicts.count("shown") / studies <= 0.025 + 2 * error
    assert verdicts.count("shown worse") / studies <= 0.025 + 2 * error


def test_the_order_of_completion_would_deceive_and_the_drawn_order_does_not() -> None:
    """The metric is right on easy comparisons only, which are complete first; on average it equals its rival."""
    rng, studies = np.random.default_rng(3), 300
    false = {"completed": 0, "drawn": 0}
    for _ in range(studies):
        is_easy = rng.random(200) < 0.5
        gains = np.where(is_easy, 1.0, -1.0) * (rng.random(200) < 0.3)
        finished = np.argsort(np.where(is_easy, 0.0, 0.7) + rng.random(200))
        false["completed"] += decide(gains[finished], most=1.0, level=LEVEL).verdict == "shown"
        false["drawn"] += decide(gains, most=1.0, level=LEVEL).verdict == "shown"
    assert false["drawn"] / studies <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / studies)
    assert false["completed"] / studies > 0.5


def test_simulated_coverage_at_a_time_chosen_by_the_data() -> None:
    """100 studies of 10 to 100 clusters that stop as soon as their lower end exceeds .75."""
    rng, true, covered = np.random.default_rng(5), 0.85, 0
    for _ in range(100):
        credit = (rng.random(100) < true).astype(float)
        for looked in range(10, 101, 10):
            found = confidence_sequence(credit[:looked], np.ones(looked, dtype=int), most=1, level=LEVEL)
            if (found.low or 0) > 0.75:
                break
        covered += (found.low or 0) <= true <= (found.high or 0)
    assert covered / 100 >= LEVEL - 2 * math.sqrt(LEVEL * (1 - LEVEL) / 100)


def test_the_threshold_leaves_half_of_the_errors_to_each_side() -> None:
    assert threshold(0.95) == pytest.approx(40)
    assert threshold(0.9) == pytest.approx(20)
