"""The crossed model as a report prints it: what makes votes, and what a new annotator on a new prompt would do.

logit P(vote for A) = intercept + (slope + sensitivity of the annotator) x margin + (side effect + side bias of the
annotator) x side + cluster + prompt + taste of the annotator; with tie votes a cumulative logit of A > tie > B.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.people.crossed_model import expected
from scoring.statistics.people.crossed_model.expected import Parameters
from scoring.statistics.people.crossed_model.fitting import Fit, NoFiniteFit, corrected, fit, profile_limits
from scoring.statistics.people.crossed_model.many_votes import drawn, with_fixed_effects_of_all
from scoring.statistics.people.crossed_model.problem import (
    CLUSTERS,
    EFFECTS,
    MARGIN,
    PROMPTS,
    SENSITIVITY,
    SIDE,
    SIDE_BIAS,
    TASTE,
    NoModel,
    Problem,
    pose,
)
from scoring.statistics.people.two_way_jackknife import too_few
from scoring.statistics.votes.counts import Floats
from scoring.statistics.votes.votes import Votes

CHANCE = float(np.pi**2 / 3)  # the variance of the logistic distribution
PLANNED_PROMPTS, PLANNED_ANNOTATORS = (30, 50, 100, 200, 400), (5, 10, 20, 50)
_FAR_FROM_ZERO = 6.0  # standard errors: the logarithm is then nearly normal, and very many votes take no longer
_STEP = 1e-4
_RUNAWAY = {
    MARGIN: "the margin separates the votes, so that its slope has no finite estimate",
    SIDE: "the side separates the votes, so that its effect has no finite estimate",
    PROMPTS: "votes on the same comparison hardly differ, so that the variance of prompts has no finite estimate",
    CLUSTERS: "votes in the same cluster hardly differ, so that the variance of clusters has no finite estimate",
    TASTE: "annotators hardly change their vote, so that the variance of taste has no finite estimate",
    SENSITIVITY: "annotators take the margin in opposite ways, so that their sensitivity has no finite variance",
    SIDE_BIAS: "annotators vote by opposite sides, so that their side bias has no finite variance",
}


@dataclass(frozen=True, slots=True)
class VarianceOf:
    """The variance of one random effect on the logit scale; undefined, with the reason, if it is not in the model."""

    name: str
    variance: Estimate


@dataclass(frozen=True, slots=True)
class ShareOf:
    """The share of the latent variance of a vote that one part explains; all parts together make one."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class PlannedError:
    """The expected standard error of the agreement of single votes with the metric, in a study of another size.

    votes: on each prompt.
    """

    prompts: int
    annotators: int
    votes: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class CrossedModel:
    """The fitted model.

    reason: why there is none, or empty. margin_scale: the standard deviation of the margins, in the metric's unit; the
    slope is for one of them. side: log odds of a vote for the model on the left. intercept: log odds of A at margin
    zero. thresholds: of the cumulative logit. with_metric, with_another: the expected agreement of a new annotator's
    vote on a new prompt with the metric, and with another annotator's; a tie on one side only counts one half.
    warnings: what to be careful about, as clauses.
    """

    reason: str
    votes: int
    comparisons: int
    annotators: int
    margin_scale: float | None
    slope: Estimate
    side: Estimate
    intercept: Estimate
    thresholds: tuple[Estimate, ...]
    variances: tuple[VarianceOf, ...]
    shares: tuple[ShareOf, ...]
    with_metric: Estimate
    with_another: Estimate
    planned: tuple[PlannedError, ...]
    warnings: tuple[str, ...] = ()


def crossed_model(
    votes: Votes, margin: ArrayLike, side: ArrayLike, *, clusters: ArrayLike | None = None, resampling: Resampling
) -> CrossedModel:
    """Fit the model by the Laplace approximation, corrected by one step with the next term of its expansion.

    margin: (n,) score of A minus score of B. side: (v,) one half if A was shown left, minus one half if B, NaN if
    unknown. clusters: (n,) labels or None. resampling: its level, and its seed if a part of the votes is drawn.
    All random effects are independent and normal. The stopping of a study that looks at votes only does not bias a
    likelihood, so that all votes count.
    Source: Baayen, Davidson and Bates (2008), "Mixed-effects modeling with crossed random effects"; McCullagh (1980)
    for ordered votes.

    >>> votes = Votes.of([0], [0], [1])
    >>> crossed_model(votes, [2.0], [0.5], resampling=Resampling()).reason
    'one annotator only, so that taste and chance cannot be told apart'
    """
    # With matrices of this size the threads of BLAS wait for each other: on a busy machine one is ten times as fast.
    with threadpool_limits(limits=1, user_api="blas"):
        try:
            problem = pose(votes, margin, side, clusters)
            return _fitted(problem, resampling)
        except NoModel as reason:
            return _without_model(votes, str(reason), resampling.level)
        except NoFiniteFit as fault:
            name = problem.names[fault.parameter]
            return _without_model(
                votes,
                _RUNAWAY.get(name, f"the votes are so few or so one-sided that {name} has no finite estimate"),
                resampling.level,
            )


