"""What the crossed model prints: recovery of known parameters, symmetry, expectations, and what it cannot tell."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from scoring.statistics.agreement.agreement import METRIC_TIE
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.people.crossed_model import expected, many_votes
from scoring.statistics.people.crossed_model.expected import Parameters
from scoring.statistics.people.crossed_model.fitting import Fit, fit
from scoring.statistics.people.crossed_model.laplace import Laplace
from scoring.statistics.people.crossed_model.many_votes import with_fixed_effects_of_all
from scoring.statistics.people.crossed_model.model import CrossedModel, crossed_model
from scoring.statistics.people.crossed_model.problem import EFFECTS, pose
from scoring.statistics.votes.counts import Floats
from scoring.statistics.votes.votes import Votes
from tests.scoring.statistics.reading import bounds, value

SETTINGS = Resampling(seed=1)
TRUTH = Parameters(
    thresholds=np.array([-0.7, 0.2]),
    margin=1.2,
    side=0.3,
    prompt=0.9,
    cluster=0.5,
    taste=0.6,
    sensitivity=0.4,
    side_bias=0.7,
)
BINARY = replace(TRUTH, thresholds=np.array([-0.2]))


@dataclass(frozen=True)
class Study:
    votes: Votes
    margin: Floats
    side: Floats
    clusters: np.ndarray

    def model(self) -> CrossedModel:
        return crossed_model(self.votes, self.margin, self.side, clusters=self.clusters, resampling=SETTINGS)


def simulated(truth: Parameters, *, n: int, votes: int, annotators: int, seed: int = 0, cluster_size: int = 1) -> Study:
    """A study of the model itself; its margins have the standard deviation 2, so that the scaling is seen."""
    rng = np.random.default_rng(seed)
    comparison = np.repeat(np.arange(n), votes)
    who = np.argsort(rng.random((n, annotators)), axis=1)[:, :votes].ravel()
    margin = rng.normal(0.3, 1, n)
    margin /= margin.std()
    side: Floats = (rng.integers(0, 2, n * votes) - 0.5).astype(np.float64)
    clusters = np.arange(n) // cluster_size
    latent = (truth.margin + truth.sensitivity * rng.normal(size=annotators)[who]) * margin[comparison]
    latent += (truth.side + truth.side_bias * rng.normal(size=annotators)[who]) * side
    latent += truth.prompt * rng.normal(size=n)[comparison] + truth.taste * rng.normal(size=annotators)[who]
    latent += truth.cluster * rng.normal(size=n)[clusters[comparison]] + rng.logistic(size=n * votes)
    choice = np.where(latent > truth.thresholds[-1], 0, np.where(latent <= truth.thresholds[0], 1, 2))
    return Study(Votes.of(comparison, who, choice), 2 * margin, side, clusters)


@pytest.fixture(scope="module")
def study() -> Study:
    return simulated(TRUTH, n=120, votes=4, annotators=12, cluster_size=3)


@pytest.fixture(scope="module")
def model(study: Study) -> CrossedModel:
    return study.model()


def test_the_truth_of_a_large_study_is_found() -> None:
    study = simulated(BINARY, n=400, votes=5, annotators=40, cluster_size=4)
    sure = replace(SETTINGS, level=0.999)
    found = crossed_model(study.votes, study.margin, study.side, clusters=study.clusters, resampling=sure)
    for estimate, truth in ((found.slope, 1.2), (found.side, 0.3), (found.intercept, 0.2)):
        low, high = bounds(estimate)
        assert low < truth < high
        assert high - low < 1.5
    true_variances = dict(zip(EFFECTS, (0.81, 0.25, 0.36, 0.16, 0.49), strict=True))
    for part in found.variances:
        low, high = bounds(part.variance)
        assert low < true_variances[part.name] < high, part
    assert found.margin_scale == pytest.approx(2.0)
    truth = expected.expected_agreements(BINARY, study.margin / 2).mean(axis=0)
    for estimate, expectation in zip((found.with_metric, found.with_another), truth, strict=True):
        low, high = bounds(estimate)
        assert low < expectation < high
        assert high - low < 0.15


def test_shares_are_parts_of_the_variance(model: CrossedModel) -> None:
    variances = {part.name: value(part.variance) for part in model.variances}
    shares = {part.name: part.share for part in model.shares}
    assert sum(shares.values()) == pytest.approx(1)
    chance = np.pi**2 / 3
    assert shares["prompts"] / shares["chance"] == pytest.approx(variances["prompts"] / chance)
    assert shares["margin"] / shares["chance"] == pytest.approx(value(model.slope) ** 2 / chance)
    side = (variances["side bias"] + value(model.side) ** 2) / 4
    assert shares["side"] / shares["chance"] == pytest.approx(side / chance)


def everything(model: CrossedModel) -> list[float]:
    """Values and limits, each with the precision to which limits are searched."""
    estimates = [model.slope, model.side, model.with_metric, model.with_another]
    variances = [value(part.variance) for part in model.variances if part.variance.is_defined]
    return [one for estimate in estimates for one in (value(estimate), *bounds(estimate))] + variances


def test_the_models_may_change_their_names(study: Study, model: CrossedModel) -> None:
    votes = study.votes
    other = Votes.of(votes.comparison, votes.annotator, np.array([1, 0, 2])[votes.choice])
    swapped = Study(other, -study.margin, -study.side, study.clusters).model()
    assert everything(swapped) == pytest.approx(everything(model), abs=2e-3)
    assert value(swapped.intercept) == pytest.approx(-value(model.intercept), abs=2e-3)
    assert [value(one) for one in swapped.thresholds] == pytest.approx(
        [-value(one) for one in reversed(model.thresholds)], abs=2e-3
    )


def test_order_and_numbers_do_not_matter(study: Study, model: CrossedModel) -> None:
    rng = np.random.default_rng(5)
    votes, order = study.votes, rng.permutation(len(study.votes.choice))
    place, number = rng.permutation(len(study.margin)), rng.permutation(12)
    margin, clusters = np.empty_like(study.margin), np.empty_like(study.clusters)
    margin[place], clusters[place] = study.margin, 7 * study.clusters
    other = Votes.of(place[votes.comparison[order]], number[votes.annotator[order]], votes.choice[order])
    moved = Study(other, margin, study.side[order], clusters).model()
    assert everything(moved) == pytest.approx(everything(model), abs=2e-3)


def test_the_same_votes_give_the_same_digits(study: Study, model: CrossedModel) -> None:
    assert study.model() == model


def test_a_variance_at_zero_has_an_upper_limit() -> None:
    still = replace(BINARY, taste=0.0, sensitivity=0.0, side_bias=0.0, cluster=0.0, prompt=0.0)
    found = simulated(still, n=60, votes=4, annotators=8, seed=2).model()
    at_zero = [part.variance for part in found.variances if part.variance.value == 0]
    assert len(at_zero) >= 2
    for variance in at_zero:
        low, high = bounds(variance)
        assert (low, variance.method) == (0, "profile likelihood, corrected Laplace")
        assert 0 < high < 3


def test_very_few_votes_have_no_limit_where_the_profile_jumps() -> None:
    """Beyond .95 of taste the approximation has its maximum elsewhere, with a sensitivity of six."""
    found = simulated(replace(BINARY, cluster=0.0), n=30, votes=3, annotators=20, seed=74).model()
    by_name = {part.name: part.variance for part in found.variances}
    assert by_name["taste"].reason == "the votes do not bound it from above"
    assert bounds(by_name["prompts"])[1] == pytest.approx(5.6, abs=0.1)


def votes_of(truth: Parameters, margins: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Credits (studies, prompts, annotators) of everybody on every prompt; then agreement of two on each prompt."""
    studies, prompts, annotators = 400, 20, 6
    shape = (studies, prompts, annotators)
    drawn = rng.choice(margins, (studies, prompts, 1))
    latent = (truth.margin + truth.sensitivity * rng.normal(size=(studies, 1, annotators))) * drawn
    sides = truth.side + truth.side_bias * rng.normal(size=(studies, 1, annotators))
    latent += sides * rng.choice([0.5, -0.5], shape) + truth.taste * rng.normal(size=(studies, 1, annotators))
    latent += np.sqrt(truth.shared) * rng.normal(size=(studies, prompts, 1)) + rng.logistic(size=shape)
    signs = (latent > truth.thresholds[-1]) * 1.0 - (latent <= truth.thresholds[0])
    metric = np.where(np.abs(drawn) <= METRIC_TIE, 0, np.sign(drawn))
    return 1 - np.abs(signs - metric) / 2, 1 - np.abs(signs[..., 0] - signs[..., 1]) / 2


