import itertools

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from scoring.statistics.agreement.metric_pairs import compare_metrics
from scoring.statistics.inference.estimate import holm
from scoring.statistics.inference.intervals import Resampling
from tests.scoring.statistics.reading import bounds, p_value, value

MANY = Resampling(resamples=3000, seed=1)


def metrics_of(seed: int, *accuracies: float, n: int = 80) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    people = np.where(rng.random(n) < 0.5, 1, -1)
    return people, {
        f"metric {number}": np.where(rng.random(n) < accuracy, people, -people)
        for number, accuracy in enumerate(accuracies)
    }


def test_every_pair_once_with_its_difference_and_test() -> None:
    people, metrics = metrics_of(1, 0.9, 0.8, 0.6)
    pairs = compare_metrics(people, metrics, resampling=MANY)
    assert [(pair.first, pair.second) for pair in pairs] == list(itertools.combinations(metrics, 2))
    for pair in pairs:
        first, second = metrics[pair.first] == people, metrics[pair.second] == people
        assert value(pair.difference) == pytest.approx(first.mean() - second.mean())
        table = [[np.sum((first == x) & (second == y)) for y in (True, False)] for x in (True, False)]
        assert p_value(pair.mcnemar) == pytest.approx(mcnemar(table, exact=True).pvalue)
        assert p_value(pair.permutation) == pytest.approx(p_value(pair.mcnemar), abs=0.03)  # no clusters: the same test


def test_clusters_are_exchanged_as_one() -> None:
    people = np.ones(12)
    metrics = {"right": np.ones(12), "wrong": -np.ones(12)}
    alone, together = (
        compare_metrics(people, metrics, clusters=labels, resampling=MANY)[0] for labels in (None, np.arange(12) // 4)
    )
    assert p_value(alone.permutation) < 0.01
    assert p_value(together.permutation) == pytest.approx(2 / 2**3, abs=0.03)


def test_the_smallest_p_value_counts_what_was_observed() -> None:
    (pair,) = compare_metrics(np.ones(40), {"right": np.ones(40), "wrong": -np.ones(40)}, resampling=MANY)
    assert pair.permutation.p_value == 1 / 3001


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_holm_equals_statsmodels(count: int) -> None:
    p_values = np.random.default_rng(count).beta(0.3, 2, count)
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_a_test_that_does_not_exist_is_not_corrected_for() -> None:
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04]
    people, metrics = metrics_of(2, 0.9, 0.6)
    metrics["copy"] = metrics["metric 0"]
    result = {(pair.first, pair.second): pair for pair in compare_metrics(people, metrics, resampling=MANY)}
    copies = result[("metric 0", "copy")]
    assert copies.permutation.reason == copies.mcnemar.reason == "they never differ"
    assert (copies.adjusted, copies.difference.value) == (None, 0)
    other = result[("metric 0", "metric 1")]
    assert other.adjusted == pytest.approx(min(1, 2 * p_value(other.permutation)))


def test_equivalence_needs_the_narrower_interval_inside_the_margin() -> None:
    people, metrics = metrics_of(3, 0.8, 0.8, n=400)
    (pair,) = compare_metrics(people, metrics, resampling=MANY)
    assert pair.is_equivalent is None
    (narrow,) = compare_metrics(people, metrics, resampling=Resampling(level=0.9, resamples=3000, seed=1))
    reach = max(map(abs, bounds(narrow.difference)))
    for margin, is_equivalent in ((reach * 1.01, True), (reach * 0.99, False)):
        (judged,) = compare_metrics(people, metrics, resampling=MANY, margin=margin)
        assert judged.is_equivalent is is_equivalent
    with pytest.raises(ValueError, match="positive"):
        compare_metrics(people, metrics, resampling=MANY, margin=0)


def test_copies_have_no_interval_to_judge_equivalence_by() -> None:
    people, metrics = metrics_of(4, 0.8)
    (pair,) = compare_metrics(people, {**metrics, "copy": metrics["metric 0"]}, resampling=MANY, margin=0.1)
    assert (pair.difference.reason, pair.is_equivalent) == ("all resamples equal", None)


def test_no_comparison_and_one_metric() -> None:
    (pair,) = compare_metrics([], {"one": [], "two": []}, resampling=MANY, margin=0.1)
    assert (pair.difference.reason, pair.permutation.reason, pair.adjusted) == ("no comparison", "no comparison", None)
    assert compare_metrics([1], {"one": [1]}, resampling=MANY) == ()
