"""The ranking by a metric and its agreement with people's: other libraries, directions, seeds, simulated coverage."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from benchmarks.ranking_coverage import DESIGNS, simulated_votes
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.ranking.metric_ranking import _adjusted, adjusted_means, concordance, metric_ranking
from scoring.statistics.ranking.model_votes import ModelVotes
from scoring.statistics.ranking.people_ranking import people_ranking
from scoring.statistics.ranking.rank_sets import rank_sets
from tests.scoring.statistics.reading import bounds, value

STUDY = replace(DESIGNS[0], quality=(1.2, 0.5, 0.0, -0.7, -1.0), prompts=15)


def scores_of(models: int, *, prompts: int = 15, seed: int = 2, spread: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(
        80 - np.arange(models) + rng.normal(0, 3, (prompts, 1)) + rng.normal(0, spread, (prompts, models))
    )


def test_one_mean_is_the_interval_of_student() -> None:
    scores = scores_of(3)
    found = metric_ranking(scores, higher_is_more_consistent=True)
    for model in range(3):
        expected = stats.ttest_1samp(scores[:, model], 0).confidence_interval(0.95)
        assert bounds(found.means[model]) == pytest.approx((expected.low, expected.high))


def test_a_metric_that_is_lower_where_more_consistent_names_the_same_ranks() -> None:
    scores = scores_of(4)
    up, down = (metric_ranking(s * scores, higher_is_more_consistent=s > 0) for s in (1, -1))
    assert up.ranks is not None
    assert down.ranks is not None
    assert (up.ranks.best, up.ranks.worst) == (down.ranks.best, down.ranks.worst)
    assert up.ranks.best != (1, 1, 1, 1)
    assert value(down.means[0]) == -value(up.means[0])


def test_seeds_widen_the_intervals_by_their_variance() -> None:
    scores = scores_of(2)
    left_out = scores.mean(axis=0) + np.random.default_rng(1).normal(0, 0.1, (20, 2))
    without, with_seeds = (
        metric_ranking(scores, higher_is_more_consistent=True, without_seed=given) for given in (None, left_out)
    )
    variances = [scores[:, 0].var(ddof=1) / 15, left_out[:, 0].var() * 19]
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 14 + variances[1] ** 2 / 19)
    low, high = bounds(with_seeds.means[0])
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, freedom) * sum(variances) ** 0.5)
    assert high - low > np.diff(bounds(without.means[0]))[0]


def test_prompts_of_one_cluster_count_as_one() -> None:
    scores = scores_of(2)
    alone = metric_ranking(scores, higher_is_more_consistent=True)
    copies = metric_ranking(np.tile(scores, (3, 1)), higher_is_more_consistent=True, clusters=list(range(15)) * 3)
    assert bounds(copies.means[1]) == pytest.approx(bounds(alone.means[1]))


def test_missing_scores_are_those_of_least_squares_with_errors_clustered_by_prompt() -> None:
    scores, rng = scores_of(4, prompts=30), np.random.default_rng(8)
    scores[rng.random(scores.shape) < 0.4] = np.nan
    kept = scores[np.isfinite(scores).sum(axis=1) > 1]
    prompt, model = np.nonzero(np.isfinite(kept))
    # Effects of models against the last one, an effect of each prompt.
    design = np.column_stack([*(model == one for one in range(3)), *(prompt == one for one in range(len(kept)))])
    fit = sm.OLS(kept[prompt, model], design.astype(float)).fit()
    found = metric_ranking(scores, higher_is_more_consistent=True)
    means = np.array([value(one) for one in found.means])
    assert means[:3] - means[3] == pytest.approx(fit.params[:3])
    assert means.mean() == pytest.approx(fit.params[3:].mean() + fit.params[:3].sum() / 4)
    assert adjusted_means(scores) == pytest.approx(means)
    robust = fit.get_robustcov_results("cluster", groups=prompt, use_correction=False).cov_params()[:3, :3]
    influence = _adjusted(kept)[1]
    contrasts = influence[:, :3] - influence[:, 3:]
    assert contrasts.T @ contrasts == pytest.approx(robust, rel=1e-6)


def test_without_missing_scores_they_are_the_means_of_the_columns() -> None:
    scores = scores_of(3)
    assert adjusted_means(scores) == pytest.approx(scores.mean(axis=0))
    assert _adjusted(scores)[1] == pytest.approx((scores - scores.mean(axis=0)) / len(scores))


def test_a_prompt_with_one_score_says_nothing_and_few_prompts_have_no_ranking() -> None:
    scores = scores_of(3)
    missing = scores.copy()
    missing[2, 1:] = np.nan
    kept = metric_ranking(np.delete(scores, 2, axis=0), higher_is_more_consistent=True)
    found = metric_ranking(missing, higher_is_more_consistent=True)
    assert [one.value for one in found.means] == [one.value for one in kept.means]
    assert found.means[0].n == 14
    few = metric_ranking(scores[:5], higher_is_more_consistent=True)
    assert few.ranks is None
    assert few.reason == "5 prompts with scores of two or more models, at least 6 are needed"
    assert few.means[0].value is not None
    none = metric_ranking(np.full((9, 2), np.nan), higher_is_more_consistent=True)
    assert none.means[0].value is None
    apart = np.full((20, 4), np.nan)
    apart[:10, :2], apart[10:, 2:] = scores_of(2, prompts=10), scores_of(2, prompts=10)
    assert metric_ranking(apart, higher_is_more_consistent=True).reason == "the prompts do not connect the models"


@pytest.mark.parametrize("seed", range(3))
def test_tau_is_that_of_scipy_and_lies_in_its_interval(seed: int) -> None:
    people = people_ranking(simulated_votes(STUDY, seed))
    metric = metric_ranking(scores_of(5, seed=seed, spread=1.0), higher_is_more_consistent=True)
    found = concordance(people, metric)
    strengths = [value(one) for one in people.strengths]
    assert value(found.tau) == pytest.approx(stats.kendalltau(strengths, metric.goodness).statistic)
    assert value(found.system_accuracy) == pytest.approx((1 + value(found.tau)) / 2)
    for estimate in (found.tau, found.system_accuracy, found.same_rank):
        low, high = bounds(estimate)
        assert low <= value(estimate) <= high
        assert estimate.level == pytest.approx(0.9)
    assert bounds(found.tau) != (-1, 1)


def test_rankings_without_a_fit_have_no_concordance() -> None:
    votes = ModelVotes.of([(p, p % 7) for p in range(9)], [(0, 1)] * 9, [1] * 9, model_count=2)
    found = concordance(people_ranking(votes), metric_ranking(scores_of(2), higher_is_more_consistent=True))
    assert found.tau.value is None
    assert found.tau.reason.startswith("no finite strengths: model 0")
    with pytest.raises(ValueError, match="people rank 2 models and the metric 3"):
        concordance(people_ranking(votes), metric_ranking(scores_of(3), higher_is_more_consistent=True))


def test_the_first_quantile_is_that_of_the_studentized_range() -> None:
    """Of independent estimates with equal errors, max |t| is Tukey's range divided by the square root of two."""
    critical = float(stats.studentized_range.ppf(0.95, 4, 20)) / 2**0.5
    draws = Resampling(level=0.95, resamples=40_000)
    for factor, is_sure in ((1.03, True), (0.97, False)):
        values = np.array([factor * critical * 2**0.5, 0.0, 0.0, 0.0])
        values[1:] = [0.0, values[0] / 2, values[0] / 2]
        found = rank_sets(values, np.eye(4), np.full((4, 4), 2**0.5), 20, draws=draws)
        assert found.surely_better[0, 1] == is_sure


def test_rank_sets_hold_all_ranks_at_once() -> None:
    rng, held = np.random.default_rng(5), 0
    truth = np.array([0.0, 0.0, 0.0, 9.0])
    for _ in range(150):
        found = rank_sets(truth + rng.normal(size=4), np.eye(4), np.full((4, 4), 2**0.5), 1e6, draws=Resampling())
        held += found.best[:3] == (2, 2, 2) and found.worst[:3] == (4, 4, 4)
    assert 0.89 <= held / 150 <= 0.99


@pytest.mark.parametrize(("scores", "without_seed"), [(np.ones(3), None), (np.ones((9, 2)), np.ones((2, 2)))])
def test_impossible_scores_are_refused(scores: np.ndarray, without_seed: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match="a row for each"):
        metric_ranking(scores, higher_is_more_consistent=True, without_seed=without_seed)
