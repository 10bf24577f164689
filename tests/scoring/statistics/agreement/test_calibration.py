import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from scoring.statistics.agreement.calibration import agreement_by_margin, brier, calibration, margin_auc
from scoring.statistics.agreement.folds import cluster_folds
from scoring.statistics.agreement.logistic import fit_logistic
from scoring.statistics.inference.intervals import Resampling
from tests.scoring.statistics.reading import bounds, value

FEW = Resampling(resamples=200, seed=1)
COUNTS = [(a, 5 - a, 0) for a in (0, 2, 2, 4, 5)]
MARGINS = [-2, -1, 0, 1, 2]


def test_published_calibration() -> None:
    result = calibration(COUNTS, MARGINS, resampling=FEW)
    assert value(result.intercept) == pytest.approx(0.1515, abs=5e-5)
    assert value(result.slope) == pytest.approx(1.4399, abs=5e-5)
    assert result.reference == pytest.approx(0.2496, abs=5e-5)
    reach = stats.norm.ppf(0.975) * 0.3224
    assert bounds(result.slope) == pytest.approx((1.4399 - reach, 1.4399 + reach), abs=2e-4)
    assert result.slope.method == "Wald, clustered HC0"


def test_published_brier_scores() -> None:
    assert brier([0.6, 0.7, 0.8, 0.9], [1, 0, 1, 1], [1, 1, 1, 1]) == pytest.approx(0.175)
    won = [0, 2, 2, 4, 5]
    assert brier(fit_logistic(MARGINS, won, [5] * 5).predict(MARGINS), won, [5] * 5) == pytest.approx(0.1399, abs=5e-5)


def test_published_area() -> None:
    assert value(margin_auc([0.1, -0.2, 0.5, -0.9], [0, 1, 0, 1], resampling=FEW)) == 0.75


