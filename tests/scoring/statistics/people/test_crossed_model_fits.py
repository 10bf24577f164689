"""The likelihood and the fits of the crossed model: published fits, another package, and a dense computation."""

from itertools import product
from typing import Any

import glmm
import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit, gammaln

from scoring.statistics.people.crossed_model.design import Design
from scoring.statistics.people.crossed_model.fitting import Fit, NoFiniteFit, corrected, fit, profile_limits
from scoring.statistics.people.crossed_model.laplace import Laplace

# Contagious bovine pleuropneumonia: herd, incidence, size, period (Lesnoff et al., 2004; data set cbpp of lme4).
CBPP = """
1 2 14 1, 1 3 12 2, 1 4 9 3, 1 0 5 4, 2 3 22 1, 2 1 18 2, 2 1 21 3, 3 8 22 1, 3 2 16 2, 3 0 16 3, 3 2 20 4, 4 2 10 1,
4 0 10 2, 4 2 9 3, 4 0 6 4, 5 5 18 1, 5 0 25 2, 5 0 24 3, 5 1 4 4, 6 3 17 1, 6 0 17 2, 6 0 18 3, 6 1 20 4, 7 8 16 1,
7 1 10 2, 7 3 9 3, 7 0 5 4, 8 12 34 1, 9 2 9 1, 9 0 6 2, 9 0 8 3, 9 0 6 4, 10 1 22 1, 10 1 22 2, 10 0 18 3, 10 2 22 4,
11 0 25 1, 11 5 27 2, 11 3 22 3, 11 1 22 4, 12 2 10 1, 12 1 8 2, 12 0 6 3, 12 0 5 4, 13 1 21 1, 13 2 24 2, 13 0 19 3,
13 0 23 4, 14 11 19 1, 14 0 2 2, 14 0 3 3, 14 0 2 4, 15 1 19 1, 15 1 15 2, 15 1 15 3, 15 0 15 4
"""
# Bitterness of wine from 1 to 5, one row a judge, one column a bottle: two each of cold without contact, cold with
# contact, warm without and warm with it (Randall, 1989; data set wine of the package ordinal).
WINE = """
2 3 3 4 4 4 5 5, 1 2 1 3 2 3 5 4, 2 3 3 2 5 5 4 4, 3 2 3 2 3 2 5 3, 2 3 4 3 3 3 3 3, 3 2 3 2 2 4 5 4, 1 1 2 2 2 3 2 3,
2 2 2 3 3 3 3 4, 1 2 3 2 3 2 4 4
"""
JUDGE, BOTTLE = np.repeat(np.arange(9), 8), np.tile(np.arange(8), 9)
IS_WARM, HAS_CONTACT = (BOTTLE >= 4).astype(float), np.isin(BOTTLE, (2, 3, 6, 7)).astype(float)


def table(text: str) -> np.ndarray:
    return np.array([[int(cell) for cell in row.split()] for row in text.split(",")])


def herds(*, as_prompts: bool) -> tuple[Fit, float]:
    """The fit of one row an animal, and the log of the ways to order the animals of a row."""
    herd, cases, size, period = table(CBPP).T
    row = np.repeat(np.arange(len(herd)), size)
    is_ill = (np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size)) < cases[row]
    later = (period[row][:, np.newaxis] == (2, 3, 4)).astype(float)
    members, other = herd[row] - 1, np.zeros(len(row), dtype=int)
    groups = (members, np.arange(15), other) if as_prompts else (other, [0], members)
    found = fit(Design.of(is_ill, later, groups, np.ones((len(row), 1))), np.array([as_prompts, False, not as_prompts]))
    return found, float((gammaln(size + 1) - gammaln(cases + 1) - gammaln(size - cases + 1)).sum())


@pytest.mark.parametrize("as_prompts", [True, False])
def test_the_fit_of_lme4_to_cbpp(as_prompts: bool) -> None:
    found, orders = herds(as_prompts=as_prompts)
    intercept, *others = found.parameters
    scale = others[3] if as_prompts else others[5]
    assert [-intercept, *others[:3]] == pytest.approx([-1.398, -0.992, -1.128, -1.580], abs=1e-3)
    assert scale == pytest.approx(0.64207, abs=1e-3)
    assert -2 * (found.log_likelihood + orders) == pytest.approx(184.0531, abs=1e-3)


def wine(fixed: list[np.ndarray], *, with_bottles: bool) -> Fit:
    design = Design.of(table(WINE).ravel() - 1, np.column_stack(fixed), (BOTTLE, np.arange(8), JUDGE), np.ones((72, 1)))
    return fit(design, np.array([with_bottles, False, True]))


