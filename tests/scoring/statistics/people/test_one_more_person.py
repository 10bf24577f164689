import numpy as np
import pytest
from scipy import stats

from scoring.statistics.inference.estimate import ANNOTATORS_LIKE_THESE, Estimate
from scoring.statistics.people.alternative_annotator import advantage, alternative_annotator_test, categories
from scoring.statistics.people.one_more_person import OneMorePerson, one_more_person
from scoring.statistics.votes.votes import Votes
from tests.scoring.statistics.people.simulated_people import OVERLAP, simulated_study
from tests.scoring.statistics.reading import bounds, value


def alike(rng: np.random.Generator, n: int, people: int, accuracy: float) -> np.ndarray:
    """Choices (n, people): each names the better model with the given chance, independently."""
    better = rng.integers(0, 2, size=(n, 1))
    return np.where(rng.random((n, people)) < accuracy, better, 1 - better)


def votes_of(choices: np.ndarray) -> Votes:
    n, people = choices.shape
    return Votes.of(np.repeat(np.arange(n), people), np.tile(np.arange(people), n), choices.ravel())


def predicted(choices: np.ndarray, **settings: float) -> OneMorePerson:
    return one_more_person(votes_of(choices), comparison_count=len(choices), tolerance=0.1, seed=1, **settings)


def rho_by_loops(votes: Votes, answers: np.ndarray) -> float:
    shares = []
    for who in np.unique(votes.annotator):
        wins = []
        own = votes.annotator == who
        for place, choice in zip(votes.comparison[own], votes.choice[own], strict=True):
            others = votes.choice[(votes.comparison == place) & ~own]
            if len(others):
                wins.append(np.mean(others == answers[place]) >= np.mean(others == choice))
        if wins:
            shares.append(np.mean(wins))
    return float(np.mean(shares))


def kept(votes: Votes, stays: np.ndarray) -> Votes:
    return Votes.of(votes.comparison[stays], votes.annotator[stays], votes.choice[stays])


def test_the_interval_of_rho_is_near_leaving_out_by_loops() -> None:
    rng = np.random.default_rng(5)
    cast = [(i, j, rng.choice(3, p=(0.5, 0.3, 0.2))) for i in range(60) for j in range(8) if rng.random() < 0.6]
    votes, answers = Votes.of(*zip(*cast, strict=True)), rng.integers(0, 3, size=60)
    label = np.arange(60) // 3

    def variance(groups: np.ndarray) -> float:
        values = np.array([rho_by_loops(kept(votes, groups != group), answers) for group in np.unique(groups)])
        return float(np.sum((values - values.mean()) ** 2) * (len(values) - 1) / len(values))

    clusters = label[votes.comparison]
    shared = variance(clusters * 100 + votes.annotator)
    total = variance(clusters) + max(variance(votes.annotator) - shared, 0)
    found = advantage(votes, answers, np.arange(8), clusters=label)
    assert value(found) == pytest.approx(rho_by_loops(votes, answers))
    low, high = bounds(found)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 7) * np.sqrt(total), rel=0.08)  # linearised
    assert (found.population, found.n) == (ANNOTATORS_LIKE_THESE, 60)


def test_the_interval_of_rho_covers() -> None:
    truth = np.mean([_rho(seed, annotators=60) for seed in range(40, 60)])
    found = [_advantage(seed, annotators=10) for seed in range(1000, 1120)]
    assert 0.91 <= np.mean([low <= truth <= high for low, high in map(bounds, found)]) <= 0.995


def _advantage(seed: int, annotators: int, n: int = 100) -> Estimate:
    study = simulated_study(seed=seed, annotators=annotators, n=n)
    return advantage(study.votes, categories(study.metric), np.arange(annotators))


def _rho(seed: int, annotators: int) -> float:
    return value(_advantage(seed, annotators, n=2_000))


def test_rho_stands_in_the_test_with_its_interval() -> None:
    choices = alike(np.random.default_rng(2), 60, 7, 0.8)
    metric, *_ = alternative_annotator_test(votes_of(choices), 1 - 2 * choices[:, 0], tolerance=0.1, seed=1)
    assert metric.advantage_interval is not None
    assert metric.advantage_interval.value == pytest.approx(metric.advantage)
    few, *_ = alternative_annotator_test(votes_of(choices[:, :3]), 1 - 2 * choices[:, 0], tolerance=0.1, seed=1)
    assert few.advantage_interval is not None
    assert few.advantage_interval.reason.startswith("only 3 annotators")
    none, *_ = alternative_annotator_test(votes_of(choices[:, :2]), 1 - 2 * choices[:, 0], tolerance=0.1, seed=1)
    assert none.advantage_interval is None


@pytest.mark.parametrize(("n", "omega"), [(30, 0.2), (100, 0.57)])
def test_omega_of_one_more_person_is_what_it_is_on_average(n: int, omega: float) -> None:
    rng = np.random.default_rng(n)
    real = []
    for _ in range(120):
        choices = alike(rng, n, 4, 0.8)
        metric, *_ = alternative_annotator_test(votes_of(choices[:, :3]), 1 - 2 * choices[:, 3], tolerance=0.1, seed=1)
        real.append(metric.winning_rate or 0.0)
    drawn = [value(predicted(alike(rng, n, 3, 0.8)).winning_rate) for _ in range(5)]
    assert np.mean(real) == pytest.approx(omega, abs=0.09)
    assert np.mean(drawn) == pytest.approx(omega, abs=0.09)


def test_with_the_comparisons_that_are_needed_omega_is_enough_in_four_of_five() -> None:
    rng = np.random.default_rng(9)
    needed = predicted(alike(rng, 100, 3, 0.8)).comparisons_needed
    assert needed is not None
    enough = []
    for _ in range(100):
        choices = alike(rng, needed, 4, 0.8)
        metric, *_ = alternative_annotator_test(votes_of(choices[:, :3]), 1 - 2 * choices[:, 3], tolerance=0.1, seed=1)
        enough.append((metric.winning_rate or 0) >= 0.5)
    assert 0.65 < np.mean(enough) < 0.94


def test_too_few_annotators_or_comparisons_are_not_eligible() -> None:
    found = predicted(alike(np.random.default_rng(1), 29, 5, 0.8))
    assert found.reason == "not eligible: 0 annotators with 30 comparisons that others voted on, 3 are needed"
    assert (found.winning_rate.value, found.advantage.value, found.comparisons_needed) == (None, None, None)


def test_without_tolerance_no_number_of_comparisons_is_enough() -> None:
    choices = alike(np.random.default_rng(4), 40, 3, 0.7)
    found = one_more_person(votes_of(choices), comparison_count=40, tolerance=0.0, seed=1)
    assert (found.comparisons_needed, found.reason) == (None, "not with 2000 comparisons of each annotator")


def test_very_many_votes_are_drawn_from_and_the_method_says_so() -> None:
    choices = alike(np.random.default_rng(3), 4_200, OVERLAP, 0.97)
    found = predicted(choices)
    assert found.winning_rate.method == "percentiles of 166 draws, seed 1, from 4000 comparisons drawn"
    assert found.comparisons == 4_200
    assert found == predicted(choices)
