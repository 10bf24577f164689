"""The uncertainty of a score of N images: whether other seeds would give the same winner."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from jobs.wording import counted
from scoring.statistics.agreement import agreement, checked_winners, metric_winners
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import (
    Floats,
    Resampling,
    percentile_estimate,
    ratio,
    resample_weights,
)

CLEAR = 0.05  # the chance of another winner up to which a comparison counts as clear


@dataclass(frozen=True, slots=True)
class SeedNoise:
    """One comparison under resampled seeds.

    margin: score of A minus score of B with its percentile interval; n is the number of seeds. flip: the share of
    resamples with another winner or a tie (for an observed tie: with any winner). standard_error: of the margin, by the
    jackknife over seeds. Both are None for too few seeds; `reason` says so.
    """

    margin: Estimate
    flip: float | None
    standard_error: float | None
    reason: str = ""


def seed_noise(similarities_a: ArrayLike, similarities_b: ArrayLike, *, resampling: Resampling) -> SeedNoise:
    """Resample the seeds of one comparison, jointly for A and B, which share them.

    similarities_a, similarities_b: (N, N) as `scoring.consistency.pairwise_similarities` gives them, row i of both from
    the same seed. A seed drawn w_i times weighs w_i w_j in the pairs i, j of different seeds only: a pair of copies
    would add (100 - score) / N to every resample. Fewer than three seeds are too few for the jackknife and to resample.
    Raises ValueError for matrices that are not square or not of the same size.
    Source: Snijders and Borgatti (1999), "Non-parametric standard errors and tests for network statistics".

    >>> others = 1 - np.eye(4)  # no image is compared with itself
    >>> result = seed_noise(90 * others, 80 * others, resampling=Resampling(resamples=100))
    >>> result.margin.value, result.flip
    (10.0, 0.0)
    """
    a, b = np.asarray(similarities_a, dtype=np.float64), np.asarray(similarities_b, dtype=np.float64)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or a.shape != b.shape:
        raise ValueError(f"similarities of A and B are two square matrices of one size, not {a.shape} and {b.shape}")
    between, n = a - b, len(a)
    if n < 3:
        reason = f"{counted(n, 'seed')} {'is' if n == 1 else 'are'} too few to resample"
        return SeedNoise(Estimate.undefined(reason, n=n, level=resampling.level), None, None, reason)
    margin = float(_weighted_means(between, np.ones((1, n)))[0])
    blocks = resample_weights(n, clusters=None, resampling=resampling)
    resampled = np.concatenate([_weighted_means(between, weights) for weights in blocks])
    defined = resampled[~np.isnan(resampled)]
    return SeedNoise(
        margin=percentile_estimate(margin, resampled, n=n, resampling=resampling),
        flip=float((metric_winners(defined) != metric_winners([margin])).mean()) if len(defined) else None,
        standard_error=_jackknife_standard_error(between),
    )


def agreement_where_clear(people: ArrayLike, metric: ArrayLike, flips: ArrayLike, *, level: float = 0.95) -> Estimate:
    """The strict agreement without the comparisons whose winner other seeds could well change.

    people, metric: (n,) signs. flips: (n,) the `flip` of each comparison; above .05 it is left out.

    >>> agreement_where_clear([1, 1, -1], [1, 1, 1], [0.0, 0.01, 0.4]).value
    1.0
    """
    theirs, its = checked_winners(people, metric)
    chances = np.asarray(flips, dtype=np.float64)
    if chances.shape != theirs.shape or not ((chances >= 0) & (chances <= 1)).all():
        raise ValueError("every comparison has one chance of another winner, from 0 to 1")
    is_clear = chances <= CLEAR
    return agreement(theirs[is_clear], its[is_clear], level=level)


def _weighted_means(between: Floats, weights: Floats) -> Floats:
    """weights: (b, N). Means over pairs of different seeds: (b,), NaN if one seed was drawn N times."""
    summed = ((weights @ between) * weights).sum(axis=1)
    return ratio(summed, weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1))


def _jackknife_standard_error(between: Floats) -> float:
    n = len(between)
    without_each = _weighted_means(between, 1 - np.eye(n))
    return float(np.sqrt((n - 1) * without_each.var()))
