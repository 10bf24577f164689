"""Logistic regression of counted votes on one number, with standard errors for comparisons as units."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from scoring.statistics.votes.counts import Floats, cluster_numbers

_CONVERGED, _MOST_STEPS = 1e-10, 200


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFit:
    """log(p / (1 - p)) = intercept + slope x.

    coefficients: intercept, slope. model_error: their standard errors if votes were independent. robust_error: the
    clustered sandwich (HC0); None if `is_penalised`, since residuals of separated votes mean nothing.
    is_penalised: Firth's penalty was needed, because x separates the votes and plain estimates are infinite.
    """

    coefficients: Floats
    model_error: Floats
    robust_error: Floats | None
    is_penalised: bool

    def predict(self, x: ArrayLike) -> Floats:
        """The chance of a vote for A at each x."""
        chance: Floats = expit(self.coefficients[0] + self.coefficients[1] * np.asarray(x, dtype=np.float64))
        return chance


def fit_logistic(
    x: ArrayLike, successes: ArrayLike, trials: ArrayLike, *, clusters: ArrayLike | None = None
) -> LogisticFit:
    """Fit a table of one row for each comparison.

    x: (n,), finite, at least two different values. successes, trials: (n,) votes for A among votes, trials >= 1.
    clusters: (n,) labels of rows whose residuals may be correlated, or None.
    Raises ValueError for fewer than two different values of x.
    Source: Firth (1993), "Bias reduction of maximum likelihood estimates"; Liang and Zeger (1986) for the sandwich.

    >>> fit_logistic([-2, -1, 0, 1, 2], [0, 2, 2, 4, 5], [5] * 5).coefficients.round(4).tolist()
    [0.1515, 1.4399]
    """
    number, won, cast = (np.asarray(column, dtype=np.float64) for column in (x, successes, trials))
    if len(np.unique(number)) < 2:
        raise ValueError("a slope needs two different values")
    design = np.column_stack([np.ones(len(number)), number])
    is_penalised = _is_separated(number, won, cast)
    coefficients = _newton(design, won, cast, is_penalised)
    chance = expit(design @ coefficients)
    inverse = np.linalg.inv(_information(design, cast, chance)).astype(np.float64)
    scores = design * (won - cast * chance)[:, np.newaxis]
    return LogisticFit(
        coefficients=coefficients,
        model_error=np.sqrt(np.diag(inverse)),
        robust_error=None if is_penalised else _sandwich(scores, inverse, clusters),
        is_penalised=is_penalised,
    )


def _is_separated(x: Floats, won: Floats, cast: Floats) -> bool:
    """Whether a threshold on x separates all votes for A from all others, or all votes are equal."""
    at_won, at_lost = x[won > 0], x[won < cast]
    if not (len(at_won) and len(at_lost)):
        return True
    return bool(at_lost.max() <= at_won.min() or at_won.max() <= at_lost.min())


def _information(design: Floats, cast: Floats, chance: Floats) -> Floats:
    weighted: Floats = design * (cast * chance * (1 - chance))[:, np.newaxis]
    return design.T @ weighted


def _newton(design: Floats, won: Floats, cast: Floats, is_penalised: bool) -> Floats:
    """Fisher's scoring in standardised x from no effect, each step halved until it gains enough (Armijo, 1966)."""
    centre, spread = design[:, 1].mean(), design[:, 1].std()
    standard = np.column_stack([design[:, 0], (design[:, 1] - centre) / spread])
    at, height = np.zeros(2), _log_likelihood(standard, won, cast, np.zeros(2), is_penalised)
    for _ in range(_MOST_STEPS):
        score, step = _score_and_step(standard, won, cast, at, is_penalised)
        reached = _log_likelihood(standard, won, cast, at + step, is_penalised)
        while reached < height + 0.25 * score @ step - 1e-13 * abs(height):
            step = step / 2
            reached = _log_likelihood(standard, won, cast, at + step, is_penalised)
        at, height = at + step, reached
        if np.abs(step).max() < _CONVERGED:
            break
    slope = at[1] / spread
    return np.array([at[0] - slope * centre, slope])


def _score_and_step(design: Floats, won: Floats, cast: Floats, at: Floats, is_penalised: bool) -> tuple[Floats, Floats]:
    chance = expit(design @ at)
    information = _information(design, cast, chance)
    residual = won - cast * chance
    if is_penalised:
        leverage = (design @ np.linalg.inv(information) * design).sum(axis=1) * cast * chance * (1 - chance)
        residual = residual + leverage * (0.5 - chance)
    score = design.T @ residual
    return score, np.linalg.solve(information, score).astype(np.float64)


def _log_likelihood(design: Floats, won: Floats, cast: Floats, at: Floats, is_penalised: bool) -> float:
    logit = design @ at
    likelihood = float((won * logit - cast * np.logaddexp(0, logit)).sum())
    if not is_penalised:
        return likelihood
    sign, log_determinant = np.linalg.slogdet(_information(design, cast, expit(logit)))
    return likelihood + 0.5 * log_determinant if sign > 0 else -np.inf


def _sandwich(scores: Floats, inverse: Floats, clusters: ArrayLike | None) -> Floats:
    members = cluster_numbers(len(scores), clusters)
    summed = np.zeros((int(members.max()) + 1, 2))
    np.add.at(summed, members, scores)
    variance = inverse @ (summed.T @ summed) @ inverse
    error: Floats = np.sqrt(np.maximum(np.diag(variance), 0.0))  # rounding may turn a zero negative
    return error
