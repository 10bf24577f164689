"""The uncertainty of a score of N images: whether a fresh draw of seeds would name the same winner."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtrit

from jobs.wording import counted
from scoring.statistics.agreement.agreement import (
    Signs,
    TieTreatment,
    agreement,
    checked_winners,
    earned_credit,
    metric_winners,
)
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import (
    ALL_RESAMPLES_EQUAL,
    Resampling,
    percentile_estimate,
    ratio,
    resample_weights,
)
from scoring.statistics.votes.counts import Floats

# A comparison is clear if at most one in twenty fresh draws of its seeds would name the other model.
CLEAR = 0.05
# From two comparisons the spread between prompts cannot be told from the noise: a mean of .26 was seen for a true .32.
FEWEST_COMPARISONS = 3
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class SeedNoise:
    """One comparison under resampled seeds.

    margin: score of A minus score of B with its percentile interval; n is the number of seeds. flip: the share of
    resamples with another winner or a tie (for an observed tie: with any winner): the chance that the margin over all
    seeds has another sign, not that a fresh draw of seeds has, which is larger (see `fresh_seeds`). standard_error: of
    the margin, by the jackknife over seeds. Both are None for too few seeds; `reason` says so.
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


@dataclass(frozen=True, slots=True)
class FreshSeeds:
    """The winners of n comparisons under a fresh draw of as many seeds.

    other_winner: (n,) the chance that it names the other model; for an observed tie, that it names a model.
    standard_error: (n,) of the margins, moderated over comparisons. mean, spread: mean and standard deviation of the
    margins over all seeds, among comparisons. kept: (n,) the share of its distance from the mean that a margin keeps.
    """

    other_winner: Floats
    standard_error: Floats
    kept: Floats
    mean: float
    spread: float


def fresh_seeds(margins: ArrayLike, standard_errors: ArrayLike, *, seeds: int) -> FreshSeeds:
    """The chance, for each comparison, that a fresh draw of as many seeds names the other model.

    margins: (n,) score of A minus score of B. standard_errors: (n,) by the jackknife over `seeds` seeds.
    The margins over all seeds are taken as normal among comparisons, with mean m0 and variance
    t2 = max(var(m) - mean(se2), 0). An observed margin m is shrunk to m0 + B (m - m0), B = t2 / (t2 + se2), and the
    chance is Phi(-sign(m) (m0 + B (m - m0)) / (se sqrt(1 + B))): the noise of what was seen and that of the fresh draw
    both count. Unshrunk, Phi(-|m| / (sqrt(2) se)), it has a mean of .24 where .32 is true, because the largest of many
    margins are also the luckiest.
    se2 is moderated: mean(se2) + w (se2 - mean(se2)), where w is the part of the variance of se2 beyond that of a
    variance from `seeds` - 1 degrees of freedom. If comparisons are equally noisy, w is near 0 and all share one pooled
    standard error; pooled where they are not, the chances were .41 on average for a true .32.
    Raises ValueError for fewer than three comparisons, fewer than three seeds, and values that do not fit.
    Source: Morris (1983), "Parametric empirical Bayes inference"; of the weight Buehlmann (1967), "Experience rating
    and credibility".

    >>> fresh_seeds([2.0, 0.0, -1.0], [0.0, 0.0, 0.0], seeds=20).other_winner.tolist()  # no noise
    [0.0, 0.0, 0.0]
    """
    m, errors = np.asarray(margins, dtype=np.float64), np.asarray(standard_errors, dtype=np.float64)
    if m.ndim != 1 or m.shape != errors.shape or len(m) < FEWEST_COMPARISONS or seeds < 3:
        raise ValueError("a margin and a standard error for each of 3 or more comparisons, with 3 or more seeds")
    if not (np.isfinite(m).all() and np.isfinite(errors).all() and (errors >= 0).all()):
        raise ValueError("margins and standard errors are finite, and no standard error is negative")
    variance = _moderated(errors**2, degrees_of_freedom=seeds - 1)
    between = max(float(m.var(ddof=1) - (errors**2).mean()), 0.0)
    kept = np.where(variance > 0, ratio(np.full(len(m), between), between + variance), 1.0)
    centre = m.mean() + kept * (m - m.mean())
    signs, reach = metric_winners(m), np.sqrt(variance * (1 + kept))
    away = ratio(-signs * centre, reach)
    chance = np.where(reach > 0, np.where(signs == 0, 1.0, ndtr(away)), 0.0)
    return FreshSeeds(chance, np.sqrt(variance), kept, float(m.mean()), float(np.sqrt(between)))


