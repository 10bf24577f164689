from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from jobs.wording import counted
from scoring.statistics.people.alternative_annotator import Outcome, alternative_annotator_test
from scoring.statistics.votes.votes import Votes
from tests.scoring.statistics.reading import votes_of_rows

ROWS = ["00000", "00001", "00011", "11110"] * 10  # the published rows, with 0 for A
METRIC = [1, 1, 1, -1] * 10


def outcome_of(outcomes: tuple[Outcome, ...], contestant: str, tolerance: float) -> Outcome:
    return next(o for o in outcomes if (o.contestant, o.tolerance) == (contestant, tolerance))


def test_published_rows() -> None:
    outcomes = alternative_annotator_test(votes_of_rows(ROWS), METRIC, tolerance=0.1, seed=1)
    at_tenth, at_zero = (outcome_of(outcomes, "metric", tolerance) for tolerance in (0.1, 0.0))
    assert (at_tenth.advantage, at_tenth.winning_rate) == (1.0, 1.0)
    assert (at_zero.advantage, at_zero.winning_rate) == (1.0, 0.4)


def random_study(seed: int) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    right = rng.random((60, 6)) < [0.9, 0.8, 0.7, 0.8, 0.6, 0.9]
    missing = rng.random((60, 6)) < 0.2
    tie = rng.random((60, 6)) < 0.1
    choice = np.where(tie, "2", np.where(right, "0", "1"))
    return ["".join(row) for row in np.where(missing, ".", choice)], np.where(rng.random(60) < 0.8, 1, -1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equals_the_definition(seed: int) -> None:
    rows, metric = random_study(seed)
    outcomes = alternative_annotator_test(votes_of_rows(rows), metric, tolerance=0.15, seed=1)
    result = outcome_of(outcomes, "metric", 0.15)
    p_values, advantages = [], []
    for j in range(6):
        wins_f, wins_h = [], []
        for row, winner in zip(rows, metric, strict=True):
            others = [vote for k, vote in enumerate(row) if k != j and vote != "."]
            if row[j] == "." or not others:
                continue
            near_f = np.mean([vote == {1: "0", -1: "1"}[winner] for vote in others])
            near_h = np.mean([vote == row[j] for vote in others])
            wins_f.append(float(near_f >= near_h))
            wins_h.append(float(near_h >= near_f))
        advantages.append(np.mean(wins_f))
        p_values.append(stats.ttest_1samp(np.subtract(wins_h, wins_f), 0.15, alternative="less").pvalue)
    assert [one.p_value for one in result.annotators] == pytest.approx(p_values)
    assert [one.advantage for one in result.annotators] == pytest.approx(advantages)
    assert result.advantage == pytest.approx(np.mean(advantages))
    rejected = multipletests(p_values, alpha=0.05, method="fdr_by")[0]
    assert [one.is_replaceable for one in result.annotators] == rejected.tolist()
    assert result.winning_rate == pytest.approx(rejected.mean())


def test_always_naming_the_frequent_model_passes_where_it_is_frequent_enough() -> None:
    rng = np.random.default_rng(5)
    rows = ["".join(row) for row in np.where(rng.random((100, 5)) < 0.95, "0", "1")]
    outcomes = alternative_annotator_test(votes_of_rows(rows), np.ones(100), tolerance=0.1, seed=1)
    assert outcome_of(outcomes, "always A", 0.1).winning_rate == 1
    assert outcome_of(outcomes, "always B", 0.1).winning_rate == 0
    assert outcome_of(outcomes, "random", 0.1).winning_rate == 0
    metric, always_a = (outcome_of(outcomes, name, 0.1) for name in ("metric", "always A"))
    assert metric.annotators == always_a.annotators


def test_constant_differences_have_no_t() -> None:
    rows = ["0001"] * 30
    outcomes = alternative_annotator_test(votes_of_rows(rows), np.ones(30), tolerance=0.1, seed=1)
    at_zero = outcome_of(outcomes, "metric", 0.0)
    assert [(one.p_value, one.is_constant) for one in at_zero.annotators] == [(1, True)] * 3 + [(0, True)]
    assert [one.p_value for one in outcome_of(outcomes, "metric", 0.1).annotators] == [0, 0, 0, 0]


def test_renaming_the_models_and_the_annotators_changes_nothing_but_names() -> None:
    rows, metric = random_study(4)
    as_is = alternative_annotator_test(votes_of_rows(rows), metric, tolerance=0.1, seed=1)
    renamed_rows = [row[::-1].translate(str.maketrans("01", "10")) for row in rows]
    renamed = alternative_annotator_test(votes_of_rows(renamed_rows), -metric, tolerance=0.1, seed=1)
    for name, other in (("metric", "metric"), ("always A", "always B")):
        before, after = outcome_of(as_is, name, 0.1), outcome_of(renamed, other, 0.1)
        assert after.winning_rate == before.winning_rate
        assert [one.p_value for one in after.annotators] == pytest.approx(
            [one.p_value for one in before.annotators][::-1]
        )


def test_tolerance_zero_is_not_given_twice() -> None:
    outcomes = alternative_annotator_test(votes_of_rows(ROWS), METRIC, tolerance=0.0, seed=1)
    assert len(outcomes) == 4


@pytest.mark.parametrize(
    ("rows", "eligible"),
    [([], 0), (["0"] * 40, 0), (["01"] * 40, 2), (["010"] * 29, 0), (["010"] * 29 + ["01."], 2)],
)
def test_too_few_annotators_are_not_eligible(rows: list[str], eligible: int) -> None:
    for outcome in alternative_annotator_test(votes_of_rows(rows), np.ones(len(rows)), tolerance=0.1, seed=1):
        assert (outcome.winning_rate, outcome.advantage, outcome.annotators) == (None, None, ())
        assert outcome.reason.startswith(f"not eligible: {counted(eligible, 'annotator')} with 30 comparisons")


def test_votes_that_nobody_shares_do_not_count() -> None:
    alone: Any = votes_of_rows(ROWS)
    more = Votes.of([*alone.comparison, 40, 41], [*alone.annotator, 0, 1], [*alone.choice, 1, 1])
    as_is = alternative_annotator_test(alone, METRIC, tolerance=0.1, seed=1)[0]
    assert alternative_annotator_test(more, [*METRIC, 1, 1], tolerance=0.1, seed=1)[0] == as_is