@pytest.mark.parametrize("truth", [TRUTH, BINARY])
def test_expectations_equal_simulated_votes(truth: Parameters) -> None:
    rng = np.random.default_rng(4)
    margins = np.append(rng.normal(0.3, 1, 60), [0.0] * 4)  # with ties of the metric
    credit, alike = votes_of(truth, margins, rng)
    with_metric, with_another = expected.expected_agreements(truth, margins).mean(axis=0)
    assert with_metric == pytest.approx(credit.mean(), abs=4 * credit.mean(axis=(1, 2)).std() / 20)
    assert with_another == pytest.approx(alike.mean(), abs=4 * alike.mean(axis=1).std() / 20)
    spread = expected.credit_variance(truth, margins)
    error = spread.standard_error(prompts=20, annotators=6, votes=6)
    assert credit.mean(axis=(1, 2)).std() == pytest.approx(error, rel=0.12)  # 400 studies: 3.5 % is one error
    assert spread.mean == pytest.approx(with_metric, abs=0.005)
    total = spread.prompts + spread.annotators + spread.votes
    assert total == pytest.approx(credit.var(), rel=0.02)


def test_many_margins_are_represented_by_their_ranks() -> None:
    margins = np.random.default_rng(3).normal(0.2, 1, 5_000)
    few = np.sort(margins)[5::10]  # 500, of which 400 are taken
    of_many, of_few = (expected.expected_agreements(TRUTH, each).mean(axis=0) for each in (margins, few))
    assert of_many == pytest.approx(of_few, abs=2e-3)