def agreement_with_fresh_seeds(
    people: ArrayLike, between: ArrayLike, *, ties: TieTreatment, resampling: Resampling
) -> Estimate:
    """The agreement, with the interval in which that of a fresh draw of as many seeds would lie.

    people: (n,) signs; comparisons and people stay the same. between: (n, N, N) similarities of A minus those of B.
    The seeds are resampled once for all comparisons, because all comparisons share them: s is the standard deviation of
    the agreement over resamples. What was seen and a fresh draw vary alike, so the bounds are t(N - 1) sqrt(2) s away.
    The resamples' own percentiles would not do: resampling adds noise to noise, so that their mean lies lower.
    Raises ValueError for arrays that do not fit and for fewer than three seeds.

    >>> alike = np.array([5.0, -5.0])[:, np.newaxis, np.newaxis] * (1 - np.eye(4))
    >>> agreement_with_fresh_seeds([1, 1], alike, ties="strict", resampling=Resampling(resamples=20)).value
    0.5
    """
    theirs, _ = checked_winners(people, people)
    pairs = np.asarray(between, dtype=np.float64)
    if pairs.ndim != 3 or len(pairs) != len(theirs) or pairs.shape[1] != pairs.shape[2] or pairs.shape[1] < 3:
        raise ValueError(
            f"{len(theirs)} comparisons need as many square matrices of 3 or more seeds, not {pairs.shape}"
        )
    seeds, level = pairs.shape[1], resampling.level
    value = float(_agreements(theirs, pairs, np.ones((1, seeds)), ties)[0])
    method = f"observed, and t over {resampling.resamples} joint resamples of the seeds, seed {resampling.seed}"
    if np.isnan(value):
        return Estimate.undefined("no comparison that both decide", n=0, level=level, method=method)
    blocks = resample_weights(seeds, clusters=None, resampling=resampling)
    deviation = float(np.nanstd(np.concatenate([_agreements(theirs, pairs, weights, ties) for weights in blocks])))
    if deviation <= ROUNDING:
        return Estimate(value, None, None, level, len(theirs), method, ALL_RESAMPLES_EQUAL)
    reach = float(stdtrit(seeds - 1, (1 + level) / 2)) * math.sqrt(2) * deviation
    return Estimate(value, max(0.0, value - reach), min(1.0, value + reach), level, len(theirs), method)


def agreement_where_clear(
    people: ArrayLike,
    metric: ArrayLike,
    chances: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """The strict agreement without the comparisons whose chance of another winner exceeds CLEAR.

    people, metric: (n,) signs. chances: (n,) of another winner, in each comparison. clusters: (n,) labels or None.

    >>> agreement_where_clear([1, 1, -1], [1, 1, 1], [0.0, 0.01, 0.4]).value
    1.0
    """
    theirs, its = checked_winners(people, metric)
    of_another = np.asarray(chances, dtype=np.float64)
    if of_another.shape != theirs.shape or not ((of_another >= 0) & (of_another <= 1)).all():
        raise ValueError("every comparison has one chance of another winner, from 0 to 1")
    is_clear = of_another <= CLEAR
    labels = None if clusters is None else np.asarray(clusters)[is_clear]
    return agreement(theirs[is_clear], its[is_clear], clusters=labels, level=level)


def _weighted_means(between: Floats, weights: Floats) -> Floats:
    """weights: (b, N). Means over pairs of different seeds: (b,), NaN if one seed was drawn N times."""
    summed = ((weights @ between) * weights).sum(axis=1)
    return ratio(summed, weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1))


def _moderated(variances: Floats, *, degrees_of_freedom: int) -> Floats:
    """Each variance moved towards their mean, by as much of their own variance as estimation explains."""
    pooled, seen = variances.mean(), variances.var(ddof=1)
    explained = 2 * (variances**2).mean() / (degrees_of_freedom + 2)
    weight = max(0.0, 1 - explained / seen) if seen > 0 else 0.0
    moderated: Floats = pooled + weight * (variances - pooled)
    return moderated


def _agreements(people: Signs, between: Floats, weights: Floats, ties: TieTreatment) -> Floats:
    """(b,) agreements, one for each row of weights (b, N); NaN if no comparison counts or a seed was drawn N times."""
    earned, counted_in = np.zeros(len(weights)), np.zeros(len(weights))
    has_pairs = (weights > 0).sum(axis=1) > 1
    for sign, pairs in zip(people, between, strict=True):
        drawn = metric_winners(np.where(has_pairs, _weighted_means(pairs, weights), 0.0))
        credit = earned_credit(np.full(len(drawn), sign), drawn, ties=ties)
        earned += np.nan_to_num(credit)
        counted_in += ~np.isnan(credit)
    return ratio(earned, np.where(has_pairs, counted_in, 0.0))


def _jackknife_standard_error(between: Floats) -> float:
    n = len(between)
    without_each = _weighted_means(between, 1 - np.eye(n))
    return float(np.sqrt((n - 1) * without_each.var()))