def _fitted(problem: Problem, resampling: Resampling) -> CrossedModel:
    part = replace(problem, design=drawn(problem.design, resampling.seed))
    of_part = corrected(part.design, fit(part.design, problem.in_model))
    of_all = of_part if part.design is problem.design else with_fixed_effects_of_all(problem.design, of_part)
    variances = tuple(VarianceOf(name, _variance(part, of_part, name, resampling.level)) for name in EFFECTS)
    found = replace(
        _summary(problem, of_all, resampling.level),
        variances=variances,
        warnings=_on_the_draw(problem, part, resampling.seed),
    )
    few = too_few(problem.design.cluster_count, problem.design.annotator_count)
    return _without_intervals(found, few) if few else found


def _without_intervals(model: CrossedModel, reason: str) -> CrossedModel:
    """Return the model without its intervals: with so few annotators or clusters they would mean nothing."""

    def bare(one: Estimate) -> Estimate:
        return replace(one, low=None, high=None, reason=one.reason or reason)

    return replace(
        model,
        slope=bare(model.slope),
        side=bare(model.side),
        intercept=bare(model.intercept),
        with_metric=bare(model.with_metric),
        with_another=bare(model.with_another),
        thresholds=tuple(bare(one) for one in model.thresholds),
        variances=tuple(replace(one, variance=bare(one.variance)) for one in model.variances),
    )


def _without_model(votes: Votes, reason: str, level: float) -> CrossedModel:
    nothing = Estimate.undefined(reason, n=len(np.unique(votes.comparison)), level=level)
    counts = len(votes.choice), len(np.unique(votes.comparison)), len(np.unique(votes.annotator))
    return CrossedModel(reason, *counts, None, nothing, nothing, nothing, (), (), (), nothing, nothing, ())


def _summary(problem: Problem, fitted: Fit, level: float) -> CrossedModel:
    """Return everything but the variances and the warnings."""
    design, count = problem.design, problem.design.threshold_count
    middle = np.zeros(len(fitted.parameters))
    middle[0] -= 0.5
    middle[count - 1] -= 0.5  # the same threshold without ties
    model = _parameters(problem, fitted.parameters)
    with_metric, with_another = _expected(problem, fitted, level)
    return CrossedModel(
        reason="",
        votes=len(design.category),
        comparisons=design.comparison_count,
        annotators=design.annotator_count,
        margin_scale=problem.margin_scale,
        slope=_wald(problem, fitted, _unit(problem, MARGIN), level),
        side=_side(problem, fitted, level),
        intercept=_wald(problem, fitted, middle, level),
        thresholds=tuple(_wald(problem, fitted, _unit(problem, f"threshold {k + 1}"), level) for k in range(count)),
        variances=(),
        shares=_shares(model, problem.margins),
        with_metric=with_metric,
        with_another=with_another,
        planned=_planned(problem, model),
    )


def _on_the_draw(problem: Problem, part: Problem, seed: int) -> tuple[str, ...]:
    if part.design is problem.design:
        return ()
    return (
        f"there are very many votes, so the variances come from {len(part.design.category)} votes on "
        f"{part.design.comparison_count} comparisons by {part.design.annotator_count} annotators, drawn with seed "
        f"{seed}; the other numbers rest on all votes and on these variances",
    )


def _unit(problem: Problem, name: str) -> Floats:
    return np.array([float(one == name) for one in problem.names])


def _wald(problem: Problem, fitted: Fit, weights: Floats, level: float) -> Estimate:
    """A weighted sum of parameters with the interval of Wald, by t with one degree of freedom fewer than annotators.

    The normal distribution covered less, also with thirty annotators (docs/decisions/2026-11-29-crossed-model.md).
    """
    design = problem.design
    value, error = float(weights @ fitted.parameters), float(np.sqrt(weights @ fitted.covariance @ weights))
    reach = _quantile(level, design.annotator_count) * error
    n, method = design.comparison_count, "Wald, t over annotators, corrected Laplace"
    return Estimate(value, value - reach, value + reach, level, n, method)


def _quantile(level: float, groups: int) -> float:
    return float(scipy.stats.t.ppf((1 + level) / 2, groups - 1))


def _side(problem: Problem, fitted: Fit, level: float) -> Estimate:
    if problem.has_side:
        return _wald(problem, fitted, _unit(problem, SIDE), level)
    return Estimate.undefined(problem.left_out[SIDE], n=problem.design.comparison_count, level=level)


