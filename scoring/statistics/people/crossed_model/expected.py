"""The expectations of a fitted crossed model: agreement of new annotators on new prompts, and how it varies."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import expit

from scoring.statistics.agreement.agreement import METRIC_TIE
from scoring.statistics.votes.counts import Floats

_NODES, _FEW_NODES = 21, 7  # of Gauss-Hermite quadrature: one dimension, and each of three
MOST_MARGINS, _FEW_MARGINS = 400, 50  # more margins are represented by evenly spaced ones of their order
_SIDES = np.array((0.5, -0.5))  # each side as often as the other


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """A crossed model of margins in units of their standard deviation.

    thresholds: (1,) of two categories or (2,) with ties. margin, side: fixed effects. prompt, cluster, taste,
    sensitivity, side_bias: standard deviations.
    """

    thresholds: Floats
    margin: float
    side: float
    prompt: float
    cluster: float
    taste: float
    sensitivity: float
    side_bias: float

    def by_annotators(self, margins: Floats) -> Floats:
        """The variance between annotators of the latent value, at each margin."""
        return self.taste**2 + self.sensitivity**2 * margins**2 + self.side_bias**2 / 4

    @property
    def shared(self) -> float:
        """The variance of what two votes on the same comparison share beside its margin."""
        return self.prompt**2 + self.cluster**2


@dataclass(frozen=True, slots=True)
class CreditVariance:
    """The variance of the credit of one vote against the metric, in parts, for new prompts and annotators.

    mean: of the credit. prompts: covariance of two annotators' credits on one prompt. annotators: covariance of one
    annotator's credits on two prompts. votes: the rest.
    """

    mean: float
    prompts: float
    annotators: float
    votes: float

    def standard_error(self, *, prompts: int, annotators: int, votes: float) -> float:
        """Return the standard error of the mean credit. votes: of each prompt, shared evenly by the annotators."""
        variance = self.prompts / prompts + self.annotators / annotators + self.votes / (prompts * votes)
        return float(np.sqrt(max(variance, 0.0)))


def expected_agreements(model: Parameters, margins: Floats) -> Floats:
    """(m, 2) agreement of a new annotator's vote on a new prompt with the metric, and with another annotator's.

    margins: (n,) scaled, of prompts like the new one. There is a row for each of them, or for each of 400 that stand
    for them if there are more. A tie on one side only counts one half, on both sides one. Two people share the margin
    and the effects of prompt and cluster; their sides are drawn separately.

    >>> coin = Parameters(np.zeros(1), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    >>> expected_agreements(coin, np.array([-1.0, 1.0])).round(9).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    at = represented(margins)
    alone = model.by_annotators(at) + model.shared
    with_metric = _credit(_below(model, at, alone), at)
    nodes, weights = _quadrature(_NODES)
    shared = np.sqrt(model.shared) * nodes if model.shared else np.zeros(1)
    likely = weights if model.shared else np.ones(1)
    below = _below(model, at[:, np.newaxis], model.by_annotators(at)[:, np.newaxis], shared)
    alike = 1 - (below * (1 - below)).sum(axis=0) * (2 / len(model.thresholds))
    return np.column_stack([with_metric, alike @ likely])


def represented(margins: Floats, *, most: int = MOST_MARGINS) -> Floats:
    """Return the margins, or `most` of them at evenly spaced ranks, in their order, if there are more.

    >>> represented(np.array([3.0, 1.0, 2.0, 4.0]), most=2).tolist()
    [2.0, 4.0]
    """
    if len(margins) <= most:
        return margins
    ranks = ((np.arange(most) + 0.5) * len(margins) / most).astype(np.int64)
    return np.asarray(np.sort(margins)[ranks], dtype=np.float64)


def credit_variance(model: Parameters, margins: Floats) -> CreditVariance:
    """Return the parts of the variance of a vote's credit against the metric.

    >>> coin = Parameters(np.zeros(1), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    >>> round(credit_variance(coin, np.array([-1.0, 1.0])).standard_error(prompts=50, annotators=10, votes=2), 3)
    0.05
    """
    at = represented(margins, most=_FEW_MARGINS)
    below = _below(model, at, model.by_annotators(at) + model.shared)
    credit = _credit(below, at)
    mean = float(credit.mean())
    squared = float((credit - _half_credits(below, at) / 4).mean())
    nodes, weights = _quadrature(_NODES)
    shared = np.sqrt(model.shared) * nodes
    within = _below(model, at[:, np.newaxis], model.by_annotators(at)[:, np.newaxis], shared)
    by_prompt = float((_credit(within, at[:, np.newaxis]) ** 2 @ weights).mean()) - mean**2
    by_annotator = _mean_square_by_annotator(model, at) - mean**2
    return CreditVariance(mean, by_prompt, by_annotator, squared - mean**2 - by_prompt - by_annotator)


def _mean_square_by_annotator(model: Parameters, margins: Floats) -> float:
    """Return the mean over annotators of the square of an annotator's mean credit."""
    kinds = [_of_scale(scale) for scale in (model.taste, model.sensitivity, model.side_bias)]
    taste, sensitivity, bias = (
        one[..., np.newaxis] for one in np.meshgrid(*[nodes for nodes, _ in kinds], indexing="ij")
    )
    weights = np.einsum("i,j,k->ijk", *[weights for _, weights in kinds])
    latent = taste + (model.margin + sensitivity) * margins
    below = np.zeros((len(model.thresholds), *latent.shape))
    for side in _SIDES:
        moved = latent + (model.side + bias) * side
        below += [_smoothed(threshold - moved, np.array(model.shared)) / 2 for threshold in model.thresholds]
    own = _credit(below, margins).mean(axis=-1)
    return float((weights * own**2).sum())


def _below(model: Parameters, margins: Floats, variance: Floats, shared: Floats | float = 0.0) -> Floats:
    """(thresholds, ...) chances of a vote below each threshold, averaged over sides and over effects of `variance`.

    margins, variance, shared: broadcast against each other; shared is added to the latent value.
    """
    latent = model.margin * margins + shared
    sides = [
        np.stack([_smoothed(threshold - latent - model.side * side, variance) for threshold in model.thresholds])
        for side in _SIDES
    ]
    return (sides[0] + sides[1]) / 2


def _smoothed(value: Floats, variance: Floats) -> Floats:
    """Return the logistic function averaged over a normal distribution around each value."""
    nodes, weights = _quadrature(_NODES)
    scale = np.sqrt(variance)[..., np.newaxis]
    return np.asarray(expit(value[..., np.newaxis] + scale * nodes) @ weights, dtype=np.float64)


def _credit(below: Floats, margins: Floats) -> Floats:
    """Return the mean credit: one minus half the distance of the vote's and the metric's sign."""
    metric = np.where(np.abs(margins) <= METRIC_TIE, 0.0, np.sign(margins))
    lead = 1 - below[0] - below[-1]  # chance of A minus chance of B
    return np.where(metric == 0, (1 + _ties(below)) / 2, (1 + metric * lead) / 2)


def _half_credits(below: Floats, margins: Floats) -> Floats:
    """Return the chance that the credit is one half."""
    ties = _ties(below)
    return np.where(np.abs(margins) <= METRIC_TIE, 1 - ties, ties)


def _ties(below: Floats) -> Floats:
    ties: Floats = below[-1] - below[0]
    return ties


def _of_scale(scale: float) -> tuple[Floats, Floats]:
    """Nodes and weights of a normal effect; one node if it does not vary."""
    nodes, weights = _quadrature(_FEW_NODES)
    return (scale * nodes, weights) if scale else (np.zeros(1), np.ones(1))


@lru_cache
def _quadrature(count: int) -> tuple[Floats, Floats]:
    """Nodes and weights of the standard normal distribution."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()