def study(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    margins, labels = rng.normal(0, 4, n), rng.integers(0, 25, n)
    a = rng.binomial(5, expit(margins / 2))
    return np.column_stack([a, 5 - a, rng.integers(0, 2, n)]), margins, labels


def test_the_brier_score_is_cross_fitted_by_cluster() -> None:
    counts, margins, labels = study(1)
    folds = cluster_folds(60, clusters=labels, seed=FEW.seed)
    errors = []
    for held in range(60):
        rest = folds != folds[held]
        chance = fit_logistic(margins[rest], counts[rest, 0], counts[rest, :2].sum(axis=1)).predict(margins[held])
        errors += [(1 - chance) ** 2] * counts[held, 0] + [chance**2] * counts[held, 1]
    result = calibration(counts, margins, clusters=labels, resampling=FEW)
    assert result.brier == pytest.approx(np.mean(errors))
    assert result.reference is not None
    assert result.brier is not None
    assert result.brier < result.reference


def test_comparisons_without_decided_votes_say_nothing() -> None:
    counts, margins, labels = study(2)
    as_is = calibration(counts, margins, clusters=labels, resampling=FEW)
    more = calibration([*counts, (0, 0, 0), (0, 0, 4)], [*margins, 9, 9], clusters=[*labels, 90, 91], resampling=FEW)
    assert more == as_is


def test_renaming_the_models_turns_the_intercept() -> None:
    counts, margins, labels = study(3)
    there = calibration(counts, margins, clusters=labels, resampling=FEW)
    back = calibration(counts[:, [1, 0, 2]], -margins, clusters=labels, resampling=FEW)
    assert value(back.slope) == pytest.approx(value(there.slope))
    assert value(back.intercept) == pytest.approx(-value(there.intercept))
    assert back.brier == pytest.approx(there.brier)


def test_separated_votes_are_penalised_and_say_so() -> None:
    result = calibration([(0, 3, 0), (0, 3, 0), (3, 0, 0), (3, 0, 0)], [-2, -1, 1, 2], resampling=FEW)
    assert result.is_penalised
    assert result.slope.method == "Wald, Firth's penalised likelihood"
    assert result.brier is not None


def test_errors_that_vanish_make_no_interval() -> None:
    result = calibration([(1, 1, 0), (0, 3, 0), (1, 0, 0)], [0, 1, 1], resampling=FEW)
    assert value(result.intercept) == pytest.approx(0)
    assert (result.intercept.low, result.intercept.high) == (None, None)
    assert result.intercept.reason == "the clustered errors vanish: the fit leaves no residuals"
    low, high = bounds(result.slope)
    assert low < value(result.slope) < high


@pytest.mark.parametrize(
    ("counts", "margins", "reason"),
    [
        ([], [], "no votes for either model"),
        ([(0, 0, 3)], [1], "no votes for either model"),
        ([(3, 0, 0), (2, 0, 1)], [1, 2], "all votes are equal"),
        ([(3, 1, 0), (2, 2, 1)], [1, 1], "all margins are equal"),
        ([(3, 1, 0)], [1], "all margins are equal"),
    ],
)
def test_undefined_says_why(counts: Any, margins: Any, reason: str) -> None:
    result = calibration(counts, margins, resampling=FEW)
    assert result.slope.reason == result.intercept.reason == result.reason == reason
    assert (result.slope.value, result.brier, result.reference) == (None, None, None)


def test_a_fold_may_leave_nothing_to_fit() -> None:
    result = calibration([(3, 1, 0), (1, 2, 0)], [1, 2], resampling=FEW)
    assert result.slope.value is not None
    assert (result.brier, result.reason) == (None, "a fold leaves margins of one size only to fit")


def test_two_sizes_of_margin_are_enough_for_a_fold() -> None:
    result = calibration([(3, 1, 0), (2, 1, 0), (1, 2, 0), (1, 3, 0)], [2, 2, 1, 1], resampling=FEW)
    assert result.brier is not None
    assert result.reason == ""


def test_bins_hold_every_comparison_once_and_equal_sizes_together() -> None:
    counts, margins, _ = study(4, n=53)
    margins[:20] = np.sign(margins[:20]) * 1.5
    bins = agreement_by_margin(counts, margins)
    assert sum(one.agreement.n for one in bins) == 53
    assert len(bins) <= 5
    assert all(before.high < after.low for before, after in itertools.pairwise(bins))
    for one in bins:
        inside = (np.abs(margins) >= one.low) & (np.abs(margins) <= one.high)
        right = np.sign(counts[inside, 0] - counts[inside, 1]) == np.sign(margins[inside])
        assert one.agreement.value == pytest.approx(right.mean())


def test_bins_of_few_comparisons() -> None:
    assert agreement_by_margin([], []) == ()
    (only,) = agreement_by_margin([(2, 1, 0)] * 3, [4, -4, 4])
    assert (only.low, only.high, only.agreement.n, only.agreement.value) == pytest.approx((4, 4, 3, 2 / 3))


@pytest.mark.parametrize("seed", range(5))
def test_the_area_equals_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    margins, is_right = rng.integers(-5, 6, 40), rng.random(40) < 0.6
    result = margin_auc(margins, is_right, resampling=FEW)
    assert value(result) == pytest.approx(roc_auc_score(is_right, np.abs(margins)))
    drawn = np.random.default_rng(FEW.seed).integers(0, 40, size=(FEW.resamples, 40))
    anew = [roc_auc_score(is_right[row], np.abs(margins[row])) for row in drawn]
    assert bounds(result) == pytest.approx(np.quantile(anew, [0.025, 0.975]))


@pytest.mark.parametrize(
    ("is_right", "reason"), [([], "no comparison"), ([1, 1], "on every comparison"), ([0, 0], "on no comparison")]
)
def test_an_area_needs_both(is_right: Any, reason: str) -> None:
    assert reason in margin_auc([1, 2][: len(is_right)], is_right, resampling=FEW).reason
