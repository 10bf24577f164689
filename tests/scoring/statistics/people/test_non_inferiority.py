"""Non-inferiority of a metric to a person: its verdicts, and how often they are false."""

import numpy as np
import pytest

from scoring.statistics.people.non_inferiority import NonInferiority, non_inferiority
from scoring.statistics.people.single_votes import single_votes
from scoring.statistics.votes.votes import Votes


def study(rng: np.random.Generator, *, comparisons: int, annotators: int, noise: float) -> tuple[Votes, np.ndarray]:
    """Five votes each by annotators of varying skill and bias, and a metric that sees the margin with noise."""
    margin = rng.normal(size=comparisons)
    skill, bias = 1.5 * np.exp(0.5 * rng.normal(size=annotators)), 0.4 * rng.normal(size=annotators)
    who = np.argsort(rng.random((comparisons, annotators)), axis=1)[:, :5]
    chance = 1 / (1 + np.exp(-(skill[who] * margin[:, np.newaxis] + bias[who])))
    votes = Votes.of(np.repeat(np.arange(comparisons), 5), who.ravel(), (rng.random(who.shape) >= chance).ravel())
    return votes, np.where(margin + noise * rng.normal(size=comparisons) > 0, 1, -1)


def truth(noise: float) -> float:
    """The difference for a new annotator on a new prompt, from a million of both."""
    rng, n = np.random.default_rng(1), 1_000_000
    margin = rng.normal(size=n)
    metric = margin + noise * rng.normal(size=n) > 0
    first, second = (
        rng.random(n) < 1 / (1 + np.exp(-(1.5 * np.exp(0.5 * rng.normal(size=n)) * margin + 0.4 * rng.normal(size=n))))
        for _ in range(2)
    )
    return float((first == metric).mean() - (first == second).mean())


@pytest.mark.parametrize(("comparisons", "annotators"), [(100, 10), (30, 6)])
def test_a_metric_that_falls_short_by_just_the_margin_is_seldom_shown_either_way(
    comparisons: int, annotators: int
) -> None:
    rng, noise, studies = np.random.default_rng(7), 2.0, 150
    margin = -truth(noise)
    assert margin > 0.03
    verdicts = [
        non_inferiority(*study(rng, comparisons=comparisons, annotators=annotators, noise=noise), margin=margin).verdict
        for _ in range(studies)
    ]
    most = 0.05 + 2 * (0.05 * 0.95 / studies) ** 0.5  # nominal .025 on each side, and two Monte-Carlo errors above .05
    assert verdicts.count("shown") / studies <= most
    assert verdicts.count("shown worse") / studies <= most


def test_the_verdicts_are_those_of_the_one_sided_bounds() -> None:
    votes, metric = study(np.random.default_rng(3), comparisons=80, annotators=12, noise=1.0)
    bounds = single_votes(votes, metric, level=0.95).difference
    assert bounds.low is not None
    assert bounds.high is not None
    assert bounds.low < 0
    found = non_inferiority(votes, metric, margin=-bounds.low + 1e-6)
    assert found == NonInferiority(-bounds.low + 1e-6, bounds, "shown")
    assert non_inferiority(votes, metric, margin=-bounds.low - 1e-6).verdict == "undecided"
    worse = non_inferiority(votes, -metric, margin=0.01)
    assert worse.difference.high is not None
    assert worse.difference.high < -0.01
    assert worse.verdict == "shown worse"


def test_too_few_annotators_leave_it_undecided_with_the_number_wanted() -> None:
    votes, metric = study(np.random.default_rng(3), comparisons=80, annotators=5, noise=1.0)
    found = non_inferiority(votes, metric, margin=0.9)
    assert (found.verdict, found.difference.low) == ("undecided", None)
    assert found.difference.value is not None
    assert "needs 6" in found.difference.reason


@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_an_impossible_margin_is_refused(margin: float) -> None:
    votes, metric = study(np.random.default_rng(3), comparisons=9, annotators=6, noise=1.0)
    with pytest.raises(ValueError, match="a margin lies between 0 and 1"):
        non_inferiority(votes, metric, margin=margin)
