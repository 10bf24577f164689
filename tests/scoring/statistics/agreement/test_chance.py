from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, matthews_corrcoef
from statsmodels.stats.contingency_tables import mcnemar

from scoring.statistics.agreement.chance import against_one_half, chance_corrected, fisher_exact
from scoring.statistics.agreement.constant_choice import baseline
from scoring.statistics.inference.intervals import Resampling
from tests.scoring.statistics.reading import bounds, p_value

FEW = Resampling(resamples=300, seed=1)
PAPER = [[88, 2], [4, 6]]
cells = st.integers(0, 12)
tables = st.tuples(st.tuples(cells, cells), st.tuples(cells, cells))


def from_table(table: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows people, columns metric, in the order A, B and, if there are three, tie."""
    signs = np.array([1, -1, 0])[: len(table)]
    counts = np.ravel(table)
    return np.repeat(np.repeat(signs, len(table)), counts), np.repeat(np.tile(signs, len(table)), counts)


def test_the_published_table() -> None:
    people, metric = from_table(PAPER)
    pick = baseline(people, metric)
    assert (pick.models, pick.agreement.value, pick.is_beaten) == (("A",), 0.90, False)
    assert (pick.mcnemar.statistic, pick.mcnemar.n) == (6, 8)
    assert pick.mcnemar.p_value == pytest.approx(0.2891, abs=5e-5)
    assert fisher_exact(people, metric).p_value == pytest.approx(4.578e-6, abs=5e-10)
    beyond = chance_corrected(people, metric, resampling=FEW)
    assert beyond.kappa.value == pytest.approx(0.6341, abs=5e-5)
    assert beyond.matthews.value == pytest.approx(0.6389, abs=5e-5)
    assert beyond.balanced_accuracy.value == pytest.approx(0.7889, abs=5e-5)


def test_rows_are_people_not_the_metric() -> None:
    metric, people = from_table(PAPER)
    assert baseline(people, metric).agreement.value == 0.92
    turned = chance_corrected(people, metric, resampling=FEW)
    assert turned.balanced_accuracy.value == pytest.approx(0.8533, abs=5e-5)


def test_cohens_example() -> None:
    kappa = chance_corrected(*from_table([[20, 5], [10, 15]]), resampling=FEW).kappa
    assert kappa.value == pytest.approx(0.40)
    low, high = bounds(kappa)
    assert low < 0.40 < high
    assert kappa.n == 50


@settings(max_examples=40)
@given(tables.filter(lambda table: np.all(np.sum(table, axis=0)) and np.all(np.sum(table, axis=1))))
def test_decided_pairs_equal_scikit_learn_and_scipy(table: Any) -> None:
    people, metric = from_table(table)
    beyond = chance_corrected(people, metric, resampling=Resampling(resamples=2))
    assert beyond.kappa.value == pytest.approx(cohen_kappa_score(people, metric))
    assert beyond.matthews.value == pytest.approx(matthews_corrcoef(people, metric))
    assert beyond.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(people, metric))
    assert fisher_exact(people, metric).p_value == pytest.approx(stats.fisher_exact(np.array(table)).pvalue)


@settings(max_examples=40)
@given(st.lists(st.tuples(*[st.sampled_from((1, -1, 0))] * 2), min_size=2, max_size=30))
def test_kappa_with_ties_equals_scikit_learn(pairs: Any) -> None:
    people, metric = np.array(pairs).T
    kappa = chance_corrected(people, metric, resampling=Resampling(resamples=2)).kappa_with_ties
    if len(np.unique(np.append(people, metric))) == 1:
        assert kappa.reason == "people and metric always say the same one thing"
    else:
        assert kappa.value == pytest.approx(cohen_kappa_score(people, metric, labels=[1, -1, 0]))


def test_decided_pairs_leave_ties_out() -> None:
    table = [[88, 2, 3], [4, 6, 1], [2, 2, 5]]
    with_ties, without = (chance_corrected(*from_table(t), resampling=FEW) for t in (table, PAPER))
    assert with_ties.kappa.value == without.kappa.value
    assert with_ties.matthews.n == 100
    assert with_ties.kappa_with_ties.n == 113
    assert against_one_half(*from_table(table)) == against_one_half(*from_table(PAPER))
    assert fisher_exact(*from_table(table)) == fisher_exact(*from_table(PAPER))


@pytest.mark.parametrize(
    ("table", "kappa", "matthews", "balanced"),
    [
        ([[9, 0], [0, 0]], "always say the same", "people and metric always name one", "people and metric"),
        ([[9, 3], [0, 0]], 0.0, "people always name one model", "people always name one model"),
        ([[9, 0], [3, 0]], 0.0, "metric always names one model", 0.5),
        (
            [[0, 0], [0, 0]],
            "no comparison that both decide",
            "no comparison that both decide",
            "no comparison that both decide",
        ),
    ],
)
def test_undefined_says_why(table: Any, kappa: Any, matthews: Any, balanced: Any) -> None:
    beyond = chance_corrected(*from_table(table), resampling=FEW)
    for estimate, expected in (
        (beyond.kappa, kappa),
        (beyond.matthews, matthews),
        (beyond.balanced_accuracy, balanced),
    ):
        if isinstance(expected, str):
            assert estimate.value is None
            assert expected in estimate.reason
        else:
            assert estimate.value == expected


def test_fisher_and_the_coin_without_information() -> None:
    assert fisher_exact([1, 1], [1, -1]).reason == "people always name one model"
    assert fisher_exact([], []).reason == "no comparison that both decide"
    assert against_one_half([0], [1]).reason == "no comparison that both decide"


def test_an_infinite_odds_ratio_is_no_number() -> None:
    test = fisher_exact(*from_table([[8, 0], [2, 6]]))
    assert test.statistic is None
    assert test.p_value == pytest.approx(stats.fisher_exact(np.array([[8, 0], [2, 6]])).pvalue)
    assert "infinite" in test.reason


def test_the_coin_equals_scipy() -> None:
    test = against_one_half(*from_table(PAPER))
    assert (test.statistic, test.n) == (94, 100)
    assert test.p_value == pytest.approx(stats.binomtest(94, 100).pvalue)


@settings(max_examples=40)
@given(tables.filter(lambda table: np.sum(table) > 0))
def test_the_baseline_test_equals_statsmodels(table: Any) -> None:
    people, metric = from_table(table)
    pick = baseline(people, metric)
    if len(pick.models) == 1:
        is_pick_right, is_metric_right = people == {"A": 1, "B": -1}[pick.models[0]], people == metric
        crossed = [
            [np.sum((is_metric_right == x) & (is_pick_right == y)) for y in (True, False)] for x in (True, False)
        ]
        if pick.mcnemar.n:
            assert pick.mcnemar.p_value == pytest.approx(mcnemar(crossed, exact=True).pvalue)
        else:
            assert pick.mcnemar.reason == "they never differ"


@settings(max_examples=40)
@given(tables)
def test_renaming_the_models_renames_the_baseline_only(table: Any) -> None:
    people, metric = from_table(table)
    as_is, renamed = baseline(people, metric), baseline(-people, -metric)
    assert set(renamed.models) == {{"A": "B", "B": "A"}[name] for name in as_is.models}
    assert (renamed.agreement, renamed.mcnemar, renamed.is_beaten) == (as_is.agreement, as_is.mcnemar, as_is.is_beaten)


def test_a_metric_that_always_names_the_winner_is_no_better_than_the_baseline() -> None:
    people = np.where(np.arange(100) < 90, 1, -1)
    pick = baseline(people, np.ones(100))
    assert (pick.mcnemar.reason, pick.is_beaten) == ("they never differ", False)


def test_a_perfect_metric_beats_the_baseline_and_an_inverted_one_does_not() -> None:
    people = np.where(np.arange(100) < 60, 1, -1)
    assert baseline(people, people).is_beaten
    inverted = baseline(people, -people)
    assert p_value(inverted.mcnemar) < 0.05
    assert not inverted.is_beaten


def test_between_two_equal_baselines_the_harder_counts() -> None:
    people, metric = from_table([[10, 0], [4, 6]])
    pick = baseline(people, metric)
    assert pick.models == ("A", "B")
    assert (pick.mcnemar.statistic, pick.mcnemar.n) == (10, 14)  # against B; against A it is 6 to 0


@pytest.mark.parametrize(("ties", "reached", "n"), [("strict", 6 / 12, 12), ("half", 7 / 12, 12), ("dropped", 0.6, 10)])
def test_the_baseline_is_judged_as_the_metric_is(ties: Any, reached: Any, n: Any) -> None:
    people, metric = from_table([[5, 1, 0], [1, 3, 0], [1, 1, 0]])
    pick = baseline(people, metric, ties=ties).agreement
    assert (pick.value, pick.n) == pytest.approx((reached, n))


def test_no_comparison() -> None:
    pick = baseline([], [])
    assert (pick.agreement.reason, pick.mcnemar.p_value, pick.is_beaten) == ("no comparison", None, False)
