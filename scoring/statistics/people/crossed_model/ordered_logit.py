"""The log-likelihood of ordered votes in the cumulative logit model, with its derivatives."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from scoring.statistics.inference.intervals import Floats
from scoring.statistics.votes.counts import Integers


@dataclass(frozen=True, slots=True, eq=False)
class OrderedLogit:
    """One number for each of v votes.

    value: log-likelihood. slope: its derivative by the latent value. weight: minus its second derivative, positive.
    weight_slope: the derivative of `weight`. Votes end at a threshold above and one below, which may be infinite:
    above, below: chances F(threshold - latent), from which the derivatives by the thresholds follow. gap_slope: the
    derivative of `value` by the distance of the two thresholds, 0 if one is infinite.
    """

    value: Floats
    slope: Floats
    weight: Floats
    weight_slope: Floats
    above: Floats
    below: Floats
    gap_slope: Floats

    def summed_by_threshold(self, category: Integers, leverage: Floats, response: Floats, count: int) -> Floats:
        """(count,) sums over votes of value' - leverage weight' / 2 - response slope', by each threshold's derivative.

        category: (v,) from 0 to count. leverage, response: (v,). The two thresholds of a vote are `category` (above)
        and `category` - 1 (below).
        """
        upper = 1 - self.above + self.gap_slope - leverage / 2 * _curve(self.above) - response * _density(self.above)
        lower = -self.below - self.gap_slope - leverage / 2 * _curve(self.below) - response * _density(self.below)
        sums = np.bincount(category, upper, count + 1)[:-1] + np.bincount(category, lower, count + 1)[1:]
        return sums.astype(np.float64)


def ordered_logit(latent: Floats, thresholds: Floats, category: Integers) -> OrderedLogit:
    """P(category <= k) = F(thresholds[k] - latent) with the logistic F.

    latent: (v,). thresholds: (K - 1,), strictly increasing. category: (v,) from 0 to K - 1.
    With a and b for both thresholds minus the latent value, log P = log F(a) + log F(-b) + log(1 - exp(b - a)), whose
    last part does not depend on the latent value.
    Source: McCullagh (1980), "Regression models for ordinal data".

    >>> round(float(np.exp(ordered_logit(np.zeros(1), np.array([-1.0, 1.0]), np.array([1])).value[0])), 4)
    0.4621
    """
    ends = np.concatenate([[-np.inf], thresholds, [np.inf]])
    gap = ends[category + 1] - ends[category]
    a, b = ends[category + 1] - latent, ends[category] - latent
    above, below = expit(a), expit(b)
    with np.errstate(over="ignore"):  # an infinite gap has no slope
        gap_slope = 1 / np.expm1(gap)
    return OrderedLogit(
        value=-np.logaddexp(0, -a) - np.logaddexp(0, b) + np.log1p(-np.exp(-gap)),
        slope=above + below - 1,
        weight=_density(above) + _density(below),
        weight_slope=-_curve(above) - _curve(below),
        above=above,
        below=below,
        gap_slope=gap_slope,
    )


def _density(chance: Floats) -> Floats:
    return chance * (1 - chance)


def _curve(chance: Floats) -> Floats:
    """Return the derivative of the density."""
    return chance * (1 - chance) * (1 - 2 * chance)
