from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.statistics.agreement.agreement import agreement, metric_winners
from scoring.statistics.agreement.folds import cluster_folds
from scoring.statistics.agreement.tie_threshold import accuracy_with_ties, calibrate_ties

PEOPLE, MARGINS = [0, 0, -1, 0, -1, -1], [2, 6, -8, 4, -6, -2]
studies = st.lists(st.tuples(st.sampled_from((1, -1, 0)), st.integers(-6, 6)), min_size=1, max_size=25)


def best_of(people: Any, margins: Any) -> float:
    candidates = sorted({0.0, *(float(abs(margin)) for margin in margins)})
    accuracy = [accuracy_with_ties(people, margins, threshold=threshold) or 0 for threshold in candidates]
    return candidates[int(np.argmax(accuracy))]


@pytest.mark.parametrize(("threshold", "right"), [(0, 3), (2, 3), (4, 4), (6, 4), (8, 3)])
def test_published_accuracies(threshold: float, right: int) -> None:
    assert accuracy_with_ties(PEOPLE, MARGINS, threshold=threshold) == pytest.approx(right / 6)


def test_the_smallest_of_the_best_is_taken() -> None:
    result = calibrate_ties(PEOPLE, MARGINS, seed=1)
    assert (result.threshold, result.in_sample) == pytest.approx((4, 4 / 6))


@settings(max_examples=80)
@given(studies)
def test_equals_trying_every_threshold_on_every_fold(rows: Any) -> None:
    people, margins = np.array(rows).T
    labels = np.arange(len(rows)) // 2
    result = calibrate_ties(people, margins, clusters=labels, seed=3)
    assert result.threshold == best_of(people, margins)
    folds = cluster_folds(len(rows), clusters=labels, seed=3)
    if len(set(folds)) > 1:
        right = 0.0
        for fold in set(folds):
            held = folds == fold
            threshold = best_of(people[~held], margins[~held])
            right += (accuracy_with_ties(people[held], margins[held], threshold=threshold) or 0) * held.sum()
        assert result.held_out.value == pytest.approx(right / len(rows))
    else:
        assert result.held_out.reason == "one cluster of comparisons cannot be held out"


@given(studies)
def test_renaming_the_models_changes_nothing(rows: Any) -> None:
    people, margins = np.array(rows).T
    assert calibrate_ties(-people, -margins, seed=1) == calibrate_ties(people, margins, seed=1)


@given(studies)
def test_without_human_ties_it_is_the_strict_agreement(rows: Any) -> None:
    people, margins = np.array(rows).T
    people = np.where(people == 0, 1, people)
    result = calibrate_ties(people, margins, seed=1)
    strict = agreement(people, metric_winners(margins))
    assert (result.threshold, result.in_sample) == pytest.approx((0, strict.value))
    assert "no comparison tied" in result.note
    if len(rows) > 1:
        assert result.held_out == strict


def test_margins_from_rounding_are_ties_at_zero() -> None:
    assert accuracy_with_ties([0, 1], [1e-10, 2], threshold=0) == 1
    assert calibrate_ties([0, 1, 0], [1e-10, 2, -1e-12], seed=1).threshold == 0


def test_no_comparison() -> None:
    result = calibrate_ties([], [], seed=1)
    assert (result.threshold, result.in_sample, result.held_out.reason) == (None, None, "no comparison")
    assert accuracy_with_ties([], [], threshold=1) is None