def _variance(problem: Problem, fitted: Fit, name: str, level: float) -> Estimate:
    """A variance with its interval, near zero by the profile likelihood; at zero it has an upper limit only.

    The quantile is that of t squared with one degree of freedom fewer than groups, like the interval of the slope. With
    that of chi-squared intervals held less for six annotators (docs/decisions/2026-11-29-crossed-model.md).
    """
    design = problem.design
    n = {PROMPTS: design.comparison_count, CLUSTERS: design.cluster_count}.get(name, design.annotator_count)
    if name in problem.left_out:
        return Estimate.undefined(problem.left_out[name], n=n, level=level)
    index = problem.names.index(name)
    scale, error, at = float(fitted.parameters[index]), float(fitted.errors[index]), _quantile(level, n)
    if scale > _FAR_FROM_ZERO * error > 0:
        factor = float(np.exp(2 * at * error / scale))
        method = "Wald, of the logarithm, corrected Laplace"
        return Estimate(scale**2, scale**2 / factor, scale**2 * factor, level, n, method)
    method = "profile likelihood, corrected Laplace"
    try:
        low, high = profile_limits(design, fitted, index, most_fall=at**2)
    except NoFiniteFit:
        low, high = 0.0, None
    if high is None:
        return Estimate(scale**2, None, None, level, n, method, "the votes do not bound it from above")
    return Estimate(scale**2, low**2, high**2, level, n, method)


def _parameters(problem: Problem, values: Floats) -> Parameters:
    """Return the parameters by name; those that are not in the model are zero."""
    found = dict(zip(problem.names, values.tolist(), strict=True))
    return Parameters(
        thresholds=values[: problem.design.threshold_count],
        margin=found[MARGIN],
        side=found.get(SIDE, 0.0),
        prompt=found[PROMPTS],
        cluster=found[CLUSTERS],
        taste=found.get(TASTE, 0.0),
        sensitivity=found.get(SENSITIVITY, 0.0),
        side_bias=found.get(SIDE_BIAS, 0.0),
    )


def _shares(model: Parameters, margins: Floats) -> tuple[ShareOf, ...]:
    """The parts of the variance of a vote's latent value; sides are drawn evenly, the margins have variance one."""
    parts = {
        MARGIN: model.margin**2,
        PROMPTS: model.prompt**2,
        CLUSTERS: model.cluster**2,
        TASTE: model.taste**2,
        SENSITIVITY: model.sensitivity**2 * float((margins**2).mean()),
        SIDE: (model.side**2 + model.side_bias**2) / 4,
        "chance": CHANCE,
    }
    total = sum(parts.values())
    return tuple(ShareOf(name, part / total) for name, part in parts.items())


def _expected(problem: Problem, fitted: Fit, level: float) -> tuple[Estimate, Estimate]:
    """The expected agreements with intervals by the delta method on the logit scale, by t over the fewer groups.

    The margins are a sample of those of other prompts, which widens the intervals.
    """
    design, free, n = problem.design, np.flatnonzero(fitted.is_free), problem.design.comparison_count

    def each(values: Floats) -> Floats:
        return expected.expected_agreements(_parameters(problem, values), problem.margins)

    def at(values: Floats) -> Floats:
        return np.asarray(each(values).mean(axis=0))

    value, slopes = at(fitted.parameters), np.empty((len(free), 2))
    for row, index in enumerate(free):
        step = np.zeros(len(fitted.parameters))
        step[index] = _STEP
        slopes[row] = (at(fitted.parameters + step) - at(fitted.parameters - step)) / (2 * _STEP)
    variance = np.einsum("ij,ik,kj->j", slopes, fitted.covariance[np.ix_(free, free)], slopes)
    variance += _of_margins(problem, each(fitted.parameters))
    quantile = _quantile(level, min(design.annotator_count, max(design.cluster_count, 2)))
    reach = quantile * np.sqrt(variance) / (value * (1 - value))
    odds = np.log(value / (1 - value))
    low, high = 1 / (1 + np.exp(reach - odds)), 1 / (1 + np.exp(-reach - odds))
    method = "delta method, logit, t over annotators, corrected Laplace"
    first, second = (Estimate(float(value[k]), float(low[k]), float(high[k]), level, n, method) for k in (0, 1))
    return first, second


def _of_margins(problem: Problem, each: Floats) -> Floats:
    """(2,) variance of the mean agreements over clusters of margins. each: at each margin, or at those that stand for
    them."""
    design, n = problem.design, problem.design.comparison_count
    if len(each) < n:
        at = expected.represented(problem.margins)
        each = np.column_stack([np.interp(problem.margins, at, column) for column in each.T])
    sums = np.stack([design.by_cluster(column) for column in (each - each.mean(axis=0)).T])
    return np.asarray((sums**2).sum(axis=1) / n**2 * design.cluster_count / max(design.cluster_count - 1, 1))


def _planned(problem: Problem, model: Parameters) -> tuple[PlannedError, ...]:
    """Expected standard errors with as many votes on each prompt as in this study."""
    design, spread = problem.design, expected.credit_variance(model, problem.margins)
    votes = len(design.category) / design.comparison_count
    return tuple(
        PlannedError(
            prompts, annotators, votes, spread.standard_error(prompts=prompts, annotators=annotators, votes=votes)
        )
        for prompts in PLANNED_PROMPTS
        for annotators in PLANNED_ANNOTATORS
        if annotators >= votes
    )
