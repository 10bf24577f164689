"""Pooled proportions against a published fit, another library, and simulated coverage."""

import math

import numpy as np
import pytest
from scipy.special import expit
from statsmodels.stats.meta_analysis import combine_effects

from scoring.statistics.studies.pooling import between_studies, pooled_proportion, random_effects_mean

# Colditz et al. (1994), thirteen trials of the BCG vaccine: cases and others, vaccinated and not.
TRIALS = np.array(
    [
        [4, 119, 11, 128],
        [6, 300, 29, 274],
        [3, 228, 11, 209],
        [62, 13536, 248, 12619],
        [33, 5036, 47, 5761],
        [180, 1361, 372, 1079],
        [8, 2537, 10, 619],
        [505, 87886, 499, 87892],
        [29, 7470, 45, 7232],
        [17, 1699, 65, 1600],
        [186, 50448, 141, 27197],
        [5, 2493, 3, 2338],
        [27, 16886, 29, 17825],
    ],
    dtype=np.float64,
)
VACCINATED, OTHERS = TRIALS[:, :2].sum(axis=1), TRIALS[:, 2:].sum(axis=1)
LOG_RISK_RATIOS = np.log(TRIALS[:, 0] / VACCINATED) - np.log(TRIALS[:, 2] / OTHERS)
VARIANCES = 1 / TRIALS[:, 0] - 1 / VACCINATED + 1 / TRIALS[:, 2] - 1 / OTHERS


def test_the_published_fit_of_the_vaccine_trials() -> None:
    """Viechtbauer (2010), "Conducting meta-analyses in R with the metafor package": REML, without and with the
    adjustment of Knapp and Hartung."""
    squared = between_studies(LOG_RISK_RATIOS, VARIANCES)
    mean, error, weights = random_effects_mean(LOG_RISK_RATIOS, VARIANCES, squared)
    assert squared == pytest.approx(0.3132, abs=5e-5)
    assert mean == pytest.approx(-0.7145, abs=5e-5)
    assert 1 / math.sqrt(weights.sum()) == pytest.approx(0.1798, abs=5e-5)
    assert error == pytest.approx(0.1808, abs=1e-4)


def test_mean_and_error_are_those_of_statsmodels_at_its_own_variance() -> None:
    other = combine_effects(LOG_RISK_RATIOS, VARIANCES, method_re="iterated", use_t=True)
    mean, error, _ = random_effects_mean(LOG_RISK_RATIOS, VARIANCES, float(other.tau2))
    assert mean == pytest.approx(other.mean_effect_re, rel=1e-9)
    assert error == pytest.approx(other.sd_eff_w_re_hksj, rel=1e-9)


def test_equal_studies_differ_by_nothing() -> None:
    pooled = pooled_proportion([90.0] * 5, [100.0] * 5)
    assert pooled.tau == 0.0
    assert pooled.mean.value == pytest.approx(0.9)
    reach = 1.959964 / math.sqrt(5 / (1 / 90 + 1 / 10))  # of the normal interval: theirs would have no width
    assert pooled.mean.low == pytest.approx(expit(math.log(9) - reach))
    assert (pooled.prediction.low, pooled.prediction.high) == (pooled.mean.low, pooled.mean.high)
    assert pooled.shares == pytest.approx((0.2,) * 5)


def test_the_order_of_the_studies_does_not_matter() -> None:
    won, sizes = np.array([40.0, 95.5, 180.0, 28.0, 60.0]), np.array([50.0, 100.0, 200.0, 30.0, 80.0])
    one, other = pooled_proportion(won, sizes), pooled_proportion(won[::-1], sizes[::-1])
    assert one.mean.low == pytest.approx(other.mean.low)
    assert one.prediction.high == pytest.approx(other.prediction.high)
    assert one.shares == pytest.approx(other.shares[::-1])


def test_a_study_without_a_failure_is_kept() -> None:
    pooled = pooled_proportion([50.0, 45.0, 90.0], [50.0, 50.0, 100.0])
    assert pooled.mean.value is not None
    assert 0.9 < pooled.mean.value < 0.97


def test_too_few_studies() -> None:
    two = pooled_proportion([45.0, 90.0], [50.0, 100.0])
    assert (two.mean.value, two.mean.reason) == (None, "2 independent studies, at least 3 are needed")
    four = pooled_proportion([45.0, 90.0, 60.0, 70.0], [50.0, 100.0, 80.0, 90.0])
    assert four.mean.low is not None
    assert (four.prediction.low, four.prediction.reason) == (None, "4 independent studies, at least 5 are needed")


@pytest.mark.parametrize(("won", "sizes"), [([5.0], [4.0]), ([-1.0], [4.0]), ([0.0], [0.0])])
def test_impossible_studies_are_refused(won: list[float], sizes: list[float]) -> None:
    with pytest.raises(ValueError, match="a positive size and successes from 0 to its size"):
        pooled_proportion(won, sizes)


@pytest.mark.parametrize("tau", [0.0, 0.5])
def test_simulated_coverage(tau: float) -> None:
    """60 pools of six studies of 30 to 300 comparisons, whose true agreements vary around 88 % on the logit scale."""
    rng, pools, covered, predicted = np.random.default_rng(11), 60, 0, 0
    for _ in range(pools):
        sizes = rng.integers(30, 300, 6)
        found = pooled_proportion(rng.binomial(sizes, expit(2 + tau * rng.standard_normal(6))), sizes)
        further = expit(2 + tau * rng.standard_normal())
        covered += bool((found.mean.low or 0) <= expit(2.0) <= (found.mean.high or 1))
        predicted += bool((found.prediction.low or 0) <= further <= (found.prediction.high or 1))
    error = math.sqrt(0.95 * 0.05 / pools)
    assert covered / pools >= 0.95 - 2 * error
    assert predicted / pools >= 0.95 - 2 * error
