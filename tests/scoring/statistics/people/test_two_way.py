import numpy as np
import pytest

from scoring.statistics.agreement import people_winners
from scoring.statistics.fragility import agreement_without_each
from scoring.statistics.intervals import Resampling
from scoring.statistics.people.two_way import two_way_agreement
from scoring.statistics.votes import Votes
from tests.scoring.statistics.reading import bounds, votes_of_rows

FEW = Resampling(resamples=300, seed=5)


def study(seed: int, accuracy: float, annotators: int, overlap: int) -> tuple[Votes, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(100) < 0.5, 1, -1)
    comparison = np.repeat(np.arange(100), overlap)
    annotator = np.concatenate([rng.choice(annotators, overlap, replace=False) for _ in range(100)])
    is_right = rng.random(len(comparison)) < accuracy
    return Votes.of(comparison, annotator, np.where(is_right == (truth[comparison] > 0), 0, 1)), truth


def test_equals_weighing_vote_by_vote() -> None:
    votes, metric = study(1, 0.7, 8, 3)
    labels = np.arange(100) // 2
    rng, other = np.random.default_rng(FEW.seed), np.random.default_rng(FEW.seed + 1)
    cluster_draws = rng.integers(0, 50, size=(300, 50))
    annotator_draws = other.integers(0, 8, size=(300, 8))
    shares, dropped = [], []
    for clusters, annotators in zip(cluster_draws, annotator_draws, strict=True):
        w, u = np.bincount(clusters, minlength=50)[labels], np.bincount(annotators, minlength=8)
        margin, total = np.zeros(100), np.zeros(100)
        for i, j, choice in zip(votes.comparison, votes.annotator, votes.choice, strict=True):
            margin[i] += u[j] * (1 if choice == 0 else -1)
            total[i] += u[j]
        has_votes = total > 0
        shares.append(np.average(np.sign(margin)[has_votes] == metric[has_votes], weights=w[has_votes]))
        dropped.append(w[~has_votes].sum())
    result = two_way_agreement(votes, metric, clusters=labels, resampling=FEW)
    value = np.mean(people_winners(votes.counts(100)) == metric)
    assert result.agreement.value == pytest.approx(value)
    assert result.bias == pytest.approx(np.mean(shares) - value)
    assert result.standard_error == pytest.approx(np.std(shares, ddof=1))
    assert result.mean_dropped == pytest.approx(np.mean(dropped))


def test_resampled_annotators_make_noisier_majorities() -> None:
    votes, metric = study(2, 0.8, 40, 5)
    result = two_way_agreement(votes, metric, resampling=FEW)
    assert result.bias is not None
    assert -0.15 < result.bias < -0.05  # in a simulation elsewhere .863 - .950
    assert result.agreement.low is None
    assert "more than a quarter of the standard error" in result.agreement.reason
    without = [one.agreement for one in agreement_without_each(votes, metric)]
    assert (result.least, result.greatest) == (min(without), max(without))


def test_with_clear_votes_the_interval_stands() -> None:
    votes, metric = study(3, 0.99, 12, 9)
    turned = np.where(np.arange(100) < 20, -metric, metric)
    result = two_way_agreement(votes, turned, resampling=FEW)
    low, high = bounds(result.agreement)
    assert low < 0.8 < high
    assert "clusters and annotators" in result.agreement.method


def test_progress_is_told() -> None:
    votes, metric = study(4, 0.8, 10, 3)
    told: list[int] = []
    two_way_agreement(votes, metric, resampling=FEW, progress=told.append)
    assert told[-1] == 300


def test_neither_model_names_nor_annotator_numbers_matter() -> None:
    votes, metric = study(5, 0.8, 10, 3)
    renamed = Votes.of(votes.comparison, votes.annotator * 7 + 100, 1 - votes.choice)
    assert two_way_agreement(renamed, -metric, resampling=FEW) == two_way_agreement(votes, metric, resampling=FEW)


@pytest.mark.parametrize(("rows", "reason"), [([], "no votes"), (["0", "1"], "one annotator cannot be resampled")])
def test_undefined_says_why(rows: list[str], reason: str) -> None:
    result = two_way_agreement(votes_of_rows(rows), np.ones(len(rows)), resampling=FEW)
    assert result.agreement.reason == reason
    assert (result.bias, result.standard_error, result.mean_dropped, result.least, result.greatest) == (None,) * 5


def test_unanimous_votes_have_no_two_way_interval() -> None:
    result = two_way_agreement(votes_of_rows(["000"] * 4), np.ones(4), resampling=FEW)
    assert (result.agreement.value, result.bias, result.agreement.reason) == (1, 0, "all resamples equal")
