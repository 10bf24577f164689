"""Ranks as sets: the ranks that a model can have, given which others are surely better and which surely worse."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.statistics.inference.estimate import THESE_ANNOTATORS, holm
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.inference.sign_flip import exact_sign_flip
from scoring.statistics.ranking.model_votes import ModelVotes
from scoring.statistics.votes.counts import Floats

Booleans = NDArray[np.bool_]
DRAWS = Resampling(resamples=10_000)
_METHOD = "max-t over all pairs, step-down"


@dataclass(frozen=True, slots=True, eq=False)
class RankSets:
    """surely_better: (K, K) whether the row's model is surely better than the column's. method: how that was found.

    level: the probability with which all sets hold their model's true rank at once. population: the annotators that the
    sets speak about, as in an estimate; empty if no annotator is behind them.
    """

    surely_better: Booleans
    method: str
    level: float
    population: str = ""

    @property
    def best(self) -> tuple[int, ...]:
        """The best rank that each model can have: 1 + the number of models that are surely better."""
        return tuple((1 + self.surely_better.sum(axis=0)).tolist())

    @property
    def worst(self) -> tuple[int, ...]:
        """The worst rank that each model can have: K - the number of models that are surely worse."""
        return tuple((len(self.surely_better) - self.surely_better.sum(axis=1)).tolist())


def rank_sets(values: Floats, covariance: Floats, errors: Floats, freedom: float, *, draws: Resampling) -> RankSets:
    """Return the rank sets of K estimates, higher is better, that are jointly normal.

    values: (K,). covariance: (K, K), of which only correlations of differences are used. errors: (K, K) the standard
    error of each difference. freedom: of t. Each ordered pair is a hypothesis "not better"; it is rejected if its t
    reaches the quantile of the greatest t of all that remain, and the quantile is found anew without the rejected ones.
    The first quantile is that of max |t| over all pairs. draws: level, number and seed of the draws.
    Source: Mogstad, Romano, Shaikh and Wilhelm (2024), "Inference for ranks with applications to mobility across
    neighbourhoods and academic achievement across countries".

    >>> sets = rank_sets(np.array([9.0, 0.0, 0.1]), np.eye(3), np.full((3, 3), 2**0.5), 50, draws=DRAWS)
    >>> sets.best, sets.worst
    ((1, 2, 2), (1, 3, 3))
    """
    first, second = np.triu_indices(len(values), 1)
    observed = _directed((values[first] - values[second]) / errors[first, second])
    deviations = _directed(_t_draws(covariance, freedom, draws))
    active = np.ones(observed.shape, dtype=bool)
    while active.any():
        reached = active & (observed >= np.quantile(deviations[:, active].max(axis=1), draws.level))
        if not reached.any():
            break
        active &= ~reached
    better = np.zeros((len(values), len(values)), dtype=bool)
    better[first, second], better[second, first] = np.split(~active, 2)
    return RankSets(better, f"{_METHOD}, t({freedom:.1f}), {draws.resamples} draws, seed {draws.seed}", draws.level)


def _directed(differences: Floats) -> Floats:
    """(.., 2 pairs): the differences, then those the other way round."""
    return np.concatenate([differences, -differences], axis=-1)


def _t_draws(covariance: Floats, freedom: float, draws: Resampling) -> Floats:
    """(b, pairs) draws of the t of all differences if no model is better than another."""
    rng = np.random.default_rng(draws.seed)
    first, second = np.triu_indices(len(covariance), 1)
    drawn = rng.multivariate_normal(np.zeros(len(covariance)), covariance, draws.resamples, method="eigh")
    variances = np.diag(covariance)[first] + np.diag(covariance)[second] - 2 * covariance[first, second]
    scale = np.sqrt(rng.chisquare(freedom, draws.resamples) / freedom)
    spread = np.sqrt(np.maximum(variances, np.finfo(float).tiny))
    return np.asarray((drawn[:, first] - drawn[:, second]) / spread / scale[:, np.newaxis], dtype=np.float64)


def sign_test_rank_sets(votes: ModelVotes, *, level: float) -> RankSets:
    """Return rank sets by a sign-flip test of each pair of models: for designs without a fit.

    Each prompt's votes for one model minus those for the other keep or change their sign together; Holm corrects for
    the number of pairs. Models that were never compared are never surely better. It speaks about these annotators.

    >>> votes = ModelVotes.of([(p, 0) for p in range(8)], [(0, 1)] * 8, [1] * 8, model_count=2)
    >>> sign_test_rank_sets(votes, level=0.95).best
    (1, 2)
    """
    pairs = [(i, j) for i in range(votes.model_count) for j in range(i + 1, votes.model_count)]
    sums = [_by_prompt(votes, i, j) for i, j in pairs]
    adjusted = holm([exact_sign_flip(values) if len(values) else None for values in sums])
    better = np.zeros((votes.model_count, votes.model_count), dtype=bool)
    for (i, j), values, p in zip(pairs, sums, adjusted, strict=True):
        if p is not None and p <= 1 - level:
            better[(i, j) if values.sum() > 0 else (j, i)] = True
    method = "sign-flip tests of prompts for each pair of models, Holm; these annotators"
    return RankSets(better, method, level, THESE_ANNOTATORS)


def _by_prompt(votes: ModelVotes, model: int, other: int) -> NDArray[np.int64]:
    """(g,) votes for one model minus votes for another, in each prompt on which they were compared."""
    forward = (votes.left == model) & (votes.right == other)
    is_between = forward | ((votes.left == other) & (votes.right == model))
    gain = np.where(forward, votes.choice, -votes.choice)[is_between]
    _prompts, place = np.unique(votes.prompt[is_between], return_inverse=True)
    return np.bincount(place, weights=gain).astype(np.int64) if len(gain) else np.zeros(0, dtype=np.int64)
