"""The log-likelihood of the crossed model by the Laplace approximation, with its gradient."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scoring.statistics.people.crossed_model.design import Curvature, Design, Effects
from scoring.statistics.people.crossed_model.ordered_logit import OrderedLogit, ordered_logit
from scoring.statistics.votes.counts import Floats

_CONVERGED, _MOST_STEPS, _MOST_HALVINGS = 1e-10, 100, 40
_SLOW = 0.1  # of the gain of the step before: a step that gains more has an old curvature


@dataclass(frozen=True, slots=True, eq=False)
class Mode:
    """The most likely random effects at given parameters, standardised, and what the votes say there."""

    effects: Effects
    votes: OrderedLogit
    curvature: Curvature
    height: float  # the log-likelihood there, less half the sum of squares of the effects


class Laplace:
    """log of the integral of the likelihood over the random effects, approximated at their mode.

    Parameters are one array: K - 1 thresholds, p fixed effects, then standard deviations of prompts, of clusters and of
    the r effects of annotators. The likelihood is even in each standard deviation, so that an optimiser may pass zero.
    Each mode is searched from the previous one. An effect of annotators whose standard deviation is zero takes no part
    in the linear algebra, and the derivative by it is zero.
    Source: Tierney and Kadane (1986); for crossed effects Bates et al. (2015), "Fitting linear mixed-effects models
    using lme4", and Christensen (2019) for ordered categories.
    """

    def __init__(self, design: Design, curvature: type[Curvature] = Curvature) -> None:
        self.design, self._curvature = design, curvature
        self._effects = Effects.zeros(design)
        self._before: Curvature | None = None
        self._smaller: dict[bytes, Laplace] = {}  # without some effects of annotators, by those that are left

    def value_and_gradient(self, parameters: Floats) -> tuple[float, Floats]:
        """Return the log-likelihood and its derivative by each parameter. Thresholds must increase."""
        smaller, is_left = self._without_zeros(parameters)
        gradient = np.zeros(len(parameters))
        value, gradient[is_left] = smaller._of_all(parameters[is_left])
        return value, gradient

    def next_term(self, parameters: Floats) -> float:
        """Return the next term of Laplace's expansion of the log-likelihood.

        It is the sum of l4_v h_vv² / 8 over votes v, plus the sum of l3_v l3_w (h_vv h_vw h_ww / 8 + h_vw³ / 12) over
        votes v and w. h: the covariances of the votes' latent values; l3, l4: the third and fourth derivatives of a
        vote's log-likelihood. h_vw³ counts only for votes on the same comparison: the others add next to nothing.
        Source: Shun and McCullagh (1995), "Laplace approximation of high dimensional integrals".
        """
        smaller, is_left = self._without_zeros(parameters)
        design, scales = smaller.design, parameters[is_left][self.design.fixed_count :]
        mode = smaller._find_mode(parameters[is_left])
        own = np.column_stack(mode.curvature.rows()) * scales
        variance, shared = own.sum(axis=1), own[:, 0] + own[:, 1]
        third, fourth = -mode.votes.weight_slope, -mode.votes.weight_curve
        pulled = _pulled(design, scales, third * variance)
        of_pairs = design.by_comparison(third * shared) * design.by_comparison(third * shared**2)
        single = fourth @ variance**2 + pulled.dot(mode.curvature.solve(pulled))
        return float(single / 8 + of_pairs.sum() / 12)

    def information(self, parameters: Floats) -> Floats:
        """Return minus the second derivatives by thresholds and fixed effects, the random effects following them.

        The determinant in Laplace's approximation is taken as constant: its second derivatives count for little.
        """
        smaller, is_left = self._without_zeros(parameters)
        design, scales = smaller.design, parameters[is_left][self.design.fixed_count :]
        mode = smaller._find_mode(parameters[is_left])
        of_thresholds = mode.votes.by_threshold(design.category, design.threshold_count)
        columns = np.column_stack([-of_thresholds, mode.votes.weight[:, np.newaxis] * design.fixed])
        pulled = [_pulled(design, scales, column) for column in columns.T]
        followed = [mode.curvature.solve(one) for one in pulled]
        explained = np.array([[one.dot(other) for other in followed] for one in pulled])
        information: Floats = mode.votes.information(design.category, design.fixed, design.threshold_count) - explained
        return information

    def _without_zeros(self, parameters: Floats) -> tuple["Laplace", NDArray[np.bool_]]:
        """Return the likelihood without the effects of annotators at zero, and which parameters it keeps."""
        design = self.design
        varies = parameters[design.fixed_count + 2 :] != 0
        varies[0] |= not varies.any()  # the algebra needs one
        is_left = np.concatenate([np.ones(design.fixed_count + 2, dtype=bool), varies])
        if varies.all():
            return self, is_left
        smaller = self._smaller.get(varies.tobytes())
        if smaller is None:
            smaller = Laplace(replace(design, varying=design.varying[:, varies]), self._curvature)
            self._smaller[varies.tobytes()] = smaller
        return smaller, is_left

    def _of_all(self, parameters: Floats) -> tuple[float, Floats]:
        design = self.design
        scales = parameters[design.fixed_count :]
        mode = self._find_mode(parameters)
        votes, own = mode.votes, np.column_stack(mode.curvature.rows())
        leverage = own @ scales
        third = leverage * votes.weight_slope / 2
        # how the mode moves with a parameter, times how log det H changes with the mode
        moved = mode.curvature.solve(_pulled(design, scales, third))
        response = _latent(design, scales, moved)
        by_latent = votes.slope - third + response * votes.weight
        by_threshold = votes.summed_by_threshold(design.category, leverage, response, design.threshold_count)
        by_scale = _spread(design, mode.effects, by_latent) - votes.weight @ own - _spread(design, moved, votes.slope)
        value = mode.height - mode.curvature.log_determinant / 2
        return value, np.concatenate([by_threshold, design.fixed.T @ by_latent, by_scale])

    def _find_mode(self, parameters: Floats) -> Mode:
        """Newton's method; the penalised log-likelihood is concave, so halved steps reach its only mode.

        A curvature serves for several steps, at first that of the previous mode, as long as each step gains much less
        than the one before.
        """
        design = self.design
        scales, offset = parameters[design.fixed_count :], self._offset(parameters)
        thresholds = parameters[: design.threshold_count]

        def at(effects: Effects) -> tuple[OrderedLogit, float]:
            votes = ordered_logit(offset + _latent(design, scales, effects), thresholds, design.category)
            return votes, float(votes.value.sum()) - effects.dot(effects) / 2

        effects, gain = self._effects, np.inf
        votes, height = at(effects)
        curvature = self._before or self._curvature(design, scales, votes.weight)
        for _ in range(_MOST_STEPS):
            uphill = _pulled(design, scales, votes.slope).moved(effects, -1.0)
            slow, step = _SLOW * gain, curvature.solve(uphill)
            gain = uphill.dot(step)
            if gain > slow:
                curvature = self._curvature(design, scales, votes.weight)
                step = curvature.solve(uphill)
                gain = uphill.dot(step)
            if gain < _CONVERGED:
                break
            share = 1.0
            for _ in range(_MOST_HALVINGS):
                tried = effects.moved(step, share)
                votes, reached = at(tried)
                if reached >= height:
                    break
                share /= 2
            effects, height = tried, reached
        self._effects, self._before = effects, self._curvature(design, scales, votes.weight)
        return Mode(effects, votes, self._before, height)

    def _offset(self, parameters: Floats) -> Floats:
        offset: Floats = self.design.fixed @ parameters[self.design.threshold_count : self.design.fixed_count]
        return offset


def _latent(design: Design, scales: Floats, effects: Effects) -> Floats:
    """(v,) what the random effects add to the latent value of each vote."""
    of_comparison = scales[0] * effects.prompts + scales[1] * effects.clusters[design.cluster]
    of_annotator = (design.varying * scales[2:] * effects.annotators[design.columns]).sum(axis=1)
    latent: Floats = of_comparison[design.comparison] + of_annotator
    return latent


def _pulled(design: Design, scales: Floats, values: Floats) -> Effects:
    """Sums of (v,) values over the votes of each effect, times its scale: the transpose of `_latent`."""
    by_comparison = design.by_comparison(values)
    annotators = design.by_annotator(design.varying * scales[2:] * values[:, np.newaxis])
    return Effects(scales[0] * by_comparison, scales[1] * design.by_cluster(by_comparison), annotators)


def _spread(design: Design, effects: Effects, values: Floats) -> Floats:
    """(2 + r,) sums over votes of values times the vote's own effect, by kind of effect."""
    by_comparison = design.by_comparison(values)
    of_annotators = values @ (design.varying * effects.annotators[design.columns])
    clusters = design.by_cluster(by_comparison) @ effects.clusters
    return np.concatenate([[by_comparison @ effects.prompts, clusters], of_annotators])
