"""The log-likelihood of ordered votes in the cumulative logit model, with its derivatives."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

from scoring.statistics.votes.counts import Floats, Integers


@dataclass(frozen=True, slots=True, eq=False)
class OrderedLogit:
    """One number for each of v votes.

    value: log-likelihood. slope: its derivative by the latent value. weight: minus its second derivative, positive.
    Votes end at a threshold above and one below, which may be infinite:
    above, below: chances F(threshold - latent), from which the derivatives by the thresholds follow. gap_slope: the
    derivative of `value` by the distance of the two thresholds, 0 if one is infinite.
    """

    value: Floats
    slope: Floats
    weight: Floats
    above: Floats
    below: Floats
    gap_slope: Floats

    @property
    def weight_slope(self) -> Floats:
        """(v,) the derivative of `weight` by the latent value."""
        return -_curve(self.above) - _curve(self.below)

    @property
    def weight_curve(self) -> Floats:
        """(v,) the second derivative of `weight` by the latent value."""
        above, below = _density(self.above), _density(self.below)
        return above * (1 - 6 * above) + below * (1 - 6 * below)

    def summed_by_threshold(self, category: Integers, leverage: Floats, response: Floats, count: int) -> Floats:
        """(count,) sums over votes of value' - leverage weight' / 2 - response slope', by each threshold's derivative.

        category: (v,) from 0 to count. leverage, response: (v,). The two thresholds of a vote are `category` (above)
        and `category` - 1 (below).
        """
        upper = 1 - self.above + self.gap_slope - leverage / 2 * _curve(self.above) - response * _density(self.above)
        lower = -self.below - self.gap_slope - leverage / 2 * _curve(self.below) - response * _density(self.below)
        sums = np.bincount(category, upper, count + 1)[:-1] + np.bincount(category, lower, count + 1)[1:]
        return sums.astype(np.float64)

    def by_threshold(self, category: Integers, count: int) -> Floats:
        """(v, count) the derivatives of `slope` by each threshold."""
        columns = np.zeros((len(category), count + 1))
        votes = np.arange(len(category))
        columns[votes, category] = _density(self.above)  # the place after the last is infinite, and its density zero
        columns[votes, category - 1] += _density(self.below)
        return columns[:, :count]

    def information(self, category: Integers, fixed: Floats, count: int) -> Floats:
        """Minus the second derivatives of all votes by thresholds (count) and by the effects of `fixed` (v, p)."""
        of_thresholds = self.by_threshold(category, count)
        columns = np.column_stack([-of_thresholds, self.weight[:, np.newaxis] * fixed])
        by_effects = fixed.T @ columns
        found = np.zeros((columns.shape[1], columns.shape[1]))
        found[count:], found[:, count:] = by_effects, by_effects.T
        gaps = np.bincount(category, self.gap_slope * (1 + self.gap_slope), count + 1)[1:-1]
        found[range(count), range(count)] = of_thresholds.sum(axis=0)
        for lower, curve in enumerate(gaps):  # of the category between two thresholds
            found[lower : lower + 2, lower : lower + 2] += curve * np.array([[1, -1], [-1, 1]])
        return found


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
    gaps = np.diff(ends)
    a, b = ends[category + 1] - latent, ends[category] - latent
    above, below = expit(a), expit(b)
    with np.errstate(over="ignore"):  # an infinite gap has no slope
        gap_slopes = 1 / np.expm1(gaps)
    return OrderedLogit(
        value=log_expit(a) + log_expit(-b) + np.log1p(-np.exp(-gaps))[category],
        slope=above + below - 1,
        weight=_density(above) + _density(below),
        above=above,
        below=below,
        gap_slope=gap_slopes[category],
    )


def _density(chance: Floats) -> Floats:
    return chance * (1 - chance)


def _curve(chance: Floats) -> Floats:
    """Return the derivative of the density."""
    return chance * (1 - chance) * (1 - 2 * chance)