def test_the_fit_of_ordinal_to_wine() -> None:
    found = wine([IS_WARM, HAS_CONTACT], with_bottles=False)
    assert found.parameters[:4] == pytest.approx([-1.6237, 1.5134, 4.2285, 6.0888], abs=1e-3)
    assert found.parameters[4:6] == pytest.approx([3.063, 1.835], abs=1e-3)
    assert found.parameters[8] == pytest.approx(1.1311, abs=1e-3)
    assert found.log_likelihood == pytest.approx(-81.5654, abs=1e-3)
    assert found.errors[4:6] == pytest.approx([0.5954, 0.5126], abs=1e-3)  # of the same output of ordinal


def dense_mode(design: Design, parameters: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """The height of the mode, its curvature, the scaled columns of all random effects, and the latent values.

    With one dense matrix of all random effects, and the chances as differences.
    """
    n, g, m, r = design.comparison_count, design.cluster_count, design.annotator_count, design.varying.shape[1]
    columns = np.zeros((len(design.category), n + g + m * r))
    rows = np.arange(len(columns))
    columns[rows, design.comparison] = 1
    columns[rows, n + design.cluster[design.comparison]] = 1
    for k in range(r):
        columns[rows, n + g + design.annotator * r + k] = design.varying[:, k]
    scales = parameters[design.fixed_count :]
    scaled = columns * np.concatenate([np.full(n, scales[0]), np.full(g, scales[1]), np.tile(scales[2:], m)])
    offset = design.fixed @ parameters[design.threshold_count : design.fixed_count]

    def parts(effects: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        latent = offset + scaled @ effects
        above, below = chances(design, parameters, latent)
        slope = below * (1 - below) - above * (1 - above)
        slope, weight = slope / (above - below), above * (1 - above) + below * (1 - below)
        hessian = scaled.T @ (weight[:, np.newaxis] * scaled) + np.eye(len(effects))
        return float(np.log(above - below).sum() - effects @ effects / 2), scaled.T @ slope - effects, hessian

    effects = np.zeros(scaled.shape[1])
    for _ in range(30):
        height, uphill, hessian = parts(effects)
        effects = effects + np.linalg.solve(hessian, uphill)
    height, _, hessian = parts(effects)
    return height, hessian, scaled, offset + scaled @ effects


def chances(design: Design, parameters: np.ndarray, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a category up to that of each vote, and below it."""
    ends = np.concatenate([[-np.inf], parameters[: design.threshold_count], [np.inf]])
    return expit(ends[design.category + 1] - latent), expit(ends[design.category] - latent)


def dense_log_likelihood(design: Design, parameters: np.ndarray) -> float:
    """The Laplace approximation."""
    height, hessian, _, _ = dense_mode(design, parameters)
    return float(height - np.linalg.slogdet(hessian)[1] / 2)


def dense_derivatives(design: Design, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The covariance of the votes' latent values, and third and fourth derivatives of each vote by differences."""
    _, hessian, scaled, latent = dense_mode(design, parameters)

    def log_chance(step: int) -> np.ndarray:
        above, below = chances(design, parameters, latent + 0.02 * step)
        return np.asarray(np.log(above - below))

    down2, down, middle, up, up2 = (log_chance(step) for step in (-2, -1, 0, 1, 2))
    third = (up2 - 2 * up + 2 * down - down2) / (2 * 0.02**3)
    fourth = (up2 - 4 * up + 6 * middle - 4 * down + down2) / 0.02**4
    return scaled @ np.linalg.solve(hessian, scaled.T), third, fourth


def random_design(seed: int = 0) -> Design:
    """Ordered votes that are crossed and clustered, each comparison with four of seven annotators."""
    rng = np.random.default_rng(seed)
    comparison = np.repeat(np.arange(30), 4)
    annotator = np.concatenate([rng.choice(7, 4, replace=False) for _ in range(30)])
    margin, side = rng.normal(0.3, 1, 30)[comparison], rng.integers(0, 2, 120) - 0.5
    cluster = rng.integers(0, 10, 30)  # in no order
    fixed, varying = np.column_stack([margin, side]), np.column_stack([np.ones(120), margin, side])
    order = rng.permutation(120)
    groups = (comparison[order], cluster, annotator[order])
    return Design.of(rng.integers(0, 3, 120), fixed[order], groups, varying[order])


PARAMETERS = np.array([-0.5, 0.7, 1.2, 0.3, 0.8, 0.6, 0.5, 0.4, 0.3])


@pytest.mark.parametrize("zero", [(), (4,), (5,), (6, 7, 8)])
def test_the_likelihood_equals_a_dense_one(zero: tuple[int, ...]) -> None:
    design, parameters = random_design(), PARAMETERS.copy()
    parameters[list(zero)] = 0
    value = Laplace(design).value_and_gradient(parameters)[0]
    assert value == pytest.approx(dense_log_likelihood(design, parameters), abs=1e-6)


def test_the_gradient_equals_finite_differences() -> None:
    likelihood = Laplace(random_design())
    gradient = likelihood.value_and_gradient(PARAMETERS)[1]
    for index, derivative in enumerate(gradient):
        step = np.eye(len(PARAMETERS))[index] * 1e-5
        up, down = (likelihood.value_and_gradient(PARAMETERS + sign * step)[0] for sign in (1, -1))
        assert derivative == pytest.approx((up - down) / 2e-5, abs=1e-4)


def test_wine_crossed_by_judge_and_bottle_equals_a_dense_fit() -> None:
    """The bottles beside temperature alone, where they vary; with contact they do not."""
    found = wine([IS_WARM], with_bottles=True)
    design = Design.of(table(WINE).ravel() - 1, IS_WARM[:, np.newaxis], (BOTTLE, range(8), JUDGE), np.ones((72, 1)))

    def loss(free: np.ndarray) -> float:
        return -dense_log_likelihood(design, np.insert(free, 6, 0.0))

    dense = optimize.minimize(loss, np.delete(found.parameters, 6) + 0.05, method="BFGS", options={"gtol": 1e-4})
    assert np.insert(dense.x, 6, 0.0) == pytest.approx(found.parameters, abs=1e-3)
    assert -dense.fun == pytest.approx(found.log_likelihood, abs=1e-5)
    assert found.parameters[5] > 0.5
    with_contact = wine([IS_WARM, HAS_CONTACT], with_bottles=True)
    assert with_contact.parameters[6] == 0
    assert with_contact.log_likelihood == pytest.approx(-81.5654, abs=1e-3)


def binary_votes() -> tuple[dict[str, Any], Design]:
    """Votes with effects of prompts, clusters and annotators: a table for the package glmm, and the design."""
    rng = np.random.default_rng(3)
    comparison, cluster = np.repeat(np.arange(60), 4), np.arange(60) // 4
    annotator = np.concatenate([rng.choice(10, 4, replace=False) for _ in range(60)])
    margin, side = rng.normal(0.3, 1, 60)[comparison], rng.integers(0, 2, 240) - 0.5
    latent = 0.2 + margin + 0.4 * side + rng.normal(0, 1, 60)[comparison] + rng.normal(0, 1.3, 10)[annotator]
    is_a = (latent + rng.normal(0, 0.9, 15)[cluster[comparison]] + rng.logistic(size=240) > 0).astype(int)
    names = {
        name: [f"{name}{number}" for number in numbers]
        for name, numbers in (("prompt", comparison), ("annotator", annotator), ("cluster", cluster[comparison]))
    }
    design = Design.of(is_a, np.column_stack([margin, side]), (comparison, cluster, annotator), np.ones((len(is_a), 1)))
    return {"y": is_a.astype(float), "margin": margin, "side": side, **names}, design


def test_the_package_glmm_fits_the_same() -> None:
    data, design = binary_votes()
    formula = "y ~ margin + side + (1 | prompt) + (1 | cluster) + (1 | annotator)"
    theirs = glmm.fit(data, formula, "binomial")
    scales = {name: float(np.sqrt(block[0])) for (name, _), block in zip(theirs.re_groups, theirs.varcorr, strict=True)}
    ours = fit(design, np.array([True, True, True]))
    assert [-ours.parameters[0], *ours.parameters[1:3]] == pytest.approx(theirs.beta, abs=1e-3)
    assert ours.parameters[3:] == pytest.approx([scales["prompt"], scales["cluster"], scales["annotator"]], abs=1e-3)
    assert ours.log_likelihood == pytest.approx(theirs.loglik, abs=1e-5)
    assert ours.errors[:3] == pytest.approx(theirs.se, rel=1e-3)


def test_limits_lie_where_the_likelihood_of_refits_has_fallen() -> None:
    """At each limit of a variance twice the log-likelihood of the best fit with it has fallen by as much as asked."""
    _, design = binary_votes()
    found = corrected(design, fit(design, np.array([True, True, True])))

    def height(index: int, scale: float) -> float:
        """The corrected log-likelihood where Laplace's is highest."""

        def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = Laplace(design).value_and_gradient(np.insert(free, index, scale))
            return -value, -np.delete(gradient, index)

        held = optimize.minimize(loss, np.delete(found.parameters, index), jac=True, method="L-BFGS-B")
        return -float(held.fun) + Laplace(design).next_term(np.insert(held.x, index, scale))

    lower = 0
    for index, most_fall in product((3, 4, 5), (0.5, 3.841)):
        low, high = profile_limits(design, found, index, most_fall=most_fall)
        assert high is not None
        lower += low > 0
        for limit in filter(None, (low, high)):
            fall = 2 * (height(index, float(found.parameters[index])) - height(index, limit))
            assert fall == pytest.approx(most_fall, rel=0.03)
    assert lower


def test_the_next_term_of_the_expansion_equals_its_definition() -> None:
    """With prompts, clusters and annotators, by one dense matrix; pairs on different comparisons count for little."""
    design = random_design()
    likelihood = Laplace(design)
    covariance, third, fourth = dense_derivatives(design, PARAMETERS)
    own = np.diag(covariance)
    pairs = third @ ((own[:, np.newaxis] * covariance * own) / 8 + covariance**3 / 12) @ third
    assert likelihood.next_term(PARAMETERS) == pytest.approx(fourth @ own**2 / 8 + pairs, abs=0.01)


def log_likelihood_of_prompts(design: Design, threshold: float, scale: float) -> float:
    """Binary votes with an effect of prompts and nothing else, integrated with 60 nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    chance = expit(scale * nodes - threshold)
    votes, of_a = np.bincount(design.comparison), design.by_comparison(design.category.astype(np.float64))
    likely = chance ** of_a[:, np.newaxis] * (1 - chance) ** (votes - of_a)[:, np.newaxis]
    return float(np.log(likely @ (weights / weights.sum())).sum())


def test_the_correction_reaches_the_maximum_of_the_exact_likelihood() -> None:
    """Where prompts alone vary the integral has one dimension: 3,000 prompts with five votes."""
    rng = np.random.default_rng(8)
    latent = 0.2 + 0.9 * rng.normal(size=3_000)[:, np.newaxis] + rng.logistic(size=(3_000, 5))
    groups = (np.repeat(range(3_000), 5), range(3_000), np.tile(range(5), 3_000))
    design = Design.of((latent > 0).ravel(), np.zeros((15_000, 0)), groups, np.ones((15_000, 1)))
    found = fit(design, np.array([True, False, False]))
    better = corrected(design, found)

    def loss(at: np.ndarray) -> float:
        return -log_likelihood_of_prompts(design, *at)

    exact = optimize.minimize(loss, found.parameters[:2]).x
    assert better.parameters[:2] == pytest.approx(exact, abs=0.01)
    assert exact[1] - found.parameters[1] > 0.05


def test_separated_votes_have_no_finite_fit() -> None:
    comparison, annotator = np.repeat(np.arange(20), 3), np.tile(np.arange(3), 20)
    margin = np.linspace(-1, 1, 20)[comparison]
    design = Design.of(margin > 0, margin[:, np.newaxis], (comparison, range(20), annotator), np.ones((60, 1)))
    with pytest.raises(NoFiniteFit):
        fit(design, np.array([False, False, True]))


def test_the_package_glmm_fits_the_same_to_wine_crossed_by_judge_and_bottle() -> None:
    """It has no ordered categories: whether a rating is above 2, where both judges and bottles vary."""
    is_bitter = (table(WINE).ravel() > 2).astype(int)
    names = {"judge": [f"judge {j}" for j in JUDGE], "bottle": [f"bottle {b}" for b in BOTTLE]}
    data = {"y": is_bitter.astype(float), "warm": IS_WARM, **names}
    theirs = glmm.fit(data, "y ~ warm + (1 | judge) + (1 | bottle)", "binomial")
    scales = {name: float(np.sqrt(block[0])) for (name, _), block in zip(theirs.re_groups, theirs.varcorr, strict=True)}
    design = Design.of(is_bitter, IS_WARM[:, np.newaxis], (BOTTLE, range(8), JUDGE), np.ones((72, 1)))
    ours = fit(design, np.array([True, False, True]))
    assert [-ours.parameters[0], ours.parameters[1]] == pytest.approx(theirs.beta, abs=1e-3)
    assert [ours.parameters[2], ours.parameters[4]] == pytest.approx([scales["bottle"], scales["judge"]], abs=1e-3)
    assert ours.log_likelihood == pytest.approx(theirs.loglik, abs=1e-5)
