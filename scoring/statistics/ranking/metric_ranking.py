"""The ranking of K models by a metric, and how far it agrees with the ranking by people."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from scoring.statistics.agreement.agreement import metric_winners
from scoring.statistics.inference.clusters import LEAST_CLUSTERS
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.ranking.people_ranking import PeopleRanking
from scoring.statistics.ranking.rank_sets import DRAWS, RankSets, rank_sets
from scoring.statistics.votes.counts import Floats, cluster_numbers

_NO_SPREAD = 1e-24
_PROJECTION = "pairs that both rankings are sure of, the others either way"


@dataclass(frozen=True, slots=True, eq=False)
class MetricRanking:
    """means: K mean scores, in the metric's unit. goodness: (K,) the same, negated if lower is more consistent. ranks:
    hold all true ranks at once; None, with the reason, if there are too few prompts.
    """

    means: tuple[Estimate, ...]
    goodness: Floats
    ranks: RankSets | None
    reason: str = ""


def metric_ranking(
    scores: ArrayLike,
    *,
    higher_is_more_consistent: bool,
    clusters: ArrayLike | None = None,
    without_seed: ArrayLike | None = None,
    level: float = 0.95,
) -> MetricRanking:
    """Rank models by their mean score over prompts.

    scores: (n, K), NaN if there is none. Prompts differ in difficulty, so that means are `adjusted_means`; only prompts
    with scores of two or more models count. clusters: (n,) labels of prompts, or None. without_seed: (N, K) the
    adjusted means without the images of each seed, which all models and prompts share; with it the intervals speak of
    other seeds too. The variances over prompts and over seeds are added; the noise of one image set is in both, so
    that the sum is rather too large.
    Raises ValueError for arrays that do not fit, and for fewer than three seeds.

    >>> found = metric_ranking([(90.0 + p % 3, 80.0 + p % 4) for p in range(12)], higher_is_more_consistent=True)
    >>> found.means[0].value, found.ranks.best if found.ranks else None
    (91.0, (1, 2))
    """
    values = _checked(scores)
    is_counted = np.isfinite(values).sum(axis=1) > 1
    groups = np.unique(cluster_numbers(len(values), clusters)[is_counted], return_inverse=True)[1]
    means, influence = _adjusted(values[is_counted])
    spread = _Spread.of(influence, groups, without_seed)
    count, sign = int(is_counted.sum()), 1.0 if higher_is_more_consistent else -1.0
    reason = "the prompts do not connect the models" if count and np.isnan(means).any() else ""
    if spread.prompts < LEAST_CLUSTERS:
        reason = f"{spread.prompts} prompts with scores of two or more models, at least {LEAST_CLUSTERS} are needed"
    if reason:
        bare = tuple(_without_interval(mean, count, level, reason) for mean in means.tolist())
        return MetricRanking(bare, sign * means, None, reason)
    rows = zip(means.tolist(), np.eye(len(means)), strict=True)
    estimates = tuple(spread.estimate(mean, row, count, level) for mean, row in rows)
    return MetricRanking(estimates, sign * means, spread.ranks(sign * means, level))


def adjusted_means(scores: ArrayLike) -> Floats:
    """Return the mean score of each of K models, as if each had a score on every prompt.

    scores: (n, K), NaN if there is none. Least squares of a score on its model and its prompt; the mean prompt is the
    mean over all prompts with two or more scores. If no score is missing, these are the means of the columns. NaN if
    the prompts do not connect the models. Raises ValueError for arrays that do not fit.
    Source: Yates (1936), "Incomplete randomized blocks".

    >>> adjusted_means([(90, 80, np.nan), (np.nan, 80, 60), (60, np.nan, 30)]).round(6).tolist()
    [80.0, 70.0, 50.0]
    """
    values = _checked(scores)
    return _adjusted(values[np.isfinite(values).sum(axis=1) > 1])[0]


def _checked(scores: ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(
            f"scores have a row for each prompt and a column for each of two or more models: {values.shape}"
        )
    return values


def _adjusted(values: Floats) -> tuple[Floats, Floats]:
    """Return the (K,) adjusted means of prompts with two or more scores, and the (n, K) influence of each prompt."""
    count, k = values.shape
    is_there = np.isfinite(values)
    share = is_there / np.maximum(is_there.sum(axis=1), 1)[:, np.newaxis]
    within = np.where(is_there, values - np.where(is_there, values * share, 0).sum(axis=1)[:, np.newaxis], 0.0)
    information = np.diag(is_there.sum(axis=0)) - is_there.T @ share
    if np.linalg.matrix_rank(information) < k - 1:
        return np.full(k, np.nan), np.zeros((count, k))
    inverse = np.linalg.pinv(information, hermitian=True)
    effects = inverse @ within.sum(axis=0)
    prompts = (np.where(is_there, values, 0.0) * share).sum(axis=1) - share @ effects
    residuals = within - is_there * (effects - (share @ effects)[:, np.newaxis])
    moved = residuals @ inverse
    level = (prompts - prompts.mean()) / count - moved @ share.mean(axis=0)
    return effects + prompts.mean(), moved + level[:, np.newaxis]


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """(K, K) covariances of mean scores over prompts and over seeds. prompts, seeds: how many; 0 seeds if not given."""

    over_prompts: Floats
    over_seeds: Floats
    prompts: int
    seeds: int

    @classmethod
    def of(cls, influence: Floats, groups: ArrayLike, without_seed: ArrayLike | None) -> "_Spread":
        """influence: (n, K) of each prompt on the means. groups: (n,) cluster numbers from zero up."""
        k, count = influence.shape[1], int(np.max(groups, initial=-1)) + 1
        sums = np.zeros((count, k))
        np.add.at(sums, np.asarray(groups), influence)
        over_prompts = sums.T @ sums * count / max(count - 1, 1)
        if without_seed is None:
            return cls(over_prompts, np.zeros((k, k)), count, 0)
        left_out = np.asarray(without_seed, dtype=np.float64)
        if left_out.ndim != 2 or left_out.shape[1] != k or len(left_out) < 3 or not np.isfinite(left_out).all():
            raise ValueError(f"means without each seed have a row for each of 3 or more seeds and {k} columns")
        changes, seeds = left_out - left_out.mean(axis=0), len(left_out)
        return cls(over_prompts, changes.T @ changes * (seeds - 1) / seeds, count, seeds)

    def variance(self, contrast: Floats) -> tuple[float, float]:
        """Return the variance of a contrast (K,) of the means, and its degrees of freedom by Satterthwaite."""
        prompts, seeds = (float(contrast @ part @ contrast) for part in (self.over_prompts, self.over_seeds))
        spread = prompts**2 / (self.prompts - 1) + (seeds**2 / (self.seeds - 1) if self.seeds else 0.0)
        return prompts + seeds, (prompts + seeds) ** 2 / spread if spread > 0 else self.prompts - 1.0

    def estimate(self, mean: float, contrast: Floats, n: int, level: float) -> Estimate:
        """Return the estimate of one mean."""
        variance, freedom = self.variance(contrast)
        if not variance > _NO_SPREAD:
            return _without_interval(mean, n, level, "the same score on every prompt")
        reach = float(stdtrit(freedom, (1 + level) / 2)) * variance**0.5
        seeds = f" and {self.seeds} seeds" if self.seeds else ""
        return Estimate(mean, mean - reach, mean + reach, level, n, f"t({freedom:.1f}), {self.prompts} prompts{seeds}")

    def ranks(self, goodness: Floats, level: float) -> RankSets:
        """Return the rank sets of the models; t of the pair with the fewest degrees of freedom."""
        rows = np.eye(len(goodness))
        pairs = [[self.variance(one - other) for other in rows] for one in rows]
        errors = np.sqrt(np.maximum([[found[0] for found in row] for row in pairs], _NO_SPREAD))
        freedom = min(found[1] for i, row in enumerate(pairs) for j, found in enumerate(row) if i != j)
        joint = self.over_prompts + self.over_seeds
        return rank_sets(goodness, joint, errors, freedom, draws=replace(DRAWS, level=level))


def _without_interval(mean: float, n: int, level: float, reason: str) -> Estimate:
    return Estimate(float(mean) if np.isfinite(mean) else None, None, None, level, n, "t over prompts", reason)


@dataclass(frozen=True, slots=True)
class Concordance:
    """The agreement of a metric's ranking of models with that of people.

    tau: Kendall's, over pairs of models; a tie of either counts zero. system_accuracy: the share of pairs that both
    order alike, a tie one half. same_rank: the share of models that both put at the same rank; its upper bound is the
    share of models whose rank sets overlap, its lower bound the share whose two sets are one and the same rank.
    """

    tau: Estimate
    system_accuracy: Estimate
    same_rank: Estimate


def concordance(people: PeopleRanking, metric: MetricRanking) -> Concordance:
    """Compare two rankings of K models.

    The intervals follow from both rank sets: pairs of models that both sets order count as ordered, and
    any other pair may be in either order.
    So they hold at 1 minus the sum of both errors (two sets at .975 give .95), and are wide rather than wrong: to
    resample models is no option with six of them, and resampled strengths would make each near tie look like discord.
    Raises ValueError for rankings of different numbers of models.
    Source: Kendall (1938), "A new measure of rank correlation"; of the accuracy Kocmi et al. (2021), "To ship or not to
    ship: an extensive evaluation of automatic metrics for machine translation".

    >>> from scoring.statistics.ranking.model_votes import ModelVotes
    >>> from scoring.statistics.ranking.people_ranking import people_ranking
    >>> cast = [(p, j, 1 if (p + j) % 3 else -1) for p in range(9) for j in range(7)]
    >>> votes = ModelVotes.of([row[:2] for row in cast], [(0, 1)] * 63, [row[2] for row in cast], model_count=2)
    >>> scores = [(90.0 + p % 3, 80.0 + p % 4) for p in range(12)]
    >>> found = concordance(people_ranking(votes), metric_ranking(scores, higher_is_more_consistent=True))
    >>> found.tau.value, found.tau.low, found.tau.level
    (1.0, 1.0, 0.9)
    """
    k = len(people.strengths)
    if len(metric.goodness) != k:
        raise ValueError(f"people rank {k} models and the metric {len(metric.goodness)}")
    if people.reason or metric.ranks is None:
        nothing = Estimate.undefined(people.reason or metric.reason, n=k, method=_PROJECTION)
        return Concordance(nothing, nothing, nothing)
    level = round(people.ranks.level + metric.ranks.level - 1, 12)
    strengths = np.array([one.value for one in people.strengths], dtype=np.float64)
    tau = _tau(strengths, people.ranks, metric.goodness, metric.ranks, level)
    ends = [None if end is None else (1 + end) / 2 for end in (tau.value, tau.low, tau.high)]
    accuracy = replace(tau, value=ends[0], low=ends[1], high=ends[2])
    return Concordance(tau, accuracy, _same_rank(strengths, people.ranks, metric.goodness, metric.ranks, level))


def _tau(strengths: Floats, people: RankSets, goodness: Floats, metric: RankSets, level: float) -> Estimate:
    first, second = np.triu_indices(len(strengths), 1)
    signs = [metric_winners(values[first] - values[second]).astype(np.float64) for values in (strengths, goodness)]
    alike = int((people.surely_better & metric.surely_better).sum())
    apart = int((people.surely_better & metric.surely_better.T).sum())
    pairs = len(first)
    low, high = (2 * alike - pairs) / pairs, (pairs - 2 * apart) / pairs
    value = float((signs[0] * signs[1]).mean())
    return Estimate(value, low, high, level, pairs, _PROJECTION, population=people.population)


def _same_rank(strengths: Floats, people: RankSets, goodness: Floats, metric: RankSets, level: float) -> Estimate:
    ranks = [(values > values[:, np.newaxis]).sum(axis=1) for values in (strengths, goodness)]
    best, worst = np.array([people.best, metric.best]), np.array([people.worst, metric.worst])
    overlap = best.max(axis=0) <= worst.min(axis=0)
    is_one = (best.min(axis=0) == best.max(axis=0)) & (best[0] == worst.min(axis=0)) & (best[0] == worst.max(axis=0))
    value = float((ranks[0] == ranks[1]).mean())
    low, high, n = float(is_one.mean()), float(overlap.mean()), len(strengths)
    return Estimate(value, low, high, level, n, _PROJECTION, population=people.population)
