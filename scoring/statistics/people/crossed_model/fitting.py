"""Maximum likelihood of the crossed model, the covariance of its parameters, and limits by the profile likelihood."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from scoring.statistics.people.crossed_model.design import Design
from scoring.statistics.people.crossed_model.laplace import Laplace
from scoring.statistics.votes.counts import Floats

MOST_SCALE, MOST_EFFECT = 10.0, 25.0  # on the logit scale; beyond them the chances are 0 and 1 to any precision
_MOST_ERROR = 10.0
_AT_ZERO = 0.02  # a standard deviation below this is tried at zero
_NO_LOSS = 1e-5  # zero is kept if it lowers the log-likelihood by no more than this
_MOST_GAIN = 0.01  # one more step from a maximum may raise twice the log-likelihood by no more than this
_STEP = 1e-4  # the step of finite differences of the gradient
_LONG_STEP = 1e-3  # the step of finite differences of the next term of Laplace's expansion
# The correction moves a parameter by this share of itself at most, or of one: the expansion is useless for few votes.
_MOST_CORRECTED = 0.25
_SETTLED = 1e-3  # the largest derivative at the maximum
_SETTLED_PROFILE = 0.03  # while a limit is searched: the same, times the largest standard error
_CLOSE = 0.002  # the accuracy of a limit
_JUMP = 0.1  # the root of the fall jumps if it is further than this from its aim at a limit


class NoFiniteFit(Exception):  # noqa: N818 - it names what happened
    """The likelihood grows without bound, or does not fall around its maximum; `parameter` is the index of the
    parameter that runs away or that the others can stand for."""

    def __init__(self, parameter: int) -> None:
        super().__init__(f"parameter {parameter} has no finite estimate")
        self.parameter = parameter


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The maximum of the likelihood.

    parameters: thresholds, fixed effects, standard deviations. is_free: which of them were estimated and are not at
    zero. covariance: of all, zero for those that are not free.
    """

    parameters: Floats
    log_likelihood: float
    is_free: NDArray[np.bool_]
    covariance: Floats

    @property
    def errors(self) -> Floats:
        """The standard errors."""
        return np.sqrt(np.diag(self.covariance))


def fit(design: Design, in_model: NDArray[np.bool_]) -> Fit:
    """Maximise the Laplace likelihood over all fixed effects and the standard deviations of `in_model`, (2 + r,).

    Raises NoFiniteFit if an estimate runs away, as it does if votes are separated.

    >>> ones, groups = np.ones((12, 1)), (np.repeat(range(4), 3), range(4), [0, 1, 2] * 4)
    >>> design = Design.of([1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0], np.zeros((12, 0)), groups, ones)
    >>> float(fit(design, np.array([True, False, False])).parameters[1].round(2))  # of prompts
    1.49
    """
    likelihood = Laplace(design)
    is_free = np.concatenate([np.ones(design.fixed_count, dtype=bool), in_model])
    found = _maximum(likelihood, _start(design, in_model), is_free)
    for index in np.flatnonzero(is_free[design.fixed_count :]) + design.fixed_count:
        if found[index] < _AT_ZERO:
            found, is_free = _without(likelihood, found, is_free, int(index))
    value, gradient = likelihood.value_and_gradient(found)
    covariance = _covariance(likelihood, found, is_free)
    if gradient[is_free] @ covariance[np.ix_(is_free, is_free)] @ gradient[is_free] > _MOST_GAIN:
        raise NoFiniteFit(int(np.abs(gradient * is_free).argmax()))
    return Fit(found, value, is_free, covariance)


def corrected(design: Design, fitted: Fit) -> Fit:
    """Return the fit after one step to the maximum of the likelihood with the next term of Laplace's expansion.

    With five votes on a prompt Laplace's approximation alone finds .80 where the standard deviation of prompts is .90.
    Standard deviations at zero stay there: the term is even in each of them. The covariance stays.

    >>> ones, groups = np.ones((12, 1)), (np.repeat(range(4), 3), range(4), [0, 1, 2] * 4)
    >>> design = Design.of([1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0], np.zeros((12, 0)), groups, ones)
    >>> float(corrected(design, fit(design, np.array([True, False, False]))).parameters[1].round(2))  # of prompts
    1.71
    """
    likelihood, slopes = Laplace(design), np.zeros(len(fitted.parameters))
    for index in np.flatnonzero(fitted.is_free):
        step = np.zeros(len(slopes))
        step[index] = _LONG_STEP
        up, down = (likelihood.next_term(fitted.parameters + sign * step) for sign in (1, -1))
        slopes[index] = (up - down) / (2 * _LONG_STEP)
    inner = _to_inner(fitted.parameters, design)  # thresholds stay in order
    move = np.linalg.solve(_by_gaps(fitted.parameters, design), fitted.covariance @ slopes)
    share = _MOST_CORRECTED / np.max(np.abs(move) / np.maximum(1, np.abs(inner)), initial=_MOST_CORRECTED)
    parameters = _to_parameters(inner + share * move, design)
    parameters[design.fixed_count :] = np.maximum(parameters[design.fixed_count :], 0)
    return replace(fitted, parameters=parameters)