def three_votes(choice: list[int], **changes: object) -> Study:
    """Three votes on each of four comparisons."""
    votes = Votes.of(np.repeat(range(4), 3), [0, 1, 2] * 4, choice)
    study = Study(votes, np.array([2.0, 1.0, -1.0, -3.0]), np.tile([0.5, -0.5], 6), np.arange(4))
    return replace(study, **changes)  # type: ignore[arg-type]


MIXED = [0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1]


@pytest.mark.parametrize(
    ("study", "reason"),
    [
        (Study(Votes.of([], [], []), np.empty(0), np.empty(0), np.empty(0, dtype=int)), "no votes"),
        (
            Study(Votes.of([0, 1], [0, 0], [0, 1]), np.array([1.0, -1]), np.full(2, 0.5), np.arange(2)),
            "one annotator only",
        ),
        (three_votes(MIXED, margin=np.full(4, 2.5)), "all margins are equal"),
        (three_votes([0] * 12), "nobody voted for B"),
        (three_votes([1, 1, 2] * 4), "nobody voted for A"),
        (three_votes([0] * 6 + [1] * 6), "no finite estimate"),
    ],
)
def test_there_is_no_model_without_a_reason(study: Study, reason: str) -> None:
    found = study.model()
    assert reason in found.reason
    assert found.slope.value is None
    assert found.slope.reason == found.reason
    assert found.votes == len(study.votes.choice)
    assert (found.variances, found.planned) == ((), ())


def reasons(study: Study) -> dict[str, str]:
    return {part.name: part.variance.reason for part in study.model().variances if part.variance.value is None}


