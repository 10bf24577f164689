from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy.special import expit

from scoring.statistics.agreement.folds import cluster_folds
from scoring.statistics.agreement.logistic import fit_logistic

rows = st.lists(st.tuples(st.integers(-6, 6), st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=15)


def test_published_fit() -> None:
    fit = fit_logistic([-2, -1, 0, 1, 2], [0, 2, 2, 4, 5], [5] * 5)
    assert fit.coefficients == pytest.approx([0.1515, 1.4399], abs=5e-5)
    assert fit.model_error == pytest.approx([0.5523, 0.5303], abs=5e-5)
    assert fit.robust_error == pytest.approx([0.3555, 0.3224], abs=5e-5)
    assert not fit.is_penalised


@pytest.mark.parametrize("seed", range(4))
def test_equals_statsmodels_with_clusters(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, cast, labels = rng.normal(3, 8, 60), rng.integers(1, 8, 60), rng.integers(0, 20, 60)
    won = rng.binomial(cast, expit(0.3 + 0.2 * x))
    fit = fit_logistic(x, won, cast, clusters=labels)
    model = sm.GLM(np.column_stack([won, cast - won]), sm.add_constant(x), family=sm.families.Binomial())
    plain = model.fit(tol=1e-12)
    clustered = model.fit(cov_type="cluster", cov_kwds={"groups": labels, "use_correction": False}, tol=1e-12)
    assert fit.coefficients == pytest.approx(plain.params)
    assert fit.model_error == pytest.approx(plain.bse)
    assert fit.robust_error == pytest.approx(clustered.bse)
    assert fit.predict(x[:3]) == pytest.approx(plain.predict(sm.add_constant(x))[:3])


def penalised_likelihood(at: Any, x: Any, won: Any, cast: Any) -> float:
    design, logit = np.column_stack([np.ones(len(x)), x]), at[0] + at[1] * x
    chance = expit(logit)
    information = design.T @ (design * (cast * chance * (1 - chance))[:, None])
    return float((won * logit - cast * np.logaddexp(0, logit)).sum() + 0.5 * np.linalg.slogdet(information)[1])


@pytest.mark.parametrize(
    ("x", "won", "cast"),
    [
        ([-2, -1, 1, 2], [0, 0, 3, 3], [3, 3, 3, 3]),  # complete separation
        ([-2, 0, 0, 2], [2, 1, 0, 0], [2, 2, 1, 2]),  # separation but for one value
        ([1, 2, 30], [2, 2, 1], [2, 2, 1]),  # all votes for A
    ],
)
def test_separated_votes_take_firths_penalty(x: Any, won: Any, cast: Any) -> None:
    x, won, cast = (np.array(column, dtype=float) for column in (x, won, cast))
    fit = fit_logistic(x, won, cast)
    assert fit.is_penalised
    assert fit.robust_error is None

    def lost(at: Any) -> float:
        return -penalised_likelihood(at, x, won, cast)

    best = optimize.fmin(lost, fit.coefficients * 0.5, xtol=1e-9, ftol=1e-14, disp=False)
    assert fit.coefficients == pytest.approx(best, abs=1e-5)


@settings(max_examples=60)
@given(rows)
def test_the_fit_is_a_maximum_and_renaming_turns_it(table: Any) -> None:
    x, won, lost = np.array([row for row in table if row[1] + row[2]], dtype=float).reshape(-1, 3).T
    assume(len(np.unique(x)) > 1)
    fit = fit_logistic(x, won, won + lost)
    renamed = fit_logistic(-x, lost, won + lost)
    assert renamed.coefficients == pytest.approx(fit.coefficients * (-1, 1), abs=1e-6)
    if not fit.is_penalised:
        residual = won - (won + lost) * fit.predict(x)
        assert [residual.sum(), (residual * x).sum()] == pytest.approx([0, 0], abs=1e-6)


def test_one_value_has_no_slope() -> None:
    with pytest.raises(ValueError, match="two different values"):
        fit_logistic([3, 3], [1, 0], [1, 1])


def test_folds_never_split_a_cluster_and_are_nearly_equal() -> None:
    labels = np.repeat(np.arange(34), 3)
    folds = cluster_folds(102, clusters=labels, seed=1)
    assert all(len(set(folds[labels == label])) == 1 for label in range(34))
    assert sorted(np.bincount(folds[::3])) == [3] * 6 + [4] * 4
    assert not np.array_equal(folds, cluster_folds(102, clusters=labels, seed=2))


def test_few_clusters_are_folds_of_their_own() -> None:
    assert sorted(cluster_folds(4, clusters=None, seed=1)) == [0, 1, 2, 3]
    assert cluster_folds(0, clusters=None, seed=1).shape == (0,)