def _covariance(likelihood: Laplace, found: Floats, is_free: NDArray[np.bool_]) -> Floats:
    information = _information(likelihood, found, is_free)
    values, vectors = np.linalg.eigh(information)
    if values[0] <= 0:
        raise NoFiniteFit(int(np.flatnonzero(is_free)[np.abs(vectors[:, 0]).argmax()]))
    covariance = np.zeros((len(found), len(found)))
    covariance[np.ix_(is_free, is_free)] = np.linalg.inv(information)
    errors = np.sqrt(np.diag(covariance))
    if errors.max() > _MOST_ERROR:  # a plateau of separated votes
        raise NoFiniteFit(int(errors.argmax()))
    return covariance


def _start(design: Design, in_model: NDArray[np.bool_]) -> Floats:
    """Return thresholds from the shares of the categories, no fixed effects, and standard deviations of one half."""
    shares = np.cumsum(np.bincount(design.category))[:-1] / len(design.category)
    return np.concatenate([np.log(shares / (1 - shares)), np.zeros(design.fixed.shape[1]), np.where(in_model, 0.5, 0)])


def _maximum(
    likelihood: Laplace,
    at: Floats,
    is_free: NDArray[np.bool_],
    inverse: Floats | None = None,
    *,
    gtol: float = _SETTLED,
) -> Floats:
    """Return the maximum from `at`; parameters that are not free stay. Raises NoFiniteFit.

    inverse: of the information, of all parameters, for the first step; rough if None. gtol: the largest derivative
    at the maximum. The search is over the first threshold and the logarithms of the gaps to the next ones, which keep
    thresholds in order.
    """
    design = likelihood.design
    inner = _to_inner(at, design)

    def parameters_of(free: Floats) -> Floats:
        every = inner.copy()
        every[is_free] = free
        return _to_parameters(every, design)

    def loss(free: Floats) -> tuple[float, Floats]:
        every = parameters_of(free)
        value, gradient = likelihood.value_and_gradient(every)
        return -value, -(gradient @ _by_gaps(every, design))[is_free]

    def watch(intermediate_result: optimize.OptimizeResult) -> None:
        _check_bounds(parameters_of(intermediate_result.x), design)

    if inverse is None:
        inverse = np.diag(1 / _rough_information(design))
    else:
        to_gaps = np.linalg.inv(_by_gaps(at, design))
        inverse = to_gaps @ inverse @ to_gaps.T
        inverse = (inverse + inverse.T) / 2  # the optimiser refuses a matrix that rounding made asymmetric
    options: Any = {"hess_inv0": inverse[np.ix_(is_free, is_free)], "gtol": gtol}  # the stubs lack the first
    found = optimize.minimize(loss, inner[is_free], jac=True, method="BFGS", callback=watch, options=options)
    parameters = parameters_of(found.x)
    parameters[design.fixed_count :] = np.abs(parameters[design.fixed_count :])  # the likelihood is even in them
    return parameters


def _to_inner(parameters: Floats, design: Design) -> Floats:
    """Return the parameters with the logarithms of the gaps in place of the thresholds after the first."""
    inner = parameters.copy()
    inner[1 : design.threshold_count] = np.log(np.diff(parameters[: design.threshold_count]))
    return inner


def _to_parameters(inner: Floats, design: Design) -> Floats:
    parameters = inner.copy()
    gaps = np.exp(inner[1 : design.threshold_count])
    parameters[: design.threshold_count] = np.cumsum(np.concatenate([inner[:1], gaps]))
    return parameters


def _by_gaps(parameters: Floats, design: Design) -> Floats:
    """Return the derivatives of all parameters (rows) by the first threshold, the log gaps, and the others."""
    count = design.threshold_count
    derivatives = np.eye(len(parameters))
    derivatives[:count, :count] = np.tril(np.ones((count, count)))
    derivatives[:count, 1:count] *= np.diff(parameters[:count])
    return derivatives


def _check_bounds(parameters: Floats, design: Design) -> None:
    limits = np.full(len(parameters), MOST_EFFECT)
    limits[design.fixed_count :] = MOST_SCALE
    share = np.abs(parameters) / limits
    if share.max() > 1:
        raise NoFiniteFit(int(share.argmax()))


