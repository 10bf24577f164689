import numpy as np
import pytest
import scipy

from scoring.statistics.inference.estimate import ANNOTATORS_LIKE_THESE, Estimate
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.inference.score_interval import score_interval
from scoring.statistics.people.reliability import pairwise_agreement, reliability
from scoring.statistics.people.single_votes import single_votes
from scoring.statistics.votes.votes import Votes
from tests.scoring.statistics.people.simulated_people import simulated_study, two_fresh_votes
from tests.scoring.statistics.reading import bounds, value

FEW = Resampling(resamples=2)
STUDIES = 200
N = 14


def small_study() -> tuple[Votes, np.ndarray, np.ndarray]:
    """Clusters of two comparisons; tie votes; comparisons with one vote and with none."""
    rng = np.random.default_rng(3)
    cast = [(i, j, rng.choice(3, p=(0.5, 0.35, 0.15))) for i in range(N - 1) for j in range(7) if rng.random() < 0.5]
    return Votes.of(*zip(*cast, strict=True)), rng.choice((1, -1, 0), size=N), np.arange(N) // 2


def kept(votes: Votes, stays: np.ndarray) -> Votes:
    return Votes.of(votes.comparison[stays], votes.annotator[stays], votes.choice[stays])


def estimates(votes: Votes, metric: np.ndarray, clusters: np.ndarray) -> dict[str, Estimate]:
    found = reliability(votes.counts(N), ties_allowed=True, clusters=clusters, resampling=FEW, votes=votes)
    single = single_votes(votes, metric, clusters=clusters, level=0.95)
    others = found.annotators_like_these
    assert others is not None
    return {
        **{name: getattr(others, name) for name in ("pairwise_agreement", "pooled_agreement", "ac1")},
        **{f"single {name}": getattr(single, name) for name in ("metric", "people", "difference")},
    }


