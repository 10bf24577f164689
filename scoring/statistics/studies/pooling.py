"""Several studies together: a random-effects mean of proportions, and what a further study would give."""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit

from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.votes.counts import Floats

LEAST_STUDIES = 3
LEAST_FOR_PREDICTION = 5
_DRAWS, _SEED = 20_000, 20240412
_METHOD = "random effects on the logit scale, REML, Hartung-Knapp t({}), at least the normal interval"
_PREDICTION = f"parametric bootstrap of a further study, {_DRAWS:,} draws, seed {_SEED}"


@dataclass(frozen=True, slots=True)
class Pooled:
    """mean: the proportion of a typical study. prediction: the same with the interval for the proportion of one further
    study. tau: the standard deviation between studies, on the logit scale; None if the mean is undefined. shares: the
    weight of each study in the mean.
    """

    mean: Estimate
    prediction: Estimate
    tau: float | None
    shares: tuple[float, ...]


def pooled_proportion(successes: ArrayLike, sizes: ArrayLike, *, level: float = 0.95) -> Pooled:
    """Pool the proportions of k independent studies.

    successes: (k,) how often each succeeded, halves allowed. sizes: (k,) the trials that each is worth: for clustered
    trials their number divided by the design effect. A proportion of 0 or 1 gets half a success and half a failure.
    The variance between studies is estimated by restricted maximum likelihood, the standard error by Hartung and Knapp
    with k - 1 degrees of freedom. The interval is at least as wide as the normal one at that variance: studies that
    happen to be equal would have an interval without width. The prediction interval draws that variance too: with it
    fixed at its estimate, often zero, .86 of further studies lay within .95 intervals. Undefined below 3 studies; no
    prediction below 5.
    Raises ValueError for sizes that are not positive and successes outside 0 .. size.
    Source: Hartung and Knapp (2001), "A refined method for the meta-analysis of controlled clinical trials with binary
    outcome"; Wiksten, Ruecker and Schwarzer (2016), "Hartung-Knapp method is not always conservative compared with
    fixed-effect meta-analysis", for the wider of the two intervals; Viechtbauer (2005), "Bias and efficiency of
    meta-analytic variance estimators"; Nagashima, Noma and Furukawa (2019), "Prediction intervals for random-effects
    meta-analysis".

    >>> result = pooled_proportion([45, 80, 170], [50, 100, 200])
    >>> round(result.mean.value or 0, 3)
    0.84
    """
    won, n = np.asarray(successes, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    if won.shape != n.shape or won.ndim != 1 or not ((n > 0) & (won >= 0) & (won <= n)).all():
        raise ValueError("each study has a positive size and successes from 0 to its size")
    count = len(n)
    if count < LEAST_STUDIES:
        reason = f"{count} independent {'study' if count == 1 else 'studies'}, at least {LEAST_STUDIES} are needed"
        nothing = Estimate.undefined(reason, n=count, level=level)
        return Pooled(nothing, nothing, None, ())
    extreme = 0.5 * ((won == 0) | (won == n))
    won, lost = won + extreme, n - won + extreme
    return _pooled(np.log(won / lost), 1 / won + 1 / lost, level)


def _pooled(effects: Floats, variances: Floats, level: float) -> Pooled:
    """Pool effects on the logit scale, and return shares."""
    count = len(effects)
    squared = between_studies(effects, variances)
    mean, error, weights = random_effects_mean(effects, variances, squared)
    at = (1 + level) / 2
    reach = max(error * scipy.stats.t.ppf(at, count - 1), scipy.stats.norm.ppf(at) / np.sqrt(weights.sum()))
    method = _METHOD.format(count - 1)
    value, low, high = (float(expit(end)) for end in (mean, mean - reach, mean + reach))
    if count >= LEAST_FOR_PREDICTION:
        least, most = (float(expit(end)) for end in _further_study(effects, variances, level))
        prediction = Estimate(value, min(least, low), max(most, high), level, count, _PREDICTION)
    else:
        reason = f"{count} independent studies, at least {LEAST_FOR_PREDICTION} are needed"
        prediction = Estimate(value, None, None, level, count, _PREDICTION, reason)
    shares = tuple((weights / weights.sum()).tolist())
    return Pooled(Estimate(value, low, high, level, count, method), prediction, float(np.sqrt(squared)), shares)


def between_studies(effects: Floats, variances: Floats) -> float:
    """The variance between studies by restricted maximum likelihood; 0 if the studies differ no more than by chance.

    effects, variances: (k,).

    >>> between_studies(np.array([1.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.3]))
    0.0
    """

    def minus_log_likelihood(squared: float) -> float:
        weights = 1 / (variances + squared)
        mean = weights @ effects / weights.sum()
        deviance = weights @ (effects - mean) ** 2 - np.log(weights).sum() + np.log(weights.sum())
        return float(deviance / 2)

    most = max(10 * float(np.var(effects)), 1e-12)
    found = minimize_scalar(minus_log_likelihood, bounds=(0.0, most), method="bounded", options={"xatol": most * 1e-9})
    return float(found.x) if found.fun < minus_log_likelihood(0.0) else 0.0


def random_effects_mean(effects: Floats, variances: Floats, squared: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The weighted mean (...), its standard error by Hartung and Knapp (...), and the weights (..., k).

    effects, variances: (k,). squared: (...) variances between studies.

    >>> mean, error, weights = random_effects_mean(np.array([1.0, 3.0]), np.array([1.0, 1.0]), 0.0)
    >>> float(mean), float(error)
    (2.0, 1.0)
    """
    weights = 1 / (variances + np.asarray(squared, dtype=np.float64)[..., np.newaxis])
    total = weights.sum(axis=-1)
    mean = weights @ effects / total
    spread = (weights * (effects - mean[..., np.newaxis]) ** 2).sum(axis=-1) / ((len(effects) - 1) * total)
    return mean, np.sqrt(spread), weights


def _further_study(effects: Floats, variances: Floats, level: float) -> Floats:
    """The ends of the interval for the effect of a further study, (2,).

    Each draw takes a variance between studies from its confidence distribution (the weighted sum of squares at the true
    variance is chi-squared), a mean from Hartung and Knapp's t at that variance, and a study around it.
    """
    rng, count = np.random.default_rng(_SEED), len(effects)
    grid = np.concatenate([[0.0], np.geomspace(1e-4, 1e4, 400) * max(float(np.var(effects)), 1e-6)])
    means, errors, weights = random_effects_mean(effects, variances, grid)
    squares = (count - 1) * errors**2 * weights.sum(axis=1)
    drawn = np.interp(rng.chisquare(count - 1, _DRAWS), squares[::-1], grid[::-1])
    mean = np.interp(drawn, grid, means) + rng.standard_t(count - 1, _DRAWS) * np.interp(drawn, grid, errors)
    further = mean + rng.standard_normal(_DRAWS) * np.sqrt(drawn)
    ends: Floats = np.quantile(further, [(1 - level) / 2, (1 + level) / 2])
    return ends