def _rough_information(design: Design) -> Floats:
    """Return a rough information of each parameter, as if it were the only one. It sets the size of the first step."""
    votes = len(design.category)
    fixed = (design.fixed**2).sum(axis=0) / 4
    groups = [design.comparison_count, design.cluster_count, *[design.annotator_count] * design.varying.shape[1]]
    return np.concatenate([np.full(design.threshold_count, votes / 6), fixed + 1, np.array(groups, dtype=np.float64)])


def _without(
    likelihood: Laplace, found: Floats, is_free: NDArray[np.bool_], index: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the fit with a small standard deviation at zero, if the likelihood loses nothing by it."""
    height = likelihood.value_and_gradient(found)[0]
    at, others = found.copy(), is_free.copy()
    at[index], others[index] = 0.0, False
    at = _maximum(likelihood, at, others)
    return (at, others) if likelihood.value_and_gradient(at)[0] >= height - _NO_LOSS else (found, is_free)


def _information(likelihood: Laplace, found: Floats, is_free: NDArray[np.bool_]) -> Floats:
    """Minus the second derivatives by the free parameters, by central differences of the gradient."""
    free = np.flatnonzero(is_free)
    rows = np.empty((len(free), len(free)))
    for row, index in enumerate(free):
        step = np.zeros(len(found))
        step[index] = _STEP * max(1.0, abs(found[index]))
        up, down = (likelihood.value_and_gradient(found + sign * step)[1] for sign in (1, -1))
        rows[row] = (down - up)[free] / (2 * step[index])
    return (rows + rows.T) / 2


def profile_limits(design: Design, fitted: Fit, index: int, *, most_fall: float) -> tuple[float, float | None]:
    """Return the limits of a standard deviation where twice the log-likelihood has fallen by `most_fall`.

    The log-likelihood is that with the next term of Laplace's expansion, and `fitted` is corrected by it. The lower
    limit is zero if the fall at zero is smaller; the upper one is None if it lies above 10. The same holds for
    a limit where the fall jumps: with few votes the approximation has other maxima further out, and is useless between.

    >>> ones, groups = np.ones((12, 1)), (np.repeat(range(6), 2), range(6), [0, 1] * 6)
    >>> design = Design.of([1, 0] * 6, np.zeros((12, 0)), groups, ones)  # people never agree: prompts are at zero
    >>> found = corrected(design, fit(design, np.array([True, False, False])))
    >>> low, high = profile_limits(design, found, 1, most_fall=3.84)
    >>> low, round(high or 0, 1)
    (0.0, 1.4)
    """
    fall, value = _profile(design, fitted, index), float(fitted.parameters[index])
    low = _crossing(fall, value, 0.0, most_fall) if value and fall(0.0) > most_fall else None
    far: float | None = max(value + 2 * float(fitted.errors[index]), 0.3)
    while far is not None and fall(far) < most_fall:
        far = value + 1.5 * (far - value) if far < MOST_SCALE else None
    return low or 0.0, None if far is None else _crossing(fall, value, far, most_fall)


def _crossing(fall: Callable[[float], float], value: float, far: float, most_fall: float) -> float | None:
    """Return where the fall, which is larger at `far`, reaches `most_fall`; None if it jumps over it.

    The square root of the fall is searched, because it is nearly a straight line.
    """

    def excess(scale: float) -> float:
        return float(np.sqrt(max(fall(scale), 0.0)) - np.sqrt(most_fall))

    limit = float(optimize.brentq(excess, value, far, xtol=_CLOSE))
    return limit if abs(excess(limit)) < _JUMP else None


def _profile(design: Design, fitted: Fit, index: int) -> Callable[[float], float]:
    """Return how far twice the log-likelihood falls if one standard deviation is held and the others follow.

    They follow Laplace's approximation, which the next term of its expansion moves little. Each search begins where
    the nearest one between it and the estimate ended, so that the fall does not depend on the order of the searches.
    """
    likelihood, others = Laplace(design), fitted.is_free.copy()
    others[index] = False
    inverse = fitted.covariance
    if fitted.is_free[index]:  # of the others while this one is held
        inverse = inverse - np.outer(inverse[index], inverse[index]) / inverse[index, index]
    settled, value = _SETTLED_PROFILE / float(fitted.errors.max()), float(fitted.parameters[index])
    ends, heights = {value: fitted.parameters}, dict[float, float]()

    def height(scale: float) -> float:
        if scale not in heights:
            inside = [one for one in ends if min(value, scale) <= one <= max(value, scale)]
            at = ends[min(inside, key=lambda one: abs(one - scale))].copy()
            at[index] = scale
            ends[scale] = _maximum(likelihood, at, others, inverse, gtol=settled)
            heights[scale] = likelihood.value_and_gradient(ends[scale])[0] + likelihood.next_term(ends[scale])
        return heights[scale]

    return lambda scale: 2 * (height(value) - height(scale))
