"""The limit that the noise of the votes sets to the agreement of any metric."""

from dataclasses import replace

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy.special import betainc, betaln, gammaln

from scoring.statistics.inference.estimate import THESE_ANNOTATORS, Estimate
from scoring.statistics.inference.intervals import Resampling, percentile_estimate, ratio, resampled_totals
from scoring.statistics.votes.counts import Floats, checked_counts, cluster_numbers

# Below it p counts as equal everywhere: the logarithms of such a Beta function are so large that their differences lose
# their digits (at 1e-16, which rounding makes of a correlation of 0, a "probability" of 1e30), and the limit differs by
# 1e-4 at most from that with equal p (with 101 votes).
LEAST_CORRELATION = 1e-9


def greatest_agreement(*, mean: ArrayLike, correlation: ArrayLike, votes: int) -> Floats:
    """E[max(P(majority = A | p), P(majority = B | p))]: the agreement of a metric that knows every p.

    p, the chance that a vote goes to A, varies between comparisons: a Beta distribution with the given mean, and with
    `correlation` = 1 / (1 + alpha + beta), the chance-corrected agreement of two votes. correlation 0: p is the mean
    everywhere; 1: p is 0 or 1. Both broadcast. votes: of each comparison. An even split has no majority.

    >>> round(float(greatest_agreement(mean=0.5, correlation=1 / 3, votes=3)), 4)  # p uniform
    0.8125
    """
    mu, rho = np.broadcast_arrays(np.asarray(mean, dtype=np.float64), np.asarray(correlation, dtype=np.float64))
    if not ((mu > 0) & (mu < 1) & (rho >= 0) & (rho <= 1)).all():
        raise ValueError("a mean lies between 0 and 1, a correlation from 0 to 1")
    reached: Floats = np.where(rho == 1, 1.0, _with_equal_p(mu, votes))
    is_spread = (rho > LEAST_CORRELATION) & (rho < 1)
    size = (1 - rho[is_spread]) / rho[is_spread]
    reached[is_spread] = _with_beta_p(mu[is_spread] * size, (1 - mu[is_spread]) * size, votes)
    return reached


def attenuation(counts: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Estimate:
    """The greatest agreement that any metric could reach with these votes (a tie of people counts as not matched).

    counts: (n, 3) votes for A, for B, and tie votes, which are left out. The beta-binomial is fitted by moments: the
    mean vote share, and 1 - (1 - pairwise agreement) / (2 mean (1 - mean)), cut at 0 below; comparisons with one vote
    count in the mean only. The expectation is averaged over the comparisons' numbers of votes.
    Source: Griffiths (1973), "Maximum likelihood estimation for the beta-binomial distribution", for the model.

    >>> result = attenuation([(3, 0, 0), (2, 1, 0), (0, 3, 0), (1, 2, 0)], resampling=Resampling(resamples=100))
    >>> round(result.value or 0, 3)
    0.813
    """
    votes = checked_counts(counts, categories=3)[:, :2]
    is_rated = votes.any(axis=1)
    labels = None if clusters is None else cluster_numbers(len(votes), clusters)[is_rated]
    votes = votes[is_rated]
    size = votes.sum(axis=1)
    sizes = np.unique(size)
    pairs = size * (size - 1)
    split = ratio(2.0 * votes.prod(axis=1), pairs.astype(np.float64))
    summands = np.column_stack(
        [votes[:, 0] / size, np.ones(len(size)), np.nan_to_num(split), pairs > 0, size[:, np.newaxis] == sizes]
    )
    method = "percentile bootstrap"
    value = float(_from_totals(summands.sum(axis=0, keepdims=True), sizes)[0])
    if np.isnan(value):
        reason = "all votes are equal" if (pairs > 0).any() else "no comparison has two votes for A or B"
        return Estimate.undefined(reason, n=len(votes), level=resampling.level, method=method)
    totals = resampled_totals(summands, clusters=labels, resampling=resampling)
    resampled = _from_totals(totals, sizes)
    found = percentile_estimate(value, resampled, n=len(votes), resampling=resampling, clusters=labels)
    return replace(found, population=THESE_ANNOTATORS)


def _from_totals(totals: Floats, sizes: ArrayLike) -> Floats:
    """totals: (b, 4 + number of sizes): shares of A, comparisons, shares of split pairs, comparisons with pairs, …"""
    share, split, at_size = ratio(totals[:, 0], totals[:, 1]), ratio(totals[:, 2], totals[:, 3]), totals[:, 4:]
    correlation = np.clip(1 - ratio(split, 2 * share * (1 - share)), 0, 1)
    is_defined = ~np.isnan(correlation)
    reached = np.full(len(totals), np.nan)
    by_size = [
        greatest_agreement(mean=share[is_defined], correlation=correlation[is_defined], votes=int(votes))
        for votes in np.asarray(sizes)
    ]
    if by_size:
        at = at_size[is_defined]
        reached[is_defined] = (np.column_stack(by_size) * at).sum(axis=1) / at.sum(axis=1)
    return reached


def _with_equal_p(p: Floats, votes: int) -> Floats:
    most_against = (votes - 1) // 2
    best: Floats = np.maximum(
        scipy.stats.binom.cdf(most_against, votes, 1 - p), scipy.stats.binom.cdf(most_against, votes, p)
    )
    return best


def _with_beta_p(alpha: Floats, beta: Floats, votes: int) -> Floats:
    """For A: the sum over its majorities of C(k, a) B(alpha + a, beta + k - a) / B(alpha, beta) on p > 1/2.

    Both functions follow from their neighbours by one term (DLMF 5.12.1 and 8.17.20), so the costly ones are called for
    the smallest majority only.
    """
    for_winner = np.arange(votes // 2 + 1, votes + 1)
    ways = gammaln(votes + 1) - gammaln(for_winner + 1) - gammaln(votes - for_winner + 1)
    total = np.zeros(np.shape(alpha))
    for first, second in ((alpha, beta), (beta, alpha)):
        own, others = first[..., np.newaxis] + for_winner, second[..., np.newaxis] + (votes - for_winner)
        log_own, log_others = np.log(own), np.log(others)
        log_beta = _running(betaln(own[..., 0], others[..., 0]), log_own[..., :-1] - log_others[..., 1:])
        mass = np.exp(ways + log_beta - betaln(first, second)[..., np.newaxis])
        step = np.exp((1 - own - others) * np.log(2) - log_others - log_beta)
        at_least: Floats = np.asarray(betainc(others[..., 0], own[..., 0], 0.5), dtype=np.float64)
        above_half = _running(at_least, step[..., 1:])  # P(p > 1/2)
        total += (mass * above_half).sum(axis=-1)
    return total


def _running(start: Floats, steps: Floats) -> Floats:
    """start: (...), steps: (..., m). Returns (..., m + 1): the start, and the sums of it and the steps so far."""
    return np.cumsum(np.concatenate([start[..., np.newaxis], steps], axis=-1), axis=-1)
