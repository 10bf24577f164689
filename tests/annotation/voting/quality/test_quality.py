"""The quality rules: who breaks them, with what chance; disagreement breaks none."""

from itertools import groupby, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.voting.quality.broken_rules import Conduct, broken_rules, is_clear, longest_run_of, thresholds
from annotation.voting.rules import QualityRule, QualityRules

EVERY = QualityRules(
    ladder=(0.75, 0.5, 0.25),
    repeats=4,
    instructed=1,
    checks_failed=0.01,
    too_fast=0.001,
    same_side=0.001,
    repeats_contradicted=0.01,
)


def test_thresholds_by_hand() -> None:
    limits = thresholds(EVERY, 60)
    assert limits == {
        QualityRule.CHECKS_FAILED: 2,  # of 3: 3 * .05^2 * .95 + .05^3 = .00725
        QualityRule.TOO_FAST: 10,  # of 60 at .05: nine have .0028
        QualityRule.SAME_SIDE: 16,
        QualityRule.REPEATS_CONTRADICTED: 3,  # of 4: 4 * .05^3 * .95 + .05^4 = .00048; two have .014
    }
    assert thresholds(QualityRules(), 60) == {}


def test_a_run_of_ten_has_the_chance_of_the_protocol() -> None:
    rules = QualityRules(same_side=0.00196)
    assert thresholds(rules, 10)[QualityRule.SAME_SIDE] == 10
    assert thresholds(QualityRules(same_side=0.00195), 10)[QualityRule.SAME_SIDE] == 11


@given(st.integers(2, 11), st.sampled_from([0.05, 0.02, 0.01]))
def test_attentive_people_break_the_side_rule_as_seldom_as_promised(votes: int, probability: float) -> None:
    """Over all sequences of fair sides, judged after each vote."""
    limit = thresholds(QualityRules(same_side=probability), votes)[QualityRule.SAME_SIDE]
    sequences = list(product(("left", "right"), repeat=votes))
    broken = sum(any(longest_run_of(one[:n]) >= limit for n in range(votes + 1)) for one in sequences)
    assert broken / len(sequences) <= probability
    shorter = sum(longest_run_of(one) >= limit - 1 for one in sequences)
    assert shorter / len(sequences) > probability, "one less would exclude too many"


@given(st.lists(st.sampled_from(["left", "right", "tie"]), max_size=30))
def test_the_longest_run_is_that_of_the_blocks(choices: list[str]) -> None:
    blocks = [len(list(block)) for side, block in groupby(choices) if side != "tie"]
    assert longest_run_of(choices) == max(blocks, default=0)


@pytest.mark.parametrize(
    ("conduct", "rule"),
    [
        (Conduct(checks_failed=2), QualityRule.CHECKS_FAILED),
        (Conduct(fast_votes=10), QualityRule.TOO_FAST),
        (Conduct(longest_run=16), QualityRule.SAME_SIDE),
        (Conduct(repeats_contradicted=3), QualityRule.REPEATS_CONTRADICTED),
    ],
)
def test_each_rule_breaks_at_its_threshold_and_alone(conduct: Conduct, rule: QualityRule) -> None:
    assert broken_rules(conduct, thresholds(EVERY, 60)) == (rule,)
    assert broken_rules(conduct, {}) == (), "a study without rules excludes nobody"


def test_nothing_breaks_below_the_thresholds() -> None:
    almost = Conduct(checks_failed=1, fast_votes=9, longest_run=15, repeats_contradicted=2)
    assert broken_rules(almost, thresholds(EVERY, 60)) == ()


def test_only_rungs_from_one_half_on_count() -> None:
    assert EVERY.decisive_count == 3
    assert QualityRules(ladder=(0.75, 0.5, 0.49, 0.1)).decisive_count == 2


def test_clear_is_what_coins_seldom_do() -> None:
    assert [is_clear(votes) for votes in ((3, 0), (0, 3), (2, 0), (4, 1), (5, 1), (0, 0), (3, 3))] == [
        True, True, False, False, True, False, False,
    ]  # fmt: skip