def test_effects_that_votes_cannot_tell_apart_are_named() -> None:
    base = simulated(BINARY, n=40, votes=3, annotators=5)
    assert reasons(base) == {"clusters": "no two comparisons share a cluster"}
    unknown = replace(base, side=np.full(120, np.nan))
    assert reasons(unknown)["side bias"] == "the sides of 120 votes are unknown"
    assert unknown.model().side.reason == "the sides of 120 votes are unknown"
    assert value(unknown.model().slope) > 0
    fixed = replace(base, side=np.full(120, 0.5))
    assert fixed.model().side.reason == "the same model was always on the left"
    together = replace(base, clusters=np.zeros(40, dtype=int))
    assert reasons(together)["clusters"] == "all comparisons share one cluster"
    strangers = replace(base, votes=replace(base.votes, annotator=np.arange(120)))
    assert reasons(strangers).keys() == {"clusters", "taste", "sensitivity", "side bias"}
    alone = simulated(BINARY, n=120, votes=1, annotators=5)
    assert reasons(alone)["prompts"] == "no comparison has two votes"


def test_very_many_votes_are_drawn_with_a_seed(
    study: Study, model: CrossedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_votes, "MOST_VOTES", 400)
    monkeypatch.setattr(many_votes, "DRAWN_VOTES", 200)
    found = study.model()
    assert found == study.model()
    assert found.votes == 480
    (warning,) = found.warnings
    assert "variances come from 200 votes on 50 comparisons by 12 annotators, drawn with seed 1" in warning
    monkeypatch.setattr(many_votes, "DRAWN_ANNOTATORS", 8)
    assert "by 8 annotators" in study.model().warnings[0]
    whole, part = bounds(model.slope), bounds(found.slope)
    assert part[1] - part[0] < 1.3 * (whole[1] - whole[0])  # 480 votes, not 200
    assert value(found.slope) == pytest.approx(value(model.slope), abs=0.25)


def test_fixed_effects_of_all_votes_maximise_the_likelihood_at_the_given_scales(study: Study) -> None:
    problem = pose(study.votes, study.margin, study.side, study.clusters)
    design, scales = problem.design, np.array([0.9, 0.5, 0.6, 0.4, 0.7])
    start = np.concatenate([[-1.0, 1.0, 0.0, 0.0], scales])
    part = Fit(start, 0.0, np.ones(9, dtype=bool), np.eye(9))
    found = with_fixed_effects_of_all(design, part)
    gradient = Laplace(design).value_and_gradient(found.parameters)[1][:4]
    assert found.parameters[4:].tolist() == scales.tolist()
    left = found.covariance[:4, :4] @ gradient / found.errors[:4]  # what another step would move, in errors
    assert np.abs(left).max() < 0.02


@pytest.mark.parametrize("at_zero", [(), (6,), (6, 7, 8)])
def test_the_information_is_nearly_the_second_derivative(study: Study, at_zero: tuple[int, ...]) -> None:
    design = pose(study.votes, study.margin, study.side, study.clusters).design
    at = np.array([-0.9, 0.8, 1.0, 0.2, 0.9, 0.5, 0.6, 0.4, 0.7])
    at[list(at_zero)] = 0.0
    likelihood, steps = Laplace(design), 1e-4 * np.eye(9)[:4]
    slopes = [
        likelihood.value_and_gradient(at - step)[1] - likelihood.value_and_gradient(at + step)[1] for step in steps
    ]
    by_differences = np.array(slopes)[:, :4] / 2e-4
    assert likelihood.information(at) == pytest.approx(by_differences, abs=0.08 * np.diag(by_differences).max())
    assert np.diag(likelihood.information(at)) == pytest.approx(np.diag(by_differences), rel=0.1)


@pytest.mark.slow
def test_the_interval_of_the_slope_covers() -> None:
    """At nominal .95 over ten annotators; 300 studies have a Monte-Carlo error of .013."""
    hits = []
    for seed in range(300):
        study = simulated(replace(BINARY, cluster=0.0), n=100, votes=5, annotators=10, seed=1_000 + seed)
        problem = pose(study.votes, study.margin, study.side, None)
        found = fit(problem.design, problem.in_model)
        hits.append(abs(found.parameters[1] - 1.2) <= stats.t.ppf(0.975, 9) * found.errors[1])
    assert 0.92 <= np.mean(hits) <= 0.98