def variances(votes: Votes, metric: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """The two-way variances of each estimate, and those of means, (2, estimates), by computing it without each part."""
    label = clusters[votes.comparison]

    def without(groups: np.ndarray) -> np.ndarray:
        left = [estimates(kept(votes, groups != group), metric, clusters) for group in np.unique(groups)]
        values = np.array([[value(one) for one in row.values()] for row in left])
        return np.asarray(((values - values.mean(axis=0)) ** 2).sum(axis=0) * (len(values) - 1) / len(values))

    shared = without(label * 1000 + votes.annotator)
    over_clusters, added = without(label), without(votes.annotator) - shared
    return np.stack([over_clusters + np.maximum(added, 0), over_clusters + np.maximum(added, -0.2 * over_clusters)])


def test_equals_leaving_out_the_long_way() -> None:
    votes, metric, clusters = small_study()
    half_widths = scipy.stats.t.ppf(0.975, 6) * np.sqrt(variances(votes, metric, clusters)[0])
    for (name, estimate), expected in zip(estimates(votes, metric, clusters).items(), half_widths, strict=True):
        if name.startswith("single"):
            continue
        low, high = bounds(estimate)
        least = -1 if name == "ac1" else 0
        assert high == pytest.approx(min(1, value(estimate) + expected), rel=1e-9), name
        assert low == pytest.approx(max(least, value(estimate) - expected), rel=1e-9), name
        assert estimate.population == ANNOTATORS_LIKE_THESE
        assert estimate.method == "two-way jackknife of 7 clusters and 7 annotators, t(6)"


def test_a_mean_has_the_score_interval_with_its_two_way_design_effect() -> None:
    votes, metric, clusters = small_study()
    variance = dict(zip(estimates(votes, metric, clusters), variances(votes, metric, clusters)[1], strict=True))
    counts = votes.counts(N)
    voted = counts.sum(axis=1) > 0
    apart = np.abs(np.array((1, -1, 0)) - metric[:, np.newaxis])
    credit = ((counts * (1 - apart / 2)).sum(axis=1)[voted]) / counts.sum(axis=1)[voted]
    effect = variance["single metric"] / (credit.var() / len(credit))
    ends = score_interval(
        credit, possible=(0.0, 1.0), design_effect=effect, quantile=float(scipy.stats.t.ppf(0.975, 6))
    )
    found = single_votes(votes, metric, clusters=clusters, level=0.95).metric
    assert bounds(found) == pytest.approx(ends, rel=1e-9)
    assert found.method == "score interval, two-way jackknife of 7 clusters and 7 annotators, t(6)"


@pytest.mark.parametrize("ties", [True, False])
def test_no_interval_reaches_a_difference_that_no_votes_can_give(ties: bool) -> None:
    """By enumeration: of five votes, the metric agrees with one by at most .2 more than they agree with each other."""
    every = [(a, b, 5 - a - b) for a in range(6) for b in range(6 - a) if ties or a + b == 5]
    found = []
    for counts in every:
        votes = Votes.of(np.zeros(5, dtype=int), np.arange(5), np.repeat((0, 1, 2), counts))
        found += [value(single_votes(votes, [sign], level=0.95).difference) for sign in (1, -1, 0)[: 2 + ties]]
    assert max(found) == pytest.approx(0.2)
    rng = np.random.default_rng(2)
    choice = (rng.random(150) < 0.2).astype(int)
    votes = Votes.of(np.repeat(np.arange(30), 5), np.tile(np.arange(30), 5), choice)
    difference = single_votes(votes, np.ones(30), level=0.999).difference
    assert value(difference) < bounds(difference)[1] <= 0.2


def test_does_not_depend_on_names_and_order() -> None:
    votes, metric, clusters = small_study()
    order = np.random.default_rng(1).permutation(len(votes.choice))
    renamed = Votes.of(votes.comparison[order], 50 - 3 * votes.annotator[order], votes.choice[order])
    before, after = estimates(votes, metric, clusters), estimates(renamed, metric, clusters)
    assert {name: bounds(one) for name, one in after.items()} == pytest.approx(
        {name: pytest.approx(bounds(one)) for name, one in before.items()}
    )


def test_too_few_annotators_or_clusters_have_a_value_and_no_interval() -> None:
    votes, metric, clusters = small_study()
    five = single_votes(kept(votes, votes.annotator < 5), metric, level=0.95).metric
    assert five.reason == "only 5 annotators, and an interval for annotators like these needs 6"
    assert (five.low, five.high, five.population) == (None, None, ANNOTATORS_LIKE_THESE)
    assert value(five) > 0
    few = single_votes(votes, metric, clusters=clusters // 2, level=0.95).metric
    assert few.reason == "only 4 clusters, and an interval for annotators like these needs 6"


def test_votes_that_are_all_alike_have_no_interval() -> None:
    votes = Votes.of(np.repeat(np.arange(10), 7), np.tile(np.arange(7), 10), np.zeros(70, dtype=int))
    result = single_votes(votes, np.ones(10), level=0.95)
    assert (result.people.value, result.people.low) == (1.0, None)
    assert result.people.reason == "the same without the votes of an annotator or on a cluster"


def test_undefined_without_an_annotator_is_no_interval() -> None:
    cast = [(i, j, int(j == 6)) for i in range(16) for j in range(7)]  # all votes for B are by one annotator
    votes = Votes.of(*zip(*cast, strict=True))
    result = reliability(votes.counts(16), ties_allowed=False, resampling=FEW, votes=votes).annotators_like_these
    assert result is not None
    assert result.alpha.reason == "undefined without the votes of an annotator or on a cluster"
    assert result.pairwise_agreement.low is not None


def test_no_pairs_have_no_agreement_between_people() -> None:
    votes = Votes.of(np.arange(12), np.arange(12) % 6, np.arange(12) % 2)
    result = single_votes(votes, np.ones(12), level=0.95)
    assert value(result.metric) == 0.5
    assert (result.people.value, result.people.reason) == (None, "no comparison has two votes")
    assert result.difference.value is None


def test_credit_of_ties_is_one_half() -> None:
    votes = Votes.of([0, 0, 0], [0, 1, 2], [0, 1, 2])
    result = single_votes(votes, [1], level=0.95)
    assert value(result.metric) == pytest.approx((1 + 0 + 0.5) / 3)
    assert value(result.people) == pytest.approx((0 + 0.5 + 0.5) / 3)


def coverage(found: list[Estimate], truth: float) -> float:
    return float(np.mean([low <= truth <= high for low, high in map(bounds, found)]))


@pytest.mark.parametrize("annotators", [10, 6])
def test_intervals_cover_what_they_say(annotators: int) -> None:
    with_metric, with_another = two_fresh_votes(seed=1, n=400_000)
    studies = [simulated_study(seed=5000 * annotators + seed, annotators=annotators) for seed in range(STUDIES)]
    these = [
        pairwise_agreement(study.votes.counts(100), resampling=Resampling(resamples=200, seed=seed))
        for seed, study in enumerate(studies)
    ]
    singles = [single_votes(study.votes, study.metric, level=0.95) for study in studies]
    assert coverage(these, with_another) < 0.88
    assert 0.9 <= coverage([single.people for single in singles], with_another) <= 0.99
    assert coverage([single.metric for single in singles], with_metric) >= 0.9
    assert coverage([single.difference for single in singles], with_metric - with_another) >= 0.9
