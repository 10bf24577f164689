"""The ranking of K models by people's votes: Bradley-Terry with ties, for annotators and prompts like these."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from scoring.statistics.inference.estimate import ANNOTATORS_LIKE_THESE, Estimate
from scoring.statistics.people.two_way_jackknife import too_few
from scoring.statistics.ranking.davidson import Layout, fit, why_no_fit
from scoring.statistics.ranking.model_votes import ModelVotes, PairwiseTable, pairwise_table
from scoring.statistics.ranking.rank_sets import DRAWS, RankSets, rank_sets, sign_test_rank_sets
from scoring.statistics.ranking.two_way_scores import TwoWayCovariance, two_way_covariance
from scoring.statistics.votes.counts import Floats

_METHOD = "two-way clustered scores of Bradley-Terry with ties"
_NO_SPREAD = 1e-24


@dataclass(frozen=True, slots=True, eq=False)
class PeopleRanking:
    """strengths: K log strengths that add up to zero, a difference being the logarithm of the odds of a decided vote.

    differences: of each pair (i, j) with i < j, strength i minus strength j, in the order (0, 1), (0, 2) ..; each
    interval stands for itself. ties: nu of Davidson, 0 if no vote is a tie. side: by what the strength of the model
    shown left is multiplied, or None if it was not asked for. ranks: hold all true ranks at once. reason: why there is
    no fit, else empty; the estimates are then undefined and the ranks come from pairwise tests.
    """

    strengths: tuple[Estimate, ...]
    differences: tuple[Estimate, ...]
    ties: Estimate
    side: Estimate | None
    ranks: RankSets
    table: PairwiseTable
    reason: str = ""


def people_ranking(
    votes: ModelVotes, *, names: tuple[str, ...] = (), side_effect: bool = False, level: float = 0.95
) -> PeopleRanking:
    """Rank models by votes.

    P(i is chosen over j) = p_i / (p_i + p_j + nu sqrt(p_i p_j)), P(tie) = nu sqrt(p_i p_j) / (the same sum). A side
    effect multiplies the strength of the model shown left, not the tie term. Intervals: the variance over prompts, plus
    that over annotators, minus that over the votes of one annotator on one prompt, and never below the larger of the
    first two, with t. With fewer than six prompts or annotators there are values, no intervals, and ranks by pairwise
    tests.
    names: of the models, for reasons. Source: see `davidson`, `two_way_scores` and `rank_sets`.

    >>> cast = [(p, j, 1 if (p + j) % 3 else -1) for p in range(9) for j in range(7)]
    >>> votes = ModelVotes.of([row[:2] for row in cast], [(0, 1)] * 63, [row[2] for row in cast], model_count=2)
    >>> found = people_ranking(votes)
    >>> round(found.differences[0].value or 0, 4), found.ranks.best  # log(42 / 21)
    (0.6931, (1, 2))
    """
    layout = Layout.of(votes, side_effect=side_effect)
    reason = why_no_fit(votes, layout, names or tuple(f"model {model}" for model in range(votes.model_count)))
    if reason:
        return _without_fit(votes, reason, side_effect=side_effect, level=level)
    parameters = fit(layout)
    covariance = two_way_covariance(votes, layout, parameters)
    fitted = _Fitted(parameters, covariance, level, len(votes.choice))
    models = np.column_stack([layout.basis, np.zeros((votes.model_count, len(parameters) - layout.basis.shape[1]))])
    first, second = np.triu_indices(votes.model_count, 1)
    ties, side = layout.basis.shape[1], len(parameters) - 1
    return PeopleRanking(
        strengths=tuple(fitted.estimate(row) for row in models),
        differences=tuple(fitted.estimate(row) for row in models[first] - models[second]),
        ties=_exponential(fitted.of_parameter(ties)) if layout.has_ties else _no_ties(fitted),
        side=_exponential(fitted.of_parameter(side)) if side_effect else None,
        ranks=sign_test_rank_sets(votes, level=level) if fitted.reason else fitted.ranks(models),
        table=pairwise_table(votes),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """Fitted parameters (q,) with their covariance."""

    parameters: Floats
    covariance: TwoWayCovariance
    level: float
    n: int

    @property
    def reason(self) -> str:
        """Why no estimate has an interval, else empty."""
        few = too_few(self.covariance.prompts, self.covariance.annotators)
        if few or self.covariance.is_defined:
            return few
        return "undefined without the votes of an annotator or on a prompt"

    def of_parameter(self, place: int) -> Estimate:
        """Return the estimate of one parameter."""
        return self.estimate(np.eye(len(self.parameters))[place])

    def estimate(self, contrast: Floats) -> Estimate:
        """Return the estimate of a contrast (q,) of the parameters."""
        value, reason = float(contrast @ self.parameters), self.reason
        variance, freedom = (0.0, 0.0) if reason else self.covariance.variance(contrast)
        if not reason and not variance > _NO_SPREAD:
            reason = "the same without the votes of an annotator or on a prompt"
        if reason:
            return Estimate(value, None, None, self.level, self.n, _METHOD, reason, ANNOTATORS_LIKE_THESE)
        reach = float(stdtrit(freedom, (1 + self.level) / 2)) * variance**0.5
        found = self.covariance
        method = f"{_METHOD}, {found.prompts} prompts and {found.annotators} annotators, t({freedom:.1f})"
        population = ANNOTATORS_LIKE_THESE
        return Estimate(value, value - reach, value + reach, self.level, self.n, method, population=population)

    def ranks(self, models: Floats) -> RankSets:
        """Return the rank sets of the models, (K, q) contrasts; t of the pair with the fewest degrees of freedom."""
        count = len(models)
        pairs = [[self.covariance.variance(one - other) for other in models] for one in models]
        variances = np.array([[found[0] for found in row] for row in pairs])
        freedom = min(pairs[i][j][1] for i in range(count) for j in range(count) if i != j)
        errors = np.sqrt(np.maximum(variances, _NO_SPREAD))
        joint = models @ self.covariance.joint @ models.T
        sets = rank_sets(models @ self.parameters, joint, errors, freedom, draws=replace(DRAWS, level=self.level))
        return replace(sets, population=ANNOTATORS_LIKE_THESE)


def _exponential(estimate: Estimate) -> Estimate:
    """Return the estimate of exp(value)."""
    ends = (estimate.value, estimate.low, estimate.high)
    value, low, high = (None if end is None else float(np.exp(end)) for end in ends)
    return replace(estimate, value=value, low=low, high=high)


def _no_ties(fitted: _Fitted) -> Estimate:
    return Estimate(0.0, None, None, fitted.level, fitted.n, _METHOD, "no vote is a tie", ANNOTATORS_LIKE_THESE)


def _without_fit(votes: ModelVotes, reason: str, *, side_effect: bool, level: float) -> PeopleRanking:
    nothing = Estimate.undefined(reason, n=len(votes.choice), level=level, method=_METHOD)
    return PeopleRanking(
        strengths=(nothing,) * votes.model_count,
        differences=(nothing,) * (votes.model_count * (votes.model_count - 1) // 2),
        ties=nothing,
        side=nothing if side_effect else None,
        ranks=sign_test_rank_sets(votes, level=level),
        table=pairwise_table(votes),
        reason=reason,
    )
